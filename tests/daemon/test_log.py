"""The log: one event a line on stderr, of the configured level and form."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from daemon.config import Log
from daemon.log import start_log


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_json_lines_hold_the_event(capsys: pytest.CaptureFixture[str]) -> None:
    """With `json` each event is one JSON object with its level and time; stdout stays empty."""
    start_log(Log(format="json"), {})
    structlog.get_logger().info("order_sent", units=5)
    out, err = capsys.readouterr()
    event = json.loads(err)
    assert out == ""
    assert (event["event"], event["units"], event["level"]) == ("order_sent", 5, "info")
    assert event["logged"].endswith("Z")


def test_auto_is_json_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """A service's log is for machines."""
    start_log(Log(), {})
    structlog.get_logger().warning("quiet")
    assert json.loads(capsys.readouterr().err)["event"] == "quiet"


def test_less_severe_events_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """`level` is the least severe level written."""
    start_log(Log(level="warning", format="console"), {})
    structlog.get_logger().info("small")
    structlog.get_logger().error("large")
    err = capsys.readouterr().err
    assert "small" not in err
    assert "large" in err


@pytest.mark.parametrize("named", [True, False])
def test_the_journal_hears_priorities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: bool) -> None:
    """Lines begin with `<4>` for a warning where systemd says that stderr is its journal, and nowhere else."""
    with (tmp_path / "stream").open("w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        file = os.fstat(stream.fileno())
        inode = file.st_ino if named else file.st_ino + 1
        start_log(Log(), {"JOURNAL_STREAM": f"{file.st_dev}:{inode}"})
        log = structlog.get_logger()
        log.info("small")
        log.warning("large")
        log.error("larger")
    lines = (tmp_path / "stream").read_text().splitlines()
    assert [line[:3] for line in lines] == (["<6>", "<4>", "<3>"] if named else ['{"e'] * 3)
