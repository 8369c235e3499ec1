"""`compare` and `explain`: what they say about runs is what their files hold."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest

from daemon.cli import main
from daemon.explanation import MEANINGS


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two replays of one file that differ in the allowed spread, and one of another file."""
    folder = tmp_path_factory.mktemp("runs")
    for name, seed in (("one", 3), ("two", 4)):
        ticks = str(folder / f"EUR_USD-synth-{name}.csv.gz")
        assert main(["ticks", "synth", "ou", ticks, "--bars", "600", "--seed", str(seed)]) == 0
    (folder / "narrow.toml").write_text("[risk]\nmax_spread_pips = 0.01\n")
    (folder / "wide.toml").write_text("[risk]\nmax_spread_pips = 100\n")
    for out, ticks, config in (("a", "one", "wide"), ("b", "one", "narrow"), ("c", "two", "wide")):
        options = ["--strategy", "random", "--config", str(folder / f"{config}.toml"), "--out", str(folder / out)]
        assert main(["replay", str(folder / f"EUR_USD-synth-{ticks}.csv.gz"), *options]) == 0
    return folder


def said(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> Any:
    """The document of a command that ends with `code`; its message where there is none."""
    capsys.readouterr()
    assert main([*map(str, arguments), "--json"]) == code
    out, err = capsys.readouterr()
    return json.loads(out) if out else err


def decisions(run: Path) -> list[dict[str, Any]]:
    """The run's decision log."""
    return [json.loads(line) for line in (run / "decisions.jsonl").read_text().splitlines()]


def test_figures_settings_and_the_parting(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Figures are those of the summaries; the one setting that differs is named; the logs part at the first veto."""
    found = said(capsys, "compare", runs / "a", runs / "b")
    summaries = [json.loads((runs / name / "summary.json").read_text()) for name in "ab"]
    assert [row["net_pips"] for row in found["runs"]] == [summary["net_pips"] for summary in summaries]
    assert [row["key"] for row in found["settings"]] == ["risk.max_spread_pips"]
    first = next(one for one, two in zip(decisions(runs / "a"), decisions(runs / "b"), strict=True) if one != two)
    assert found["parted"][0] == {
        "run": str(runs / "b"),
        "seq": first["seq"],
        "time": first["time"],
        "fields": ["veto"],
    }
    assert found["caveats"] == []


def test_a_run_does_not_part_from_itself(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same decisions have no place where they part."""
    found = said(capsys, "compare", runs / "a", runs / "a")
    assert (found["settings"], found["parted"][0]["seq"]) == ([], None)


def test_other_ticks_are_no_comparison(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Runs on other data are shown with a warning."""
    assert "was not run on the ticks" in said(capsys, "compare", runs / "a", runs / "c")["caveats"][0]


def test_what_can_not_be_compared(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One run, or a folder that is none: exit 2 and what to do."""
    assert "two folders" in said(capsys, "compare", runs / "a", code=2)
    assert "no finished run" in said(capsys, "compare", runs / "a", runs, code=2)


def test_an_entry_is_explained(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The explanation names the order that left and the trade that came of it."""
    trade = next(csv.DictReader((runs / "a" / "trades.csv").read_text().splitlines()))
    entry = [row for row in decisions(runs / "a") if row["time"] < trade["open_time"]][-1]
    found = said(capsys, "explain", runs / "a", entry["seq"])
    assert (found["action"], found["held"]) == (entry["action"], "flat")
    assert found["wanted"] == found["trades"][0]["side"] == trade["side"]
    assert found["trades"][0]["pips"] == float(trade["pips"])
    assert [order["outcome"] for order in found["orders"]] == ["filled"]


def test_a_veto_is_explained(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The limit that was reached is named by its config key; nothing left, nothing came of it."""
    vetoed = next(row for row in decisions(runs / "b") if row["veto"])
    found = said(capsys, "explain", runs / "b", vetoed["seq"])
    assert "max_spread_pips" in found["why"]
    assert found["orders"] == found["trades"] == []


def test_a_decision_that_was_not_made(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2, and how many there are."""
    assert f"the run has {len(decisions(runs / 'a'))}" in said(capsys, "explain", runs / "a", "100000", code=2)


def test_each_veto_has_a_meaning() -> None:
    """Whatever risk and session may answer is explained."""
    strategy = Path(__file__).parents[2] / "strategy"
    checks = (strategy / "risk.py").read_text().partition("checks = (")[2].partition("return next")[0]
    named = set(re.findall(r'\("([a-z_]+)", ', checks)) | set(
        re.findall(r'_tripped = .*"([a-z_]+)"$', (strategy / "risk.py").read_text(), re.MULTILINE)
    )
    assert {"spread", "stale", "daily_loss", "drawdown"} <= named
    assert named <= MEANINGS.keys()
