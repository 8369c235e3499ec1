"""Replay speed of the engine alone: the session with `ema-cross` on 1-minute bars, beside other engines.

    python benchmarks/engine.py ours TICKS.npz                  one run of ours, one line of JSON
    python benchmarks/engine.py beside TICKS.npz HARNESS --nautilus PYTHON --hftbacktest PYTHON [--rounds 5]

HARNESS is the folder with the peers' scripts (`bench_nautilus_v2.py`, `bench_hftbacktest.py`), each peer runs under the
interpreter of its own environment, and the rounds are interleaved. TICKS.npz holds `ts` (ns), `bid` and `ask` (points).
Compare ratios of one invocation only. nautilus_trader runs with a Python strategy that does nothing, which is less
than `ema-cross` does.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from time import process_time

import numpy as np

from broker.bars import BarSize
from broker.ledger import Ledger
from broker.paper import PaperBroker
from broker.purse import Purse, Terms
from broker.types import MINUTE, SECOND, Bar, Cancel, Fill, Instrument, Order, Quotes, Trade
from strategy.baselines import EmaCross
from strategy.lane import Lane
from strategy.plugin import Choice, Context, Observation
from strategy.risk import Limits, Risk
from strategy.session import Session, fold

BATCH = 65536


class Counter:
    """A sink that counts."""

    def __init__(self) -> None:
        self.decisions = self.orders = self.trades = self.bars = 0

    def decided(self, seen: Observation, choice: Choice, target: int, veto: str | None, model: str) -> None:
        self.decisions += 1

    def ordered(self, order: Order, end: Fill | Cancel) -> None:
        self.orders += 1

    def traded(self, trade: Trade, fill: Fill) -> None:
        self.trades += 1

    def barred(self, instrument: Instrument, bar: Bar, open_pips: float) -> None:
        self.bars += 1


def fold_once(columns: tuple[np.ndarray, ...]) -> tuple[float, Counter]:
    """CPU seconds of one pass over the quotes, and what happened."""
    pair = Instrument("EUR_USD", -4, 5, Decimal("0.02"))
    strategy = EmaCross(Context(pair, np.random.SeedSequence(0)))
    count = Counter()
    lane = Lane(pair, BarSize(True, MINUTE), None, strategy, Ledger(pair))
    purse = Purse("USD", Decimal(100_000), terms=Terms(margin=True))
    broker = PaperBroker(SECOND // 10, purse=purse)
    broker.look_at(pair.name, lane.tiers)
    session = Session([lane], broker, Risk(Limits(), 1e5), purse, "USD", 160, "bench", count)

    def feed() -> Iterator[Quotes]:
        for i in range(0, len(columns[0]), BATCH):
            yield Quotes(*(column[i : i + BATCH] for column in columns))

    start = process_time()
    fold(session, [feed()])
    return process_time() - start, count


def ours(ticks: Path) -> None:
    """Warm up, run, report."""
    file = np.load(ticks)
    columns = tuple(file[name].astype(np.int64) for name in ("ts", "bid", "ask"))
    fold_once(tuple(column[:20_000] for column in columns))
    seconds, count = fold_once(columns)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures = {"engine": "micro-trader", "n": len(columns[0]), "run_cpu_s": seconds, "peak_rss_mb": peak, **vars(count)}
    sys.stdout.write(f"RESULT {json.dumps(figures)}\n")


def beside(args: argparse.Namespace) -> None:
    """Interleave rounds of every engine and print ratios of CPU time."""
    here = Path(__file__).resolve()
    commands = {
        "micro-trader": [sys.executable, str(here), "ours", str(args.ticks)],
        "nautilus_trader": [args.nautilus, str(args.harness / "bench_nautilus_v2.py"), str(args.ticks), "nop"],
        "hftbacktest": [args.hftbacktest, str(args.harness / "bench_hftbacktest.py"), str(args.ticks), "ema"],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(args.rounds):
        for name, command in commands.items():
            environ = os.environ | ({"PYTHONPATH": str(here.parents[1])} if name == "micro-trader" else {})
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=environ)
            line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
            times[name].append(json.loads(line.removeprefix("RESULT "))["run_cpu_s"])
    base = statistics.median(times["micro-trader"])
    for name, found in times.items():
        median = statistics.median(found)
        sys.stdout.write(f"{name:16} {median * 1e3:9.1f} ms cpu   {median / base:6.2f} x ours   {sorted(found)}\n")


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    modes = parser.add_subparsers(required=True, dest="mode")
    one = modes.add_parser("ours")
    one.add_argument("ticks", type=Path)
    many = modes.add_parser("beside")
    many.add_argument("ticks", type=Path)
    many.add_argument("harness", type=Path)
    many.add_argument("--nautilus", required=True)
    many.add_argument("--hftbacktest", required=True)
    many.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    ours(args.ticks) if args.mode == "ours" else beside(args)


if __name__ == "__main__":
    main()
