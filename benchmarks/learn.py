"""The table of learning: train and replay on markets whose optimum is known, cell by cell, resumable.

    python -m benchmarks.learn [--markets ou,mart] [--bars 20000,50000] [--features edge20] [--seeds 1,2,3]
                               [--minutes 10] [--workers 1] [--synth ../shared/synth] [--cells var/learn]

A cell is a market, a file size, a feature set and a seed: it trains a candidate from scratch on one path, replays it on
20,000 unseen bars of another, and divides its pips per 1000 bars by what the optimal policy earns on that path. Beside
it stand its network alone, without search, and the best fitted EMA rule. Besides the five markets there are the same
kinds with other parameters, another pip and ten times the volatility and spread (`OTHERS`). Without `--markets` and the
like, all that the table asks for runs. A finished cell is kept under a hash of its settings and of the program's code;
changed code makes it stale. `--show` prints what is kept and runs nothing.
"""

import argparse
import hashlib
import importlib
import itertools
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
WARMUP, TEST_BARS = 512, 20_000
BASE = 11_000
"""Pips that a path starts at, so that prices stay well above 0."""
CODE = ("broker", "strategy", "training")
MARKETS = ("regime", "ou_easy", "ou", "mart", "trap")


@dataclass(frozen=True, slots=True)
class Other:
    """A market of a known kind.

    Attributes:
        like: the market it is like. changed: parameters. scale: of volatility and spread. pip: of its prices.
    """

    like: str
    changed: Mapping[str, float] = field(default_factory=dict)
    scale: float = 1.0
    pip: float = 1e-4


OTHERS: Mapping[str, Other] = {
    "regime-rare": Other("regime", {"d": 0.6, "s": 1.3, "p": 0.01}),
    "ou_easy-wide": Other("ou_easy", {"phi": 0.85, "sx": 2.5, "spread": 1.5}),
    "ou-fast": Other("ou", {"phi": 0.92, "sx": 1.6, "sm": 0.2}),
    "mart-calm": Other("mart", {"s": 0.7, "spread": 0.8}),
    "trap-wide": Other("trap", {"sx": 0.4, "spread": 1.6}),
    "ou-yen": Other("ou", pip=0.01),
    "mart-yen": Other("mart", pip=0.01),
    "regime-x10": Other("regime", scale=10.0),
    "ou-x10": Other("ou", scale=10.0),
    "mart-x10": Other("mart", scale=10.0),
}
SIZED = ("sx", "sm", "s", "d", "spread")
"""Parameters in pips."""
WANTED: Mapping[tuple[str, int], Mapping[str, float]] = {
    ("edge20", 50_000): {"regime": 0.93, "ou_easy": 0.90, "ou": 0.88},
    ("edge20", 20_000): {"regime": 0.92, "ou_easy": 0.87, "ou": 0.82},
    ("micro15", 50_000): {"regime": 0.90, "ou_easy": 0.82, "ou": 0.72},
}
"""Least share of the optimum, by features and bars."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One entry of the table."""

    market: str
    bars: int
    features: str
    seed: int
    minutes: float
    workers: int

    @property
    def like(self) -> str:
        """The market of the five that it is like."""
        return OTHERS[self.market].like if self.market in OTHERS else self.market

    @property
    def wanted(self) -> float | None:
        """Least share of the optimum; None where the optimum is not to trade."""
        return WANTED[self.features, self.bars].get(self.like)

    def name(self) -> str:
        """File name of its result."""
        settings = json.dumps(asdict(self), sort_keys=True)
        return f"{self.market}-{self.bars}-{self.features}-{self.seed}-{digest(settings, code())}"


def main() -> None:
    """Run the cells that are missing and print the table."""
    options = _options()
    sys.path.insert(0, str(options.synth))
    market = importlib.import_module("synth")
    for name, other in OTHERS.items():
        known = market.P[other.like] | other.changed
        market.P[name] = known | {key: known[key] * other.scale for key in SIZED if key in known}
    options.cells.mkdir(parents=True, exist_ok=True)
    for cell in cells(options):
        kept = options.cells / f"{cell.name()}.json"
        if not kept.exists() and not options.show:
            kept.write_text(json.dumps(asdict(cell) | run(cell, market, options.cells / cell.name()), indent=1))
        if kept.exists():
            show(cell, json.loads(kept.read_text()))


def cells(options: argparse.Namespace) -> Iterator[Cell]:
    """All that was asked for, seed by seed: an early end leaves whole seeds."""
    sizes = [(some, bars) for some, bars in WANTED if some in options.features and str(bars) in options.bars]
    for seed, (some, bars), name in itertools.product(options.seeds, sizes, options.markets):
        if name in MARKETS or (some, bars) == ("edge20", 20_000):
            yield Cell(name, bars, some, int(seed), options.minutes, options.workers)


