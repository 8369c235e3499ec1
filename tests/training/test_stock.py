"""What a training takes from the store, and what it refuses."""

import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from broker.errors import BadInput
from tests.training.made_experience import made_segment
from tests.training.made_store import stored_tape
from tests.training.made_tape import swinging, tape_of
from training.course import first_held
from training.job import Job
from training.seen import Window
from training.stock import provenance, still_good, take
from training.store_writer import ExperienceWriter


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """On a store that isn't there."""
    return Job(
        files=(), options={}, bar=(True, 60 * 10**9), feature_set="edge20", warmup_bars=160, allow_reverse=False,
        simulations=4, models=str(tmp_path / "models"), checkpoint=str(tmp_path / "training" / "checkpoint.pt"),
        parent=None, fresh=False, minutes=None, steps=18, seed=1, workers=0, recipe={}, code_version=None,
        store=str(tmp_path / "experience.db"),
    )  # fmt: skip


def fill(job: Job, feature_set: str) -> None:
    """A segment of some feature set."""
    assert job.store is not None
    writer = ExperienceWriter(Path(job.store), 100)
    writer.append(made_segment(0, feature_set=feature_set))
    writer.close()


def test_nothing_to_learn_from_is_refused(job: Job) -> None:
    """Without ticks: no store, an empty store and a store of another feature set, each by its name."""
    assert job.store is not None
    for nowhere in (job, replace(job, store=None)):
        with pytest.raises(BadInput, match="neither tick files nor an experience store"):
            take(nowhere, [], [])
    ExperienceWriter(Path(job.store), 100).close()
    with pytest.raises(BadInput, match="holds nothing that edge20 can learn from"):
        take(job, [], [])
    fill(job, "micro15")
    with pytest.raises(BadInput, match="only steps of feature set micro15"):
        take(job, [], [])


def test_beside_tapes_an_empty_store_is_no_matter(job: Job) -> None:
    """With ticks nothing need be stored; what other sets saw is not asked."""
    tape = tape_of(swinging(600, 1))
    assert take(job, ["EUR_USD"], [tape]) is None
    fill(job, "micro15")
    assert take(job, ["EUR_USD"], [tape]) is None


def test_the_store_knows_nothing_of_what_a_tape_holds_out(job: Job) -> None:
    """An earlier session on the same quotes: its steps of the held-out quarter are left alone, the others are not."""
    assert job.store is not None
    tape = stored_tape(Path(job.store), swinging(1000, 6))
    stored = take(job, ["EUR_USD"], [tape])
    assert stored is not None
    assert stored.left_out == len(tape) - first_held(tape)
    assert all(memory.tape.time.max() < tape.time[first_held(tape)] for memory in stored.known.values())
    other = take(job, ["GBP_JPY"], [tape])
    assert other is not None
    assert other.left_out == 0


def test_a_manifest_says_what_was_remembered(job: Job) -> None:
    """The window of what was seen spans ticks and store, so that nobody tests a model on either."""
    assert job.store is not None
    tape = stored_tape(Path(job.store), swinging(1000, 6))
    stored = take(job, [], [])
    assert stored is not None
    data = provenance({"instruments": [], "windows": {}, "sha256": []}, stored)
    window = Window.of(data["windows"]["EUR_USD"])
    assert (window.first, window.last) == (tape.time[0], tape.time[-1])
    known = data["store"]
    assert known["quality"] + known["unbiased"] + known["left_out"] == len(tape)
    assert known["damaged_segments"] == 0
    late = {**window.document(), "last": window.last + 5}
    both = provenance({"instruments": ["EUR_USD"], "windows": {"EUR_USD": late}}, stored)
    assert both["instruments"] == ["EUR_USD"]
    assert Window.of(both["windows"]["EUR_USD"]).last == window.last + 5


def test_what_is_damaged_is_left_out_and_counted(job: Job) -> None:
    """A flipped byte costs its segment, not the training; the manifest counts it."""
    assert job.store is not None
    tape = stored_tape(Path(job.store), swinging(1000, 6))
    with sqlite3.connect(job.store) as db:
        lost = db.execute("SELECT steps FROM segment ORDER BY id LIMIT 1").fetchone()[0]
        db.execute("UPDATE step SET bid = bid + 1 WHERE segment = (SELECT min(id) FROM segment)")
    db.close()
    stored = take(job, ["GBP_JPY"], [tape])
    assert stored is not None
    known = provenance({"instruments": [], "windows": {}}, stored)["store"]
    assert known["damaged_segments"] == 1
    assert known["quality"] + known["unbiased"] == len(tape) - lost


def test_a_changed_store_is_said(job: Job) -> None:
    """Beside ticks a run goes on with another store, alone it begins anew; the same store is no matter."""
    assert job.store is not None
    stored_tape(Path(job.store), swinging(1000, 6))
    stored = take(job, [], [])
    assert stored is not None
    said: list[Any] = []
    same: dict[str, Any] = {"course": {"remembered": {"revision": stored.revision}}}
    other: dict[str, Any] = {"course": {"remembered": {"revision": "another"}}}
    assert still_good(same, stored, said.append, alone=True) is same
    assert still_good(None, stored, said.append, alone=True) is None
    assert not said
    assert still_good(other, stored, said.append, alone=False) is other
    assert still_good(other, stored, said.append, alone=True) is None
    assert still_good({"course": {"remembered": None}}, None, said.append, alone=False) is not None
    assert ["goes on" in said[0]["note"], "begins anew" in said[1]["note"], len(said)] == [True, True, 2]


def test_what_came_after_the_ticks_stays_unseen(job: Job) -> None:
    """A daemon learns from older days and validates on later ones: what it experienced there is not learned from, and
    the manifest does not say that it was."""
    assert job.store is not None
    tape = stored_tape(Path(job.store), swinging(1000, 6))
    early = tape.part(0, 400)
    stored = take(job, ["EUR_USD"], [early])
    assert stored is not None
    cut = early.time[first_held(early)]
    assert stored.left_out == len(tape) - first_held(early)
    assert all(memory.tape.time.max() < cut for memory in stored.known.values())
    assert stored.windows["EUR_USD"].last < cut
