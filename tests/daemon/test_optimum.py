"""A run on a synthetic file says what share of the best possible result it earned, and is silent elsewhere."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from broker.ticks.optimum import best_pips
from broker.ticks.synth import Plan, plan_path, synth
from daemon.cli import main
from daemon.optimum import optimum_document

BARS, WARMUP = 700, 512
PLAN = Plan("ou_easy", BARS, 3)


@pytest.fixture(scope="module")
def ticks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic market with its plan beside it."""
    path = tmp_path_factory.mktemp("ticks") / "EUR_USD-synth-ou.csv.gz"
    synth(PLAN, path)
    return path


def replay(out: Path, *arguments: str) -> dict[str, Any]:
    """Run the command; returns its summary."""
    assert main(["replay", "--out", str(out), "--json", *arguments]) == 0
    document: dict[str, Any] = json.loads((out / "summary.json").read_text())
    return document


def test_a_replay_states_its_share(ticks: Path, tmp_path: Path) -> None:
    """The optimum is that of the very bars that were decided on, in the summary and on the report's page."""
    summary = replay(tmp_path / "run", str(ticks), "--strategy", "mean-reversion")
    optimum = summary["optimum"]
    assert summary["decisions"] == BARS - WARMUP
    assert optimum["pips"] == best_pips(PLAN, WARMUP, BARS)
    assert optimum["share"] == pytest.approx(summary["net_pips"] / optimum["pips"])
    assert optimum["pips_per_1000_bars"] == pytest.approx(optimum["pips"] / summary["decisions"] * 1000)
    assert "Of the optimum" in (tmp_path / "run" / "report.html").read_text()


def test_where_no_optimum_is_known_none_is_stated(ticks: Path, tmp_path: Path) -> None:
    """Without its plan, at another bar or beside another file, a file is one like any other."""
    bare = tmp_path / ticks.name
    shutil.copy(ticks, bare)
    assert replay(tmp_path / "bare", str(bare), "--strategy", "hold")["optimum"] is None
    assert replay(tmp_path / "bars", str(ticks), "--strategy", "hold", "--bar", "5m")["optimum"] is None
    shutil.copy(plan_path(ticks), plan_path(bare))
    assert replay(tmp_path / "again", str(bare), "--strategy", "hold")["optimum"]["share"] == 0.0
    later = tmp_path / "EUR_USD-later.csv.gz"
    synth(Plan("ou_easy", 10, 4), later)
    merged = replay(tmp_path / "two", str(bare), str(later), "--strategy", "hold", "--on-bad-line", "skip")
    assert merged["optimum"] is None


def test_no_share_is_taken_of_nothing() -> None:
    """On a random walk the best is not to trade: there is an optimum, 0, and no share of it."""
    document = optimum_document(Plan("mart", 1000, 1), 400, -12.0)
    assert document is not None
    assert document["pips"] == 0.0
    assert document["share"] is None
    assert optimum_document(PLAN, 0, 0.0) is None
