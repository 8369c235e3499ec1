"""A replay from the command line: true, deterministic, blind to the future, and clear about bad input."""

import csv
import gzip
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.cli import main
from daemon.models import BUNDLED
from tests.reference import check_run

BARS = 700
RECORDED = "EUR_USD-2014-05-01_09.oanda.ticks.csv.gz"


@pytest.fixture(scope="module")
def ticks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic market of 700 bars."""
    path = tmp_path_factory.mktemp("ticks") / "EUR_USD-synth-ou.csv.gz"
    assert main(["ticks", "synth", "ou", str(path), "--bars", str(BARS), "--seed", "3"]) == 0
    return path


def replay(ticks: Path, out: Path, *more: str) -> dict[str, object]:
    """Run the command in this process and return the summary that it left."""
    assert main(["replay", str(ticks), "--out", str(out), "--json", *more]) == 0
    return json.loads((out / "summary.json").read_text())


def run_alone(ticks: Path, out: Path, *more: str, hash_seed: str = "0") -> subprocess.CompletedProcess[str]:
    """Run the command as a process of its own."""
    command = [sys.executable, "-m", "daemon", "replay", str(ticks), "--out", str(out), "--json", *more]
    environ = os.environ | {"PYTHONHASHSEED": hash_seed}
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("strategy", ["random", "mean-reversion", "ema-cross"])
def test_the_numbers_are_true(ticks: Path, tmp_path: Path, strategy: str) -> None:
    """An independent account of the tick file and the decisions gives the same trades and totals."""
    summary = replay(ticks, tmp_path / "run", "--strategy", strategy)
    assert check_run(tmp_path / "run", ticks) == summary["trades"] > 0
    assert summary["decisions"] == summary["bars"] - 511 == BARS - 1 - 511


def test_the_numbers_are_true_on_recorded_quotes(shared: Path, tmp_path: Path) -> None:
    """The same on nine days of a real feed, with equal stamps and a week-end in it."""
    ticks = shared / "ticks" / RECORDED
    summary = replay(ticks, tmp_path / "run", "--strategy", "random")
    assert check_run(tmp_path / "run", ticks) == summary["trades"] > 1000
    assert summary["ticks"] == 321_559


def test_a_run_folder_is_whole(ticks: Path, tmp_path: Path) -> None:
    """Every promised file is there; the summary on stdout is the one in the folder; hashes are those of the files."""
    out = tmp_path / "run"
    summary = replay(ticks, out, "--strategy", "random")
    names = {
        "decisions.jsonl",
        "trades.csv",
        "orders.csv",
        "config.toml",
        "environment.json",
        "report.html",
        "summary.json",
    }
    assert {path.name for path in out.iterdir()} == names
    with (out / "orders.csv").open() as file:
        assert len(list(csv.DictReader(file))) == summary["orders"]
    again = replay(ticks, tmp_path / "again", "--config", str(out / "config.toml"))
    assert again["decision_log_sha256"] == summary["decision_log_sha256"]


def test_two_processes_write_the_same_bytes(ticks: Path, tmp_path: Path) -> None:
    """Whatever the hash seed of the interpreter; stdout is one JSON document alone."""
    logs = []
    for hash_seed in ("1", "2"):
        out = tmp_path / hash_seed
        done = run_alone(ticks, out, "--strategy", "random", hash_seed=hash_seed)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["out"] == str(out)
        logs.append((out / "decisions.jsonl").read_bytes() + (out / "trades.csv").read_bytes())
    assert logs[0] == logs[1]


def test_pacing_changes_nothing(ticks: Path, tmp_path: Path) -> None:
    """At a paced speed the same bytes come out."""
    fast = replay(ticks, tmp_path / "max", "--strategy", "random")
    paced = replay(ticks, tmp_path / "paced", "--strategy", "random", "--speed", "100000x")
    assert fast["decision_log_sha256"] == paced["decision_log_sha256"]


@pytest.mark.parametrize("keep", [3300, 3301, 3900, 4199])
def test_a_file_cut_short_gives_a_prefix(ticks: Path, tmp_path: Path, keep: int) -> None:
    """The decisions over the first lines are the first decisions over all lines."""
    replay(ticks, tmp_path / "full", "--strategy", "random")
    short = tmp_path / "EUR_USD-short.csv"
    short.write_text("".join(gzip.open(ticks, "rt").readlines()[: keep + 1]))
    replay(short, tmp_path / "part", "--strategy", "random")
    part = (tmp_path / "part" / "decisions.jsonl").read_bytes()
    assert (tmp_path / "full" / "decisions.jsonl").read_bytes().startswith(part)
    assert part


def test_several_instruments_in_one_run(ticks: Path, tmp_path: Path) -> None:
    """Each instrument decides as it would alone; files of one instrument merge by time."""
    yen = tmp_path / "USD_JPY-synth.csv.gz"
    assert main(["ticks", "synth", "regime", str(yen), "--bars", "600", "--seed", "4", "--pip", "0.01"]) == 0
    out = tmp_path / "both"
    assert main(["replay", str(ticks), str(yen), "--out", str(out), "--strategy", "ema-cross", "--json"]) == 0
    for name, file in (("EUR_USD", ticks), ("USD_JPY", yen)):
        alone = tmp_path / name
        replay(file, alone, "--strategy", "ema-cross")
        rows = {}
        for folder in (out, alone):
            with (folder / "trades.csv").open() as trades:
                rows[folder] = [row for row in csv.DictReader(trades) if row["instrument"] == name]
        assert rows[out] == rows[alone] != []
    times = [json.loads(line)["time"] for line in (out / "decisions.jsonl").read_text().splitlines()]
    assert times == sorted(times)


def test_data_that_never_leave_the_warm_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No decision, exit code 0, a warning with the reason, and figures of zero trades."""
    path = tmp_path / "EUR_USD-synth.csv"
    assert main(["ticks", "synth", "mart", str(path), "--bars", "100"]) == 0
    summary = replay(path, tmp_path / "run", "--strategy", "random")
    assert (summary["decisions"], summary["trades"], summary["profit_factor"]) == (0, 0, None)
    assert "warm-up" in capsys.readouterr().err


