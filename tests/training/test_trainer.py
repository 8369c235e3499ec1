"""The train process: one job in, one candidate or one clear error out; it resumes, and it repeats."""

import resource
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from broker.errors import BadInput, StorageFault
from strategy.model import ABSTAINS, TRAINED, load
from tests.training.made_job import job_in
from training import checkpoint, trainer
from training.course import NotANumber
from training.job import Job
from training.learner import Learner, Losses
from training.locks import trainer_lock
from training.model_folders import ModelFolders
from training.process import Stopped
from training.seen import seen_by
from training.tape import record
from training.trainer import train


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """Three short passes over a small file."""
    return job_in(tmp_path, steps=18)


def now() -> int:
    """A clock that stands."""
    return 0


def quiet(_line: Mapping[str, Any]) -> None:
    """Nobody listens."""


def run(job: Job) -> dict[str, Any]:
    """What the trainer says in the end; the clock advances so that there are speeds."""
    ticking = iter(range(0, 10**15, 10**9))
    return train(job, lambda: next(ticking), quiet)


def trained(job: Job) -> str:
    """Id of the candidate."""
    return str(run(job)["version"])


def test_the_same_steps_make_the_same_bytes(job: Job, tmp_path: Path) -> None:
    """With --steps and no workers, a run again gives the same model, whose manifest says where it comes from."""
    first = trained(job)
    again = trained(replace(job, models=str(tmp_path / "other")))
    assert first == again
    assert trained(replace(job, seed=2)) != first
    model = load(tmp_path / "models" / first)
    assert model.data_hashes == frozenset([trainer.file_hash(job.files[0])])
    (window,) = seen_by(model.manifest, ModelFolders(tmp_path / "models")).windows["EUR_USD"]
    assert window.first < window.times[-1] <= window.last
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


def test_a_rate_that_explodes_is_a_clear_error(job: Job) -> None:
    """What the learner itself makes of a mad rate: the step is named, and there is no candidate."""
    with pytest.raises(NotANumber, match=r"step \d+ is not a finite number"):
        train(replace(job, recipe={"rate": 1e30}), now, quiet)
    assert not Path(job.models).exists()


def test_a_full_disk_breaks_nothing(job: Job) -> None:
    """The disk fills while it trains: a clear fault, no candidate, no part left; with room again it ends as ever."""
    whole = trained(replace(job, models=str(Path(job.models) / "whole")))
    kept = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, kept[1]))  # a checkpoint has more, a log less
    try:
        with pytest.raises(StorageFault, match="can't write the checkpoint"):
            train(job, now, quiet)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, kept)
    assert not list(Path(job.checkpoint).parent.glob(".*"))
    assert not list(Path(job.models).glob("[0-9a-f]*"))
    assert trained(job) == whole


def test_what_a_killed_run_left_is_swept(job: Job) -> None:
    """Half a checkpoint and half a model of a run that was killed are gone when the next one begins."""
    left = [Path(job.checkpoint).with_name(".checkpoint.pt.1.part"), Path(job.models) / ".abc.1.part" / "weights"]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    trained(job)
    assert not any(path.exists() for path in left)


def test_a_checkpoint_of_another_version_is_named(job: Job) -> None:
    """What this version can't go on from is refused with a way out, not a traceback."""
    digest = job.digest([trainer.file_hash(job.files[0])])
    checkpoint.save(Path(job.checkpoint), {"job": digest, "run": "r", "elapsed": 0, "spent": {}, "course": {}})
    with pytest.raises(BadInput, match="another version of the program"):
        train(job, now, quiet)


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
