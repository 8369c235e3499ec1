"""Experience on its way to the store: both sinks hear everything, one writer at a time, a failing disk is said once."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from broker.errors import BadInput, StorageFault
from daemon.config import Config, State
from daemon.console import Ui
from daemon.experience import STORE, Both, ExperienceAside, stored_experience
from tests.daemon.made_run import EUR_USD, observation, searched, trade
from training.recorder import Recorder
from training.store_writer import ExperienceWriter


class Heard:
    """A sink that notes what it is told."""

    def __init__(self) -> None:
        self.said: list[tuple[str, Any]] = []

    def decided(self, *what: Any) -> None:
        self.said.append(("decided", what))

    def ordered(self, *what: Any) -> None:
        self.said.append(("ordered", what))

    def traded(self, *what: Any) -> None:
        self.said.append(("traded", what))

    def barred(self, *what: Any) -> None:
        self.said.append(("barred", what))


def test_both_sinks_hear_everything_in_order() -> None:
    """Whatever the session says goes to the first and then to the second."""
    first, second = Heard(), Heard()
    both = Both(first, second)
    both.barred(EUR_USD, observation(0).bar, 0.0)
    both.decided(observation(0), searched(), 0, None, "m")
    both.traded(trade(1.0), None)  # type: ignore[arg-type]
    both.ordered(None, None)  # type: ignore[arg-type]
    assert [kind for kind, _ in first.said] == ["barred", "decided", "traded", "ordered"]
    assert first.said == second.said


def fed(config: Config, ui: Ui, run: str = "r") -> None:
    """A recorder that sees a few flat decisions."""
    with stored_experience(config, "test", run, None, ui) as recorder:
        for seq in range(200):
            seen = observation(seq)
            recorder.barred(EUR_USD, seen.bar, 0.0)
            recorder.decided(seen, searched(), 0, None, "m")


def test_decisions_reach_the_store(tmp_path: Path) -> None:
    """All but the last, whose outcome no bar tells, or that too: none is doubled by running again."""
    config = replace(Config(), state=State(dir=str(tmp_path)))
    counts = []
    for _ in range(2):
        fed(config, Ui(json=True))
        with sqlite3.connect(tmp_path / STORE) as store:
            counts.append(store.execute("SELECT count(*) FROM step").fetchone()[0])
    assert counts[0] == counts[1] > 190


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    """It is told who holds the store."""
    config = replace(Config(), state=State(dir=str(tmp_path)))
    with stored_experience(config, "the first", "r", None, Ui(json=True)), pytest.raises(BadInput, match="the first"):
        fed(config, Ui(json=True))


def test_a_failing_disk_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run goes on; what can't be stored waits with the writer."""

    def fail(self: ExperienceWriter, segment: object) -> bool:
        raise StorageFault("the disk is full")

    monkeypatch.setattr(ExperienceWriter, "append", fail)
    fed(replace(Config(), state=State(dir=str(tmp_path))), Ui(json=True))
    assert capsys.readouterr().err.count("the disk is full") == 1


@pytest.mark.parametrize("begun", [True, False])
def test_what_is_handed_in_before_the_beginning_waits(begun: bool, tmp_path: Path) -> None:
    """Nothing is stored while a start folds; then all of it, also where the start failed."""
    store = ExperienceAside(tmp_path, 1000, print)
    recorder = Recorder("r", None, store.keep)
    for seq in range(200):
        seen = observation(seq)
        recorder.barred(EUR_USD, seen.bar, 0.0)
        recorder.decided(seen, searched(), 0, None, "m")
    assert steps(tmp_path) == 0
    if begun:
        store.begin()
    store.close()
    assert steps(tmp_path) == 192


def steps(folder: Path) -> int:
    """In the store."""
    with closing(sqlite3.connect(folder / STORE)) as store:
        return int(store.execute("SELECT count(*) FROM step").fetchone()[0])