def run(cell: Cell, market: Any, folder: Path) -> dict[str, Any]:
    """Train, replay, score."""
    folder.mkdir(exist_ok=True)  # its generator writes a quote out of order now and then: such a line is skipped
    config = folder / "config.toml"
    config.write_text(f'seed = {cell.seed}\n[model]\nfeatures = "{cell.features}"\nwarmup_bars = {WARMUP}\n')
    other = OTHERS.get(cell.market, Other(cell.market))
    pip, base = other.pip, BASE * other.pip * other.scale
    instrument = "EUR_USD" if pip < 1e-3 else "USD_JPY"
    train, test = folder / f"{instrument}-train.csv.gz", folder / f"{instrument}-test.csv.gz"
    unseen = 10_000 + cell.seed
    market.gen(cell.market, str(train), cell.bars, 100 + cell.seed, base=base, pip=pip)
    market.gen(cell.market, str(test), TEST_BARS + WARMUP, unseen, base=base, pip=pip)
    common = ("--config", str(config), "--state", str(folder), "--json", "--on-bad-line", "skip")
    limits = ("--minutes", str(cell.minutes), "--workers", str(cell.workers), "--from", "scratch")
    learned = command("train", str(train), *limits, *common)
    replayed = command("replay", str(test), "--model", learned["version"], "--out", str(folder / "run"), *common)
    with config.open("a") as alone:
        alone.write("simulations = 0\n")
    unsearched = command("replay", str(test), "--model", learned["version"], "--out", str(folder / "raw"), *common)
    decided = decisions(folder / "run" / "decisions.jsonl")
    mid, _ = market.path(cell.market, TEST_BARS + WARMUP, unseen)
    return {
        "pips": replayed["net_pips"] / len(decided) * 1000.0,
        "raw": unsearched["net_pips"] / len(decided) * 1000.0,
        "trades": replayed["trades"] / len(decided) * 1000.0,
        "in_market": float(np.mean([line["position"] != 0 for line in decided])),
        "calibration": calibration(decided, mid[WARMUP:]),
        **references(cell, market, mid),
        "status": learned["status"],
        "beta": learned["beta"],
        "held_out": learned["held_out"],
        "seconds": learned["seconds"],
        "steps": learned["steps"],
        "selfplay_steps": learned["selfplay_steps"],
    }


def references(cell: Cell, market: Any, mid: Any) -> dict[str, float]:
    """Pips per 1000 bars of the optimal policy on this path, and of the EMA rule fitted on the training path."""
    spread = market.P[cell.market]["spread"]
    _, grid, policy = market.dp(cell.market)
    statistic, _ = market.features(cell.market, mid)
    actions = market.act(grid, policy, statistic)
    best = market.evaluate(mid[WARMUP:], actions[WARMUP:], spread)[1]
    trained, _ = market.path(cell.market, cell.bars, 100 + cell.seed)
    both = np.concatenate([trained, mid + trained[-1] - mid[0]])
    _, rule = market.simple_threshold(cell.market, both, cell.bars)
    start = len(trained) + WARMUP
    return {"optimum": best, "ema_rule": market.evaluate(both[start:], rule[start:], spread)[1]}


def calibration(decided: list[dict[str, Any]], mid: Any) -> float | None:
    """Expected calibration error of the outcome probabilities: 10 bins an outcome, weighted; None where abstaining."""
    if decided[0]["outcome"] is None:
        return None
    labels = importlib.import_module("strategy.features").outcome_label
    change = np.diff(np.round(mid * 10) / 10)
    s = [np.std(change[max(i - 20, 0) : i]) if i else 0.0 for i in range(len(change))]
    label = np.array([labels(move, width) for move, width in zip(change, s, strict=True)])[20:]
    said = np.array([line["outcome"] for line in decided])[20 : 20 + len(label)]
    label = label[: len(said)]
    error = 0.0
    for k, bin_ in itertools.product(range(said.shape[1]), range(10)):
        here = np.minimum((said[:, k] * 10).astype(int), 9) == bin_
        if here.any():
            error += abs(said[here, k].mean() - (label[here] == k).mean()) * here.mean() / said.shape[1]
    return float(error)


def command(*arguments: str) -> dict[str, Any]:
    """One command of the program and its JSON document."""
    done = subprocess.run((sys.executable, "-m", "daemon", *arguments), cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def decisions(path: Path) -> list[dict[str, Any]]:
    """The decision log."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def code() -> str:
    """Hash of what decides and learns."""
    return digest(*(path.read_text() for path in sources()))


def sources() -> Iterator[Path]:
    """Its files, in order."""
    for floor in CODE:
        yield from sorted((ROOT / floor).rglob("*.py"))


def digest(*texts: str) -> str:
    """Twelve hex digits."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]


def show(cell: Cell, result: Mapping[str, Any]) -> None:
    """One line of the table."""
    share = result["pips"] / result["optimum"] if cell.wanted is not None else None
    kept = share >= cell.wanted if share is not None and cell.wanted is not None else rests(result)
    figures = [f"{result[name]:.2f}" for name in ("pips", "raw", "optimum", "ema_rule", "trades", "in_market")]
    error = result["calibration"]
    columns = (
        cell.market, cell.bars, cell.features, cell.seed, "-" if share is None else f"{share:.3f}", *figures,
        "-" if error is None else f"{error:.4f}", f"{result['beta']:g}", f"{result['seconds']:.0f}", result["status"],
        "yes" if kept else "NO",
    )  # fmt: skip
    sys.stdout.write("| " + " | ".join(map(str, columns)) + " |\n")
    sys.stdout.flush()


def rests(result: Mapping[str, Any]) -> bool:
    """Whether it stays out of a market without an edge."""
    return bool(result["trades"] <= 1.0 and result["in_market"] <= 0.02 and result["pips"] >= -1.0)


def listed(words: str) -> list[str]:
    """`a,b` as a list."""
    return words.split(",")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learn", description="shares of known optima")
    parser.add_argument("--markets", type=listed, default=[*MARKETS, *OTHERS])
    parser.add_argument("--bars", type=listed, default=["20000", "50000"])
    parser.add_argument("--features", type=listed, default=["edge20", "micro15"])
    parser.add_argument("--seeds", type=listed, default=["1", "2", "3"])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--synth", type=Path, default=ROOT.parent / "shared" / "synth")
    parser.add_argument("--cells", type=Path, default=ROOT / "var" / "learn")
    parser.add_argument("--show", action="store_true", help="print what is kept, run nothing")
    return parser.parse_args()


if __name__ == "__main__":
    main()
