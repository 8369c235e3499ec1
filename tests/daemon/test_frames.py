"""A run in pandas: the same numbers and times as in its files."""

import csv
import json
import sys
from pathlib import Path

import pytest

from broker.errors import BadInput
from broker.rfc3339 import parse_rfc3339
from daemon.frames import load
from tests.daemon.made_run import finished_run


def test_frames_hold_what_the_files_hold(tmp_path: Path) -> None:
    """Each decision, trade and order is a row; times to the nanosecond, numbers exact."""
    finished_run(tmp_path)
    run = load(str(tmp_path))
    written = [json.loads(line) for line in (tmp_path / "decisions.jsonl").read_text().splitlines()]
    assert run.decisions.index.tolist() == [row["seq"] for row in written]
    assert run.decisions["q.SELL"].tolist() == [row["q"][2] for row in written]
    assert run.decisions["outcome.NEUTRAL"].tolist() == [row["outcome"][1] for row in written]
    assert run.decisions["time"].astype("int64").tolist() == [parse_rfc3339(row["time"]) for row in written]
    trades = list(csv.DictReader((tmp_path / "trades.csv").read_text().splitlines()))
    assert run.trades["reward"].tolist() == [float(row["reward"]) for row in trades]
    assert run.trades["close_time"].astype("int64").tolist() == [parse_rfc3339(row["close_time"]) for row in trades]
    assert run.trades["pips"].sum() == pytest.approx(run.summary["net_pips"])
    assert len(run.orders) == run.summary["orders"]


def test_a_strategy_without_search_says_nothing(tmp_path: Path) -> None:
    """Where there was no search, its columns are empty and the rest is there."""
    finished_run(tmp_path, search=False)
    run = load(tmp_path)
    assert run.decisions["policy.BUY"].isna().all()
    assert run.decisions["legal.HOLD"].all()


def test_no_run_and_no_pandas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is said in one line."""
    with pytest.raises(BadInput, match="no finished run"):
        load(tmp_path)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(BadInput, match="micro-trader\\[pandas\\]"):
        load(tmp_path)
