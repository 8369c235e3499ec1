"""Learning from the store: what was selected teaches what to do, never what happens, and nothing is lost on the way."""

import json
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from strategy.network_layout import Sizes
from tests.training.made_store import stored_tape
from tests.training.made_tape import EDGE20, swinging, tape_of
from tests.training.test_memory import opened
from training.inputs import fit
from training.learner import Batch, Learner, Recipe
from training.lessons import Lessons
from training.memory import Memory, Stored
from training.quality import Half, score
from training.remembered import Recall, Recollection, Remembered, together
from training.selfplay import Play
from training.store_maintenance import ExperienceMaintenance
from training.tape import mirror_of
from training.targets import FLAT, Prices, legal_table

LEGAL = legal_table(allow_reverse=False)
SIZES = Sizes(inputs=EDGE20.size, hidden=16, bins=63)
RECIPE = Recipe(batch=32)
MIRROR = mirror_of(EDGE20)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A filled store."""
    stored_tape(tmp_path / "experience.db", swinging(1000, 6))
    return tmp_path / "experience.db"


def recalled(stored: Stored) -> Remembered:
    """Draws of 32 of each half."""
    normaliser = fit(stored.known[Half.UNBIASED].tape.rows, EDGE20)
    return Remembered(stored, MIRROR, normaliser, LEGAL, SIZES, RECIPE, Play(simulations=4), Recall(), 32)


def learned(stored: Stored, steps: int) -> dict[str, torch.Tensor]:
    """Weights after some steps of one pass."""
    learner, remembered = Learner(SIZES, RECIPE, LEGAL, 0), recalled(stored)
    remembered.prepare(learner, steps)
    for _ in range(steps):
        learner.step(remembered.batch(), 0.1)
        remembered.learned(learner.td_errors)
    return learner.networks.state_dict()


def changed(stored: Stored, half: Half, change: Callable[[Prices], Prices]) -> Stored:
    """The same store, had the prices of one half moved otherwise."""
    memory = stored.known[half]
    tape = replace(memory.tape, prices=change(memory.tape.prices))
    return replace(stored, known={**stored.known, half: replace(memory, tape=tape)})


def test_what_became_of_the_chosen_teaches_nothing(path: Path) -> None:
    """Had every step of the quality half earned ten times as much, the weights would be the same, bit for bit.

    Of the unbiased half they would not.
    """
    before = learned(opened(path), 6)

    def more(prices: Prices) -> Prices:
        return prices._replace(change=10.0 * prices.change)

    after = learned(changed(opened(path), Half.QUALITY, more), 6)
    assert all(torch.equal(after[name], value) for name, value in before.items())
    other = learned(changed(opened(path), Half.UNBIASED, more), 6)
    assert any(not torch.equal(other[name], value) for name, value in before.items())


def test_each_half_serves_its_own_losses(path: Path) -> None:
    """Policies are learned where a search was made, from the position that was met; events from the other half."""
    stored = opened(path)
    remembered = recalled(stored)
    remembered.prepare(Learner(SIZES, RECIPE, LEGAL, 0), 3)
    batch = remembered.batch()
    assert batch.weights is not None
    habits, events = slice(0, 32), slice(32, 64)
    assert (batch.weights.event[habits] == 0.0).all()
    assert (batch.weights.policy[habits, 0].sum(-1) == 1.0).all()
    assert (batch.weights.event[events, 0] == 1.0).all()
    assert (batch.weights.policy[events] == 0.0).all()
    assert (batch.weights.state[events] == 0.0).all()
    assert remembered.drawn == 3 * 32 + 32
    assert 0 < remembered.searched <= 3 * 32


def test_the_last_decision_of_a_piece_is_learned_from(path: Path) -> None:
    """As far as it goes: its own bar counts, what came after it does not, and no known decision is left out."""
    stored = opened(path)
    memory = stored.known[Half.UNBIASED]
    lessons = Recollection(memory, None, 3, fit(memory.tape.rows, EDGE20), LEGAL)
    n = len(memory)
    met = lessons.meet(np.random.default_rng(0), np.arange(n), 2)
    left = memory.last - np.arange(n)
    assert (met.known.numpy() == (np.arange(3) <= left[:, None])).all()
    assert (left == 0).any()
    assert met.batch.label[:, 0].tolist() == memory.tape.label.tolist()


def test_the_mirrored_market_is_met_as_often() -> None:
    """In the mirror image labels, positions and policies change sides."""
    tape = tape_of(swinging(400, 6))
    n = len(tape)
    memory = Memory(tape, np.full(n, n - 1), np.full(n, 2), np.arange(n), np.arange(n))
    lessons = Recollection(memory, MIRROR, 3, fit(tape.rows, EDGE20), LEGAL)
    wanted = np.tile(np.array([0.5, 0.4, 0.1, 0.0], np.float32), (n, 1))
    lessons.found(np.arange(n), wanted)
    met = lessons.meet(np.random.default_rng(0), np.arange(n), 1)
    mirrored = met.index >= n
    assert 0.4 < mirrored.mean() < 0.6
    assert (met.position == np.where(mirrored, 0, 2)).all()
    assert (met.batch.label[:, 0].numpy() == np.where(mirrored, 2 - tape.label, tape.label)).all()
    policy = met.batch.policy[torch.arange(n), 0, torch.from_numpy(met.position)].numpy()
    assert np.allclose(policy, np.where(mirrored[:, None], wanted[:, [0, 2, 1, 3]], wanted))


def test_a_long_piece_teaches_what_the_tape_teaches() -> None:
    """Far from its end, the returns of one remembered piece are those of the tape."""
    tape = tape_of(swinging(700, 6))
    n = len(tape)
    memory = Memory(tape, np.full(n, n - 1), np.full(n, FLAT), np.arange(n), np.arange(n))
    normaliser, learner = fit(tape.rows, EDGE20), Learner(SIZES, RECIPE, LEGAL, 0)
    whole, remembered = Lessons([tape], normaliser, LEGAL), Recollection(memory, None, 3, normaliser, LEGAL)
    bars = np.arange(n - 250)[:, None] + np.arange(3)
    batches = []
    for lessons in (whole, remembered):
        lessons.prepare(learner)
        batches.append(lessons.batch(np.random.default_rng(0), bars))
    assert torch.allclose(batches[0].state_value, batches[1].state_value, atol=1e-5)
    assert torch.allclose(batches[0].action_value, batches[1].action_value, atol=1e-5)


def test_td_errors_reach_the_store(path: Path) -> None:
    """What was drawn is scored by |value - return| at the position it was met in; the store finds nothing wrong."""
    stored = opened(path)
    learner, remembered = Learner(SIZES, RECIPE, LEGAL, 0), recalled(stored)
    remembered.prepare(learner, 1)
    batch = remembered.batch()
    learner.step(batch, 0.1)
    remembered.learned(learner.td_errors)
    remembered.flush()
    remembered.close()
    with sqlite3.connect(path) as db:
        rows = db.execute(
            "SELECT td_error, score.score, pips, side IS NOT NULL, position_change, done, reward, session_expectancy"
            " FROM score JOIN step ON step.id = score.step JOIN segment ON segment.id = segment WHERE td_error > 0"
        ).fetchall()
    db.close()
    assert 32 < len(rows) <= 64
    assert remembered.written == len(rows)
    wrong = {round(error, 5) for error in learner.td_errors.flatten().tolist()}
    for error, found, pips, traded, changes, done, reward, expectancy in rows:
        assert round(error, 5) in wrong
        assert found == score(pips, bool(traded), bool(changes), bool(done), error, reward, expectancy)
    store = ExperienceMaintenance(path)
    assert store.verify()["rescored"] == []
    store.close()


def test_it_goes_on_exactly_though_scores_ran_ahead(path: Path) -> None:
    """Killed after scores were written, but before that was saved: the checkpoint brings its own scores back."""

    def run(remembered: Remembered, learner: Learner, passes: int) -> None:
        for _ in range(passes):
            remembered.prepare(learner, 3)
            for _ in range(3):
                learner.step(remembered.batch(), 0.1)
                remembered.learned(learner.td_errors)
            remembered.flush()

    whole, learner = recalled(opened(path)), Learner(SIZES, RECIPE, LEGAL, 0)
    run(whole, learner, 1)
    kept, weights = json.dumps(_plain(whole.state())), learner.state()
    run(whole, learner, 2)
    whole.close()
    again, other = recalled(opened(path)), Learner(SIZES, RECIPE, LEGAL, 1)
    other.restore(weights)
    state = json.loads(kept)
    again.restore({**state, "ids": torch.tensor(state["ids"]), "td_errors": torch.tensor(state["td_errors"]).double()})
    run(again, other, 2)
    pairs = zip(learner.networks.parameters(), other.networks.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert (again.drawn, again.searched, again.written) == (whole.drawn, whole.searched, whole.written)


def _plain(state: dict[str, object]) -> dict[str, object]:
    return {name: value.tolist() if isinstance(value, torch.Tensor) else value for name, value in state.items()}


def test_what_counts_for_nothing_changes_nothing() -> None:
    """A batch with another beside it that has no weight is that batch alone."""
    tape = tape_of(swinging(400, 6))
    lessons = Lessons([tape], fit(tape.rows, EDGE20), LEGAL)
    lessons.prepare(Learner(SIZES, RECIPE, LEGAL, 0))
    one, other = lessons.batches(np.random.default_rng(0), 32, 2, 2)
    full = together([other]).weights
    assert full is not None
    nothing = replace(full, policy=0 * full.policy, state=0 * full.state, event=0 * full.event)
    results = []
    for batch in (one, together([one, replace(other, weights=nothing)])):
        learner = Learner(SIZES, RECIPE, LEGAL, 0)
        losses = learner.step(batch, 0.1)
        results.append((losses.total, torch.cat([some.flatten() for some in learner.networks.parameters()])))
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-5)
    assert torch.allclose(results[0][1], results[1][1], atol=1e-5)
    assert isinstance(one, Batch)
