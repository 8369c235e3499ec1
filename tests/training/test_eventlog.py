"""TensorBoard's log: whole records that carry their checksums, or a word about why there is none."""

import importlib.util
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broker.errors import StorageFault
from training.eventlog import EventLog, available
from training.trainer import event_log

FIGURES = {"losses": {"value": 0.5, "policy": 2.0}, "share": 0.25, "note": "x", "done": True}


def records(path: Path) -> Iterator[bytes]:
    """Contents of a file of TFRecords: length, its checksum, content, its checksum."""
    rest = path.read_bytes()
    while rest:
        (length,) = struct.unpack("<Q", rest[:8])
        yield rest[12 : 12 + length]
        rest = rest[16 + length :]


def test_each_pass_is_an_event(tmp_path: Path) -> None:
    """Every number is a scalar under its name, at its step and time; a second log of the run is a file of its own."""
    pytest.importorskip("tensorboardX")
    event = importlib.import_module("tensorboardX.proto.event_pb2").Event
    log = EventLog(tmp_path / "run")
    log.add(3 * 10**9, 7, FIGURES)
    (path,) = (tmp_path / "run").iterdir()
    first, second = (event.FromString(content) for content in records(path))
    log.close()
    assert first.file_version == "brain.Event:2"
    assert (second.wall_time, second.step) == (3.0, 7)
    assert {value.tag: value.simple_value for value in second.summary.value} == {
        "losses/value": 0.5, "losses/policy": 2.0, "share": 0.25,
    }  # fmt: skip


def test_a_folder_that_cannot_be_made_is_a_fault(tmp_path: Path) -> None:
    """Where the log can't be written, the run says so and stops."""
    pytest.importorskip("tensorboardX")
    (tmp_path / "file").touch()
    with pytest.raises(StorageFault, match="TensorBoard"):
        EventLog(tmp_path / "file" / "run")


def test_without_the_library_there_is_a_word_about_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No log, no error: a note that says what to install."""
    said: list[Any] = []
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert not available()
    assert event_log(tmp_path / "run", said.append) is None
    assert "micro-trader[tensorboard]" in said[0]["note"]
    assert not (tmp_path / "run").exists()