HEADER = "time,bid,ask\n"
GOOD = "2024-01-02T00:00:00.5Z,1.10000,1.10010\n"
BAD_FILES = {
    "half a line": (HEADER + GOOD + "2024-01-02T00:00:01Z,1.1", 3),
    "wrong columns": ("time,price\n2024-01-02T00:00:01Z,1.1\n", 1),
    "an empty field": (HEADER + GOOD + "2024-01-02T00:00:01Z,,1.1\n", 3),
    "time going backwards": (HEADER + GOOD + GOOD.replace("00.5", "00.4"), 3),
    "a word for a price": (HEADER + GOOD + GOOD.replace("1.10000", "high"), 3),
}


@pytest.mark.parametrize("fault", sorted(BAD_FILES))
def test_a_broken_line_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str) -> None:
    """Exit code 2, one line with file and line number, and no summary."""
    text, line = BAD_FILES[fault]
    path = tmp_path / "EUR_USD-bad.csv"
    path.write_text(text)
    assert main(["replay", str(path), "--strategy", "hold", "--out", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err.strip()
    assert f"{path}:{line}" in said and "\n" not in said
    assert not (tmp_path / "run" / "summary.json").exists()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--instrument", "EUR_USB"], "EUR_USB"),
        (["--instrument", "USD_JPY"], "USD_JPY"),
        (["--strategy", "ema-corss"], "ema-cross"),
        (["--strategy", "nowhere.py:Mine"], "nowhere.py"),
        (["--bar", "90"], "bar"),
        (["--speed", "fast"], "--speed"),
        (["--seed", "-1"], "seed"),
        (["--model", "00000000"], "00000000"),
        (["--modle", "best"], "--model"),
    ],
)
def test_wrong_usage_is_one_clear_line(
    ticks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], named: str
) -> None:
    """Exit code 2, what is wrong is named, nothing is written."""
    assert main(["replay", str(ticks), "--out", str(tmp_path / "run"), *arguments]) == 2
    said = capsys.readouterr().err.strip()
    assert named in said and "\n" not in said
    assert not (tmp_path / "run" / "summary.json").exists()


def test_a_file_of_another_instrument_is_refused(ticks: Path, tmp_path: Path) -> None:
    """With --instrument only what was named is traded."""
    yen = tmp_path / "USD_JPY-synth.csv"
    assert main(["ticks", "synth", "mart", str(yen), "--bars", "10", "--pip", "0.01"]) == 0
    assert main(["replay", str(ticks), str(yen), "--instrument", "EUR_USD", "--out", str(tmp_path / "run")]) == 2


