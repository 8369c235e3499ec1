"""What a run leaves in its folder: promised columns and keys, whole or not believed."""

import csv
import errno
import hashlib
import json
import math
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import BadInput, StorageFault
from broker.types import MINUTE, Action, Order
from daemon import runfolder
from daemon.runfolder import RunFolder, decision_line
from strategy.plugin import Choice
from tests.daemon.made_run import CANCELLED, EUR_USD, START, finished_run, observation, searched, summary_of, trade

DECISION_KEYS = (
    "seq time instrument bid ask action target position legal policy visits q outcome value model veto".split()
)
TRADE_HEADER = (
    "instrument,side,units,open_time,open_price,close_time,close_price,pips,pnl,currency,dd_sum,reward,bars,model,"
    "exit_reason,stop_price,take_profit_price"
)


class FullDisk:
    """A file on a disk that has no room left."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def flush(self) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def close(self) -> None:
        self._file.close()


def test_a_decision_is_one_line_with_the_promised_keys(tmp_path: Path) -> None:
    """interface: decisions.jsonl; keys in this order, prices as floats, null where never visited."""
    with RunFolder.create(tmp_path) as folder:
        folder.decision(observation(0), searched(Action.SELL), -1, "max_spread", "m1")
    (line,) = (tmp_path / "decisions.jsonl").read_text().splitlines()
    decision = json.loads(line)
    assert list(decision) == DECISION_KEYS
    assert decision["time"] == "2014-05-01T00:01:00.000000000Z"
    assert (decision["bid"], decision["ask"]) == (1.38, 1.3801)
    assert (decision["action"], decision["target"], decision["veto"]) == ("SELL", -1, "max_spread")
    assert decision["q"] == [0.1, -0.2, 1 / 3, None]


finite = st.floats(allow_nan=False, allow_infinity=False)


@given(st.tuples(finite, finite, finite, finite), st.tuples(*[st.none() | finite] * 4), finite, st.text(max_size=8))
def test_numbers_and_names_survive_the_line(policy: Any, q: Any, value: float, model: str) -> None:
    """Shortest round-trip text of every float, numpy's too, and one line whatever the names hold."""
    plain = Choice(Action.BUY, policy, (1, 2, 3, 4), q, (0.2, 0.3, 0.5), value)
    visits = tuple(np.arange(1, 5))
    arrays = Choice(Action.BUY, tuple(np.array(policy)), visits, q, (0.2, 0.3, 0.5), np.float64(value))
    line = decision_line(observation(3), plain, 1, None, model)
    read = json.loads(line)
    assert (tuple(read["policy"]), tuple(read["q"]), read["value"], read["model"]) == (policy, q, value, model)
    assert decision_line(observation(3), arrays, 1, None, model) == line
    assert line.index("\n") == len(line) - 1


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_refused(number: float) -> None:
    """JSON holds no NaN or Infinity: the run stops with a line that names the decision."""
    with pytest.raises(BadInput, match="decision 5: m1 answered with a number that is not finite"):
        decision_line(observation(5), Choice(Action.HOLD, value=number), 0, None, "m1")


def test_the_digest_is_that_of_the_file(tmp_path: Path) -> None:
    """`decision_log_sha256` is the hash of decisions.jsonl as it lies on the disk."""
    summary = finished_run(tmp_path)
    assert summary["decision_log_sha256"] == hashlib.sha256((tmp_path / "decisions.jsonl").read_bytes()).hexdigest()


def test_a_finished_run_has_every_file(tmp_path: Path) -> None:
    """The folder holds the seven promised files and nothing left over; the summary is the `--json` document."""
    summary = finished_run(tmp_path / "a" / "run")
    names = {path.name for path in (tmp_path / "a" / "run").iterdir()}
    expected = "config.toml decisions.jsonl environment.json orders.csv report.html summary.json trades.csv"
    assert names == set(expected.split())
    assert json.loads((tmp_path / "a" / "run" / "summary.json").read_text()) == summary


def test_trades_have_the_promised_columns(tmp_path: Path) -> None:
    """interface: trades.csv; exact decimals, RFC 3339 times, empty where there is no level."""
    with RunFolder.create(tmp_path) as folder:
        folder.trade(trade(-0.3), EUR_USD)
    header, row = (tmp_path / "trades.csv").read_text().splitlines()
    assert header == TRADE_HEADER
    assert row == (
        "EUR_USD,long,1000,2014-05-01T00:00:00.000000000Z,1.38010,2014-05-01T00:03:00.000000000Z,1.38007,"
        "-0.3,-0.03,USD,1.0,-0.31,3,m,close,1.37000,"
    )


