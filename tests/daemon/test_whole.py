"""A small file is whole, or as it was before."""

import os
from pathlib import Path

import pytest

from daemon.whole import write_whole


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the new text is on the disk the old one stands, and nothing else is left behind."""
    path = tmp_path / "state.json"
    write_whole(path, "old\n")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, "new\n")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("state.json", "old\n")]
    monkeypatch.undo()
    write_whole(path, "new\n")
    assert path.read_bytes() == b"new\n"