def test_bars_refuse_a_shorter_decision_interval(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Hourly bars can't serve minute decisions, nor tick bars; with --bar 1h they replay."""
    path = tmp_path / "EUR_USD-x.oanda.H1.bars.csv"
    columns = [f"{part}_{side}" for side in ("bid", "ask") for part in ("open", "high", "low", "close")]
    rows = [f"2024-01-02T{hour:02d}:00:00Z,1.1,1.2,1.0,1.15,1.101,1.201,1.001,1.151,0" for hour in range(20)]
    path.write_text("\n".join([f"time,{','.join(columns)},volume", *rows]) + "\n")
    for bar in ("1m", "100t"):
        assert main(["replay", str(path), "--bar", bar, "--strategy", "hold", "--out", str(tmp_path / "run")]) == 2
        assert "--bar 1h" in capsys.readouterr().err
    summary = replay(path, tmp_path / "run", "--bar", "1h", "--strategy", "hold")
    assert (summary["source"], summary["ticks"], summary["bars"]) == ("bars", 80, 19)


def test_an_output_folder_that_cannot_be_made(ticks: Path, tmp_path: Path) -> None:
    """A file in its place: exit code 2."""
    (tmp_path / "taken").write_text("")
    assert main(["replay", str(ticks), "--strategy", "hold", "--out", str(tmp_path / "taken" / "run")]) == 2


def test_a_strategy_from_a_file_runs(ticks: Path, tmp_path: Path) -> None:
    """`path/to/file.py:Class` trades like a built-in strategy, and its faults are named with their line."""
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        "from broker.types import Action\n"
        "from strategy.plugin import Choice\n"
        "class Mine:\n"
        "    model, feature_set = 'mine', 'edge20'\n"
        "    def __init__(self, context): pass\n"
        "    def on_bar(self, bar): pass\n"
        "    def decide(self, seen):\n"
        "        return Choice(Action.BUY if seen.legal[Action.BUY] else Action.CLOSE)\n"
    )
    summary = replay(ticks, tmp_path / "run", "--strategy", f"{plugin}:Mine")
    assert summary["trades"] > 50
    assert check_run(tmp_path / "run", ticks) == summary["trades"]
    plugin.write_text("import numpy\nnumpy.nothing\n")
    done = run_alone(ticks, tmp_path / "bad", "--strategy", f"{plugin}:Mine")
    assert done.returncode == 2
    assert f"{plugin}:2" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("more", [(), ("--bar", "100t"), ("--bar", "5s")])
def test_the_model_decides_and_says_why(ticks: Path, tmp_path: Path, more: tuple[str, ...]) -> None:
    """Policies sum to 1 and are 0 where illegal, as visits are; the bundled model calls itself untrained or trained."""
    summary = replay(ticks, tmp_path / "run", "--seed", "7", "--state", str(tmp_path / "state"), *more)
    decisions = [json.loads(line) for line in (tmp_path / "run" / "decisions.jsonl").read_text().splitlines()]
    assert len(decisions) == summary["decisions"]
    for decision in decisions:
        assert sum(decision["policy"]) == pytest.approx(1.0, abs=1e-9)
        assert sum(decision["outcome"]) == pytest.approx(1.0, abs=1e-6)
        for legal, share, visits, q in zip(
            *(decision[name] for name in ("legal", "policy", "visits", "q")), strict=True
        ):
            assert legal or (share == 0.0 and visits == 0)
            assert (q is None) == (visits == 0)
        assert decision["legal"][["HOLD", "BUY", "SELL", "CLOSE"].index(decision["action"])]
        assert decision["model"] == summary["model"]
    assert summary["untrained"] == str(summary["model"]).startswith("untrained")


def test_the_models_replay_is_true_and_repeats(ticks: Path, tmp_path: Path) -> None:
    """The account holds for the model's decisions too, and a second process writes the same bytes."""
    summary = replay(ticks, tmp_path / "run", "--state", str(tmp_path / "state"))
    assert check_run(tmp_path / "run", ticks) == summary["trades"]
    done = run_alone(ticks, tmp_path / "again", "--state", str(tmp_path / "state"), hash_seed="9")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "again" / "decisions.jsonl").read_bytes() == (tmp_path / "run" / "decisions.jsonl").read_bytes()


def test_experience_is_stored_on_demand_and_once(ticks: Path, tmp_path: Path) -> None:
    """--store keeps every decision of the run; the same run again adds nothing; without it nothing is kept."""
    state = tmp_path / "state"
    summary = replay(ticks, tmp_path / "run", "--state", str(state), "--strategy", "random", "--no-store")
    assert not (state / "experience.db").exists()
    sizes = []
    for out in ("first", "second"):
        replay(ticks, tmp_path / out, "--state", str(state), "--strategy", "random", "--store")
        with sqlite3.connect(state / "experience.db") as store:
            sizes.append(store.execute("SELECT count(*) FROM step").fetchone()[0])
    assert sizes == [summary["decisions"]] * 2


