"""Checkpoints: whole or not at all, of one job, and damaged ones are named."""

from pathlib import Path

import pytest
import torch

from broker.errors import BadInput, StorageFault
from training.checkpoint import load, remove, save

STATE = {"job": "a", "step": 7, "weights": {"w": torch.arange(5.0)}}


def test_a_checkpoint_comes_back_for_its_own_job(tmp_path: Path) -> None:
    """What was saved is loaded, by the job that saved it alone; the newest replaces the one before."""
    path = tmp_path / "deep" / "run.ckpt"
    assert load(path, "a") is None
    save(path, STATE)
    save(path, {**STATE, "step": 8})
    found = load(path, "a")
    assert found is not None
    assert found["step"] == 8
    assert torch.equal(found["weights"]["w"], STATE["weights"]["w"])
    assert load(path, "b") is None
    remove(path)
    assert load(path, "a") is None
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("keep", [0, 10, 200])
def test_a_damaged_checkpoint_is_named(tmp_path: Path, keep: int) -> None:
    """Cut short anywhere: bad input that says how to go on."""
    path = tmp_path / "run.ckpt"
    save(path, STATE)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(BadInput, match="--from scratch"):
        load(path, "a")


def test_a_failed_write_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk fails while writing: StorageFault, and the earlier checkpoint is whole."""
    path = tmp_path / "run.ckpt"
    save(path, STATE)

    def full(self: Path, data: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StorageFault, match="No space"):
        save(path, {**STATE, "step": 9})
    found = load(path, "a")
    assert found is not None
    assert found["step"] == 7
    assert [file.name for file in tmp_path.iterdir()] == ["run.ckpt"]
