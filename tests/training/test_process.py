"""The train process as it runs: interrupted, killed, orphaned or robbed of its workers, it loses nothing."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from broker.errors import BadInput
from tests.training.made_job import job_in
from training.job import Job
from training.process import INTERRUPTED, OK
from training.trainer import train

COMMAND = (sys.executable, "-m", "training")
PATIENCE_S = 120


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """Five short passes."""
    return job_in(tmp_path, steps=30)


@contextmanager
def running(job: Job, *command: str) -> Iterator[subprocess.Popen[str]]:
    """A train process that has its job."""
    process = subprocess.Popen(command or COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdin is not None
        process.stdin.write(json.dumps(asdict(job)))
        process.stdin.close()
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def undisturbed(job: Job) -> str:
    """Id of the candidate that the job makes in one go."""
    ticking = iter(range(0, 10**15, 10**9))
    return str(train(job, lambda: next(ticking), lambda _: None)["version"])


def said(process: subprocess.Popen[str], kind: str) -> Any:
    """The content of the next line of a kind."""
    assert process.stdout is not None
    return next(line[kind] for line in map(json.loads, process.stdout) if kind in line)


def children(pid: int) -> list[int]:
    """Processes that a process started."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


def playing(trainer: int) -> list[int]:
    """Self-play workers of a trainer."""
    return [pid for pid in children(trainer) if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def wait_until_gone(*pids: int) -> None:
    """Return when no such process runs; fails where one goes on."""
    waiting = threading.Event()
    for _ in range(PATIENCE_S * 10):
        if not any(alive(pid) for pid in pids):
            return
        waiting.wait(0.1)
    pytest.fail(f"{[pid for pid in pids if alive(pid)]} go on")


def alive(pid: int) -> bool:
    """Whether a process runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_killed_at_any_time_it_ends_with_the_same_bytes(job: Job, tmp_path: Path) -> None:
    """Interrupted after a pass and killed after another, the job ends with the model of an undisturbed run."""
    whole = undisturbed(replace(job, models=str(tmp_path / "whole"), checkpoint=str(tmp_path / "a" / "b" / "c")))
    with running(job) as process:
        said(process, "progress")
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == INTERRUPTED
    assert Path(job.checkpoint).exists()
    with running(job) as process:
        assert "going on from step" in said(process, "note")
        said(process, "progress")
        process.kill()
    assert not Path(job.models).exists()
    with running(job) as process:
        assert said(process, "done")["version"] == whole
        assert process.wait(PATIENCE_S) == OK
    files = {path.name: path.read_bytes() for path in (Path(job.models) / whole).iterdir()}
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "whole" / whole).iterdir()}
    assert sorted(path.name for path in Path(job.checkpoint).parent.iterdir()) == sorted([whole, "tensorboard"])


def test_a_worker_is_replaced_and_all_end_with_the_parent(job: Job, tmp_path: Path) -> None:
    """A killed self-play worker costs the run nothing; killed itself, the parent takes trainer and workers along.

    Meanwhile a second trainer of the same state folder is refused.
    """
    shell = ("bash", "-c", f"{sys.executable} -m training; true")
    with running(replace(job, workers=1, steps=None, minutes=30.0, recipe={"passes": 1000}), *shell) as parent:
        said(parent, "progress")
        (trainer,) = children(parent.pid)
        (worker,) = playing(trainer)
        with pytest.raises(BadInput, match="in use by trainer"):
            train(job, lambda: 0, lambda _: None)
        os.kill(worker, signal.SIGKILL)
        before = said(parent, "progress")["selfplay_steps"]
        while said(parent, "progress")["selfplay_steps"] <= before:
            pass
        (replaced,) = playing(trainer)
        assert replaced != worker
        parent.kill()
        wait_until_gone(trainer, replaced)
    assert Path(job.checkpoint).exists()
    assert not Path(job.models).exists()
