"""Reading a run's folder back: what was written is what is read, and damage is named."""

import json
from pathlib import Path

import pytest

from broker.errors import BadInput
from daemon.report.recording import read_recording
from tests.daemon.made_run import START, finished_run


def test_what_was_written_is_read(tmp_path: Path) -> None:
    """Trades, decisions, config and summary come back as they went in."""
    summary = finished_run(tmp_path, pips=(2.0, -1.5))
    recording = read_recording(tmp_path)
    assert recording.summary == summary
    assert [trade.pips for trade in recording.trades] == [2.0, -1.5]
    assert recording.trades[0].open_time == START + 60 * 10**9
    assert [decision["seq"] for decision in recording.decisions()] == list(range(30))
    assert 'strategy = "muzero"' in recording.config


def test_an_unfinished_run_is_refused(tmp_path: Path) -> None:
    """Without a summary there is no run to report."""
    finished_run(tmp_path)
    (tmp_path / "summary.json").unlink()
    with pytest.raises(BadInput, match=r"summary\.json is missing"):
        read_recording(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("summary.json", "{", r"summary\.json: is not a readable JSON"),
        ("summary.json", "[]", "lacks model"),
        ("summary.json", json.dumps({"model": "m"}), "lacks strategy"),
        ("trades.csv", "instrument,side\nEUR_USD,long\n", "is not a trade"),
        ("decisions.jsonl", '{"seq":0}\n', r"decisions\.jsonl:1: is not a decision"),
        ("decisions.jsonl", '{"seq', r"decisions\.jsonl:1: is not a decision"),
    ],
)
def test_damage_is_named(tmp_path: Path, name: str, content: str, words: str) -> None:
    """A damaged file is reported with its name and line, never as a traceback."""
    finished_run(tmp_path)
    (tmp_path / name).write_text(content)
    with pytest.raises(BadInput, match=words):
        list(read_recording(tmp_path).decisions())