@given(st.decimals(allow_nan=False, allow_infinity=False, places=12), finite)
def test_money_and_pips_survive_the_row(tmp_path_factory: pytest.TempPathFactory, pnl: Decimal, pips: float) -> None:
    """Money is a plain decimal without an exponent, exact; pips come back to the last bit."""
    made = trade(0.0)
    values = {name: getattr(made, name) for name in made.__slots__} | {"pnl": pnl, "pips": pips}
    path = tmp_path_factory.mktemp("run")
    with RunFolder.create(path) as folder:
        folder.trade(type(made)(**values), EUR_USD)
    (row,) = csv.DictReader((path / "trades.csv").read_text().splitlines())
    assert Decimal(row["pnl"]) == pnl
    assert "E" not in row["pnl"]
    assert float(row["pips"]) == pips


def test_a_cancelled_order_has_no_fill(tmp_path: Path) -> None:
    """interface: orders.csv; the outcome and its reason, fill columns empty."""
    order = Order("mt-t-9", START + MINUTE, "EUR_USD", -500, 0, 0, "close", 0, "m")
    with RunFolder.create(tmp_path) as folder:
        folder.order(order, CANCELLED, EUR_USD)
    header, row = (tmp_path / "orders.csv").read_text().splitlines()
    assert header == "id,time,instrument,side,units,type,outcome,fill_time,fill_price,reason"
    assert row == "mt-t-9,2014-05-01T00:01:00.000000000Z,EUR_USD,sell,500,market,cancelled,,,position_gone"


def test_an_interrupted_run_has_no_summary(tmp_path: Path) -> None:
    """A run into an old run's folder takes the old summary away first, so that nothing half-written looks whole."""
    finished_run(tmp_path)
    with RunFolder.create(tmp_path) as folder:
        folder.decision(observation(0), searched(), 0, None, "m")
    assert {path.name for path in tmp_path.iterdir()} == {"decisions.jsonl", "trades.csv", "orders.csv"}


@pytest.mark.parametrize("name", ["_decisions", "_trades", "_orders"])
def test_a_full_disk_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """No room for a line, or for what a buffer still held: StorageFault, and no summary."""
    with RunFolder.create(tmp_path) as folder:
        summary = summary_of(folder, (), 0)
        appender = getattr(folder, name)
        monkeypatch.setattr(appender, "_file", FullDisk(appender._file))
        with pytest.raises(StorageFault, match="No space left"):
            appender.append("line\n")
        with pytest.raises((StorageFault, AssertionError)):
            folder.finish(summary, "", {})
    assert not (tmp_path / "summary.json").exists()


def test_a_disk_that_fills_at_the_end_leaves_no_summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The summary is last: where its own bytes don't fit, the run isn't believed and no stray part stays."""
    full = OSError(errno.ENOSPC, "No space left on device")
    synced: list[int] = []

    def fsync(file: int) -> None:
        synced.append(file)
        if (tmp_path / ".summary.json.part").exists():
            raise full

    monkeypatch.setattr(runfolder.os, "fsync", fsync)
    with pytest.raises(StorageFault, match="No space left"):
        finished_run(tmp_path)
    assert synced
    assert not list(tmp_path.glob("*summary*"))
    assert not list(tmp_path.glob(".*"))


def test_a_summary_of_another_log_is_not_written(tmp_path: Path) -> None:
    """The summary's digest and the file's are made apart and must agree."""
    with RunFolder.create(tmp_path) as folder:
        summary = summary_of(folder, (), 0)
        folder.decision(observation(0), searched(), 0, None, "m")
        with pytest.raises(AssertionError, match="another decision log"):
            folder.finish(summary, "", {})


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """A file in the folder's place is the user's mistake: one line with the way out, exit code 2."""
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="--out"):
        RunFolder.create(tmp_path / "file" / "run")


def test_a_full_disk_at_the_start_is_the_disks_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 1, not 2, where the disk fails."""

    def mkdir(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", mkdir)
    with pytest.raises(StorageFault):
        RunFolder.create(tmp_path / "run")
