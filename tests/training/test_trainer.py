"""The train process: one job in, one candidate or one clear error out; it resumes, and it repeats."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from broker.errors import BadInput
from strategy.model import ABSTAINS, TRAINED, load
from training import checkpoint, trainer
from training.course import NotANumber
from training.job import Job
from training.learner import Learner, Losses
from training.locks import trainer_lock
from training.process import Stopped
from training.tape import record
from training.trainer import train


def write_quotes(path: Path, bars: int) -> None:
    """A quote a minute on a swinging mid."""
    lines = ["time,bid,ask"]
    for i in range(bars):
        points = 110_000 + round(30 * ((i * i * 7919) % 101 - 50) / 50)
        time = f"2024-01-{1 + i // 1440:02}T{i // 60 % 24:02}:{i % 60:02}:30Z"
        lines.append(f"{time},{(points - 5) / 1e5:.5f},{(points + 5) / 1e5:.5f}")
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """Three short passes over a small file."""
    ticks = tmp_path / "EUR_USD-swing.csv"
    write_quotes(ticks, 2700)
    return Job(
        files=(str(ticks),), options={}, bar=(True, 60 * 10**9), feature_set="edge20", warmup_bars=512,
        allow_reverse=False, simulations=4, models=str(tmp_path / "models"),
        checkpoint=str(tmp_path / "training" / "checkpoint.pt"), parent=None, fresh=False, minutes=None, steps=18,
        seed=1, workers=0, recipe={}, code_version=None,
    )  # fmt: skip


def now() -> int:
    """A clock that stands."""
    return 0


def quiet(_line: Mapping[str, Any]) -> None:
    """Nobody listens."""


def trained(job: Job) -> str:
    """Id of the candidate; the clock advances so that there are speeds."""
    ticking = iter(range(0, 10**15, 10**9))
    return str(train(job, lambda: next(ticking), quiet)["version"])


def test_the_same_steps_make_the_same_bytes(job: Job, tmp_path: Path) -> None:
    """With --steps and no workers, a run again gives the same model, whose manifest says where it comes from."""
    first = trained(job)
    again = trained(replace(job, models=str(tmp_path / "other")))
    assert first == again
    assert trained(replace(job, seed=2)) != first
    model = load(tmp_path / "models" / first)
    assert model.data_hashes == frozenset([trainer.file_hash(job.files[0])])
    assert model.status in (TRAINED, ABSTAINS)
    assert not Path(job.checkpoint).exists()


def test_an_interrupted_run_is_resumed(job: Job) -> None:
    """Stopped after its first pass, the same job ends with the model of the uninterrupted run."""
    whole = trained(replace(job, models=str(Path(job.models) / "whole")))

    def stop(line: Mapping[str, Any]) -> None:
        if "progress" in line:
            raise Stopped

    with pytest.raises(Stopped):
        train(job, now, stop)
    assert Path(job.checkpoint).exists()
    assert trained(job) == whole


def test_a_broken_run_registers_nothing(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loss that is no number: no candidate, and nothing to resume from."""
    monkeypatch.setattr(Learner, "step", lambda *_: Losses(*[float("nan")] * 7))
    with pytest.raises(NotANumber):
        train(job, now, quiet)
    assert not Path(job.models).exists()
    assert not Path(job.checkpoint).exists()


def test_a_file_that_changes_is_refused(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was learned from must be what was hashed."""
    path = Path(job.files[0])

    def append(*args: Any) -> Any:
        tape = record(*args)
        path.write_text(path.read_text() + "2024-01-30T00:00:00Z,1.1,1.2\n")
        return tape

    monkeypatch.setattr(trainer, "record", append)
    with pytest.raises(BadInput, match="changed while it was read"):
        train(job, now, quiet)


def test_a_parent_is_gone_on_from(job: Job) -> None:
    """A child names its parent and keeps its normaliser; a parent of another feature set is refused."""
    parent = trained(job)
    folder = str(Path(job.models) / parent)
    child = load(Path(job.models) / trained(replace(job, parent=folder, seed=5)))
    assert child.manifest["parent"] == parent
    assert (child.deviation == load(Path(folder)).deviation).all()
    with pytest.raises(BadInput, match="micro15"):
        train(replace(job, parent=folder, feature_set="micro15"), now, quiet)


def test_another_job_does_not_resume(job: Job) -> None:
    """A checkpoint belongs to one job; to begin from scratch leaves it aside."""
    path, digest = Path(job.checkpoint), job.digest([trainer.file_hash(job.files[0])])
    whole = trained(job)
    checkpoint.save(path, {"job": "another", "elapsed": 0})
    assert trained(job) == whole
    checkpoint.save(path, {"job": digest, "elapsed": 0})
    assert trained(replace(job, fresh=True)) == whole


def test_one_trainer_at_a_time(job: Job) -> None:
    """A second trainer of the same state folder is refused, and told who runs."""
    with trainer_lock(Path(job.checkpoint).parents[1], now), pytest.raises(BadInput, match="in use by trainer"):
        train(job, now, quiet)
