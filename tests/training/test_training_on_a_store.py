"""A training on the store alone, as it runs: killed and resumed, and what it leaves in the store."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from shutil import copy
from typing import Any

import pytest

from broker.errors import BadInput
from strategy.model import load
from tests.training.made_experience import made_segment
from tests.training.made_job import job_in
from tests.training.made_store import stored_tape
from tests.training.made_tape import swinging
from tests.training.test_process import running, said, undisturbed
from training.job import Job
from training.process import OK, Stopped
from training.store_maintenance import ExperienceMaintenance
from training.store_writer import ExperienceWriter
from training.trainer import train


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with enough to learn from."""
    path = tmp_path_factory.mktemp("filled") / "experience.db"
    stored_tape(path, swinging(4600, 6))
    return path


def job_on(store: Path, folder: Path) -> Job:
    """Two short passes over a copy of a store."""
    folder.mkdir()
    return Job(
        files=(), options={}, bar=(True, 60 * 10**9), feature_set="edge20", warmup_bars=160, allow_reverse=False,
        simulations=4, models=str(folder / "models"), checkpoint=str(folder / "training" / "checkpoint.pt"),
        parent=None, fresh=False, minutes=None, steps=8, seed=1, workers=0, recipe={}, code_version=None,
        store=str(copy(store, folder / "experience.db")),
    )  # fmt: skip


def everything(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    """All lines to the end."""
    assert process.stdout is not None
    return [json.loads(line) for line in process.stdout]


def test_killed_it_leaves_the_store_sound_and_goes_on(filled: Path, tmp_path: Path) -> None:
    """kill -9 after a pass: every score is what its TD error says, and the same job ends with the same model.

    So does a run that nobody disturbed, and its manifest says what it remembered.
    """
    whole, job = job_on(filled, tmp_path / "whole"), job_on(filled, tmp_path / "killed")
    version = undisturbed(whole)
    with running(job) as process:
        first = said(process, "progress")
        process.kill()
    assert first["store"]["td_errors_written"] > 0
    assert job.store is not None
    store = ExperienceMaintenance(Path(job.store))
    report = store.verify()
    store.close()
    assert (report["integrity"], report["rescored"]) == ("ok", [])
    with running(job) as process:
        lines = everything(process)
        assert process.wait() == OK
    assert any("going on from step" in line.get("note", "") for line in lines)
    assert lines[-1]["done"]["version"] == version
    data = load(Path(job.models) / version).manifest["data"]
    assert (data["sha256"], data["instruments"]) == ([], ["EUR_USD"])
    assert data["store"]["held_out"] > 400


def test_another_store_is_another_run(filled: Path, tmp_path: Path) -> None:
    """What came into the store after an interrupt: alone it begins anew, and says so."""
    job = job_on(filled, tmp_path / "job")
    notes: list[str] = []

    def stop(line: Mapping[str, Any]) -> None:
        notes.append(line.get("note", ""))
        if "progress" in line:
            raise Stopped

    for _ in range(2):
        with pytest.raises(Stopped):
            train(job, lambda: 0, stop)
        assert job.store is not None
        writer = ExperienceWriter(Path(job.store), 50_000)
        writer.append(made_segment(0, run="new", feature_set="edge20", features=26))
        writer.close()
    assert ["begins anew" in note for note in notes if note].count(True) == 1
    assert not any("going on" in note for note in notes)


def test_too_little_is_refused(tmp_path: Path) -> None:
    """Some hundred stored decisions: a clear word, and no candidate."""
    stored_tape(tmp_path / "small.db", swinging(900, 6))
    job = job_on(tmp_path / "small.db", tmp_path / "job")
    with pytest.raises(BadInput, match="too few"):
        train(job, lambda: 0, lambda _: None)
    assert not Path(job.models).exists()


def test_ticks_and_store_are_learned_from_together(filled: Path, tmp_path: Path) -> None:
    """Beside ticks the store is drawn from too, half for half; another model comes of it."""
    alone = job_in(tmp_path, steps=6)
    ticking = iter(range(0, 10**15, 10**9))
    store = str(copy(filled, tmp_path / "experience.db"))
    done = train(replace(alone, store=store), lambda: next(ticking), lambda _: None)
    figures = done["store"]
    assert figures["drawn"] > 6 * 2 * 200
    assert 0 < figures["td_errors_written"] <= figures["drawn"]
    assert done["data"]["sha256"]
    assert undisturbed(replace(alone, models=str(tmp_path / "alone"))) != done["version"]