@pytest.mark.parametrize("fault", ["flipped byte", "feature set", "missing"])
def test_a_bad_model_folder_is_refused(
    ticks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    """Exit code 2 and one line that names the folder; nothing is written."""
    folder = tmp_path / "model"
    if fault != "missing":
        shutil.copytree(BUNDLED, folder)
    if fault == "flipped byte":
        weights = bytearray((folder / "weights.safetensors").read_bytes())
        weights[-1] ^= 1
        (folder / "weights.safetensors").write_bytes(weights)
    config = tmp_path / "config.toml"
    config.write_text(f'[model]\nfeatures = "{"micro15" if fault == "feature set" else "edge20"}"\n')
    command = ["replay", str(ticks), "--model", str(folder), "--config", str(config), "--out", str(tmp_path / "run")]
    assert main(command) == 2
    said = capsys.readouterr().err.strip()
    assert str(folder) in said
    assert "\n" not in said
    assert not (tmp_path / "run").exists()


SWINGER = """
from broker.types import HOUR, Action
from strategy.plugin import Choice
class Swinger:
    model, feature_set = 'swinger', None
    def __init__(self, context): pass
    def on_bar(self, bar): pass
    def decide(self, seen):
        wanted = 1 if seen.time // (7 * HOUR) % 2 else -1
        if seen.expected:
            return Choice(Action.HOLD if seen.expected == wanted else Action.CLOSE)
        return Choice(Action.BUY if wanted > 0 else Action.SELL)
"""
ACCOUNTS = {
    "dear": "margin_rate = 0.03\nfinancing_long = {EUR_USD = -0.9}\nfinancing_short = {EUR_USD = 0.4}",
    "euros": 'currency = "EUR"\nconversion_fee = 0.005\nfinancing_long = {EUR_USD = -0.9}',
}


@pytest.fixture(scope="module")
def wild(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four days of a market that moves far."""
    path = tmp_path_factory.mktemp("wild") / "EUR_USD-synth-mart.csv.gz"
    command = ["ticks", "synth", "mart", str(path), "--bars", "6000", "--seed", "1", "--scale", "8"]
    assert main(command) == 0
    return path


@pytest.mark.parametrize("account", sorted(ACCOUNTS))
@pytest.mark.parametrize("balance", [40, 5000])
def test_the_money_is_true(wild: Path, tmp_path: Path, account: str, balance: int) -> None:
    """Refused entries, closeouts, interest at 17:00 New York and conversions are those of the independent account."""
    config, plugin = tmp_path / "config.toml", tmp_path / "swinger.py"
    config.write_text(f"[account]\nbalance = {balance}\n{ACCOUNTS[account]}\n[risk]\nstop_sigma = 0\n")
    plugin.write_text(SWINGER)
    summary = replay(wild, tmp_path / "run", "--strategy", f"{plugin}:Swinger", "--config", str(config))
    assert check_run(tmp_path / "run", wild) == summary["trades"] > 0
    assert bool(summary["costs"]["financing"]) == (balance == 5000)
    with (tmp_path / "run" / "orders.csv").open() as file:
        refused = {row["reason"] for row in csv.DictReader(file) if row["outcome"] == "cancelled"}
    with (tmp_path / "run" / "trades.csv").open() as file:
        reasons = {row["exit_reason"] for row in csv.DictReader(file)}
    assert ("risk" in reasons, "INSUFFICIENT_MARGIN" in refused) == (balance == 40, balance == 40)


@pytest.mark.parametrize("fill", ["FOK", "IOC"])
def test_thin_tiers_are_true(ticks: Path, tmp_path: Path, fill: str) -> None:
    """Orders walk the tiers of a recording; what they lack cancels an order, or leaves a part: one row each."""
    recording, config = tmp_path / "EUR_USD-thin.jsonl", tmp_path / "config.toml"
    with gzip.open(ticks, "rt") as file:
        recording.write_text("".join(f"{thin_line(n, row)}\n" for n, row in enumerate(csv.DictReader(file))))
    config.write_text(f'[paper]\nfill = "{fill}"\n')
    summary = replay(recording, tmp_path / "run", "--strategy", "random", "--config", str(config))
    assert check_run(tmp_path / "run", recording) == summary["trades"] > 0
    with (tmp_path / "run" / "orders.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert any(row["reason"] == "INSUFFICIENT_LIQUIDITY" for row in rows) == (fill == "FOK")
    assert any("filled)" in row["reason"] for row in rows) == (fill == "IOC")
    costs = summary["costs"]
    assert costs["slippage_pips"] > 0
    parts = sum(costs[name] for name in ("spread_pips", "slippage_pips", "commission_pips"))
    assert costs["gross_pips"] == pytest.approx(summary["net_pips"] + parts)


def thin_line(number: int, row: dict[str, str]) -> str:
    """A line of OANDA's stream whose tiers hold from nothing to more than a thousand units."""
    tiers = {}
    for side, step in (("bid", -0.00003), ("ask", 0.00003)):
        sizes = (number * 7 % 11 * 60, number * 5 % 13 * 80)
        prices = (row[side], f"{float(row[side]) + step:.5f}")
        tiers[f"{side}s"] = [{"price": p, "liquidity": size} for p, size in zip(prices, sizes, strict=True)]
    said = {"type": "PRICE", "instrument": "EUR_USD", "time": row["time"], "tradeable": True, **tiers}
    return json.dumps(said)
