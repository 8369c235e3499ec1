"""A course: it learns what is there to be learned, abstains where nothing is, and goes on exactly where it stopped."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from broker.errors import BadInput
from strategy.network_layout import Sizes
from tests.training.made_tape import EDGE20, swinging, tape_of, wandering
from training import checkpoint
from training.course import STRENGTHS, Course, NotANumber, Plan
from training.exam import Exam
from training.heldout import Walked
from training.learner import Learner, Losses, Recipe
from training.players import InProcess
from training.selfplay import Play
from training.tape import Tape
from training.targets import legal_table

LEGAL = legal_table(allow_reverse=False)
SIZES = Sizes(inputs=EDGE20.size, hidden=32, bins=63)
RECIPE = Recipe(passes=8, batch=64, rate=4e-3)


def never() -> float:
    """No deadline."""
    return 0.0


def course(tape: Tape, recipe: Recipe = RECIPE, steps: int | None = None, late: Callable[[], float] = never) -> Course:
    """A run in this process."""
    plan = Plan(recipe, Play(lanes=16, simulations=4), steps, late, seed=3, simulations=8, self_play=0.25)
    return Course([tape], EDGE20, SIZES, LEGAL, plan, InProcess)


@pytest.fixture(scope="module")
def swings() -> Tape:
    """A market with an edge."""
    return tape_of(swinging(4200, 7, pull=0.3))


def test_it_earns_what_a_simple_rule_earns(swings: Tape) -> None:
    """On a market that swings back, held-out pips reach most of what the plain reversal rule makes; hold makes 0."""
    run = course(swings)
    for _ in run.passes():
        pass
    beta, walked = run.play()
    found = walked.score()
    assert run.trades(found)
    assert beta in (0.0, *STRENGTHS)
    assert (found == run.raw.score()) == (beta == 0.0)
    assert found.pips > 500.0
    assert run.played > 0


def test_it_abstains_where_there_is_nothing() -> None:
    """On a martingale the held-out score isn't more than luck."""
    run = course(tape_of(wandering(4200, 8)))
    for _ in run.passes():
        pass
    assert not run.trades(run.play()[1].score())


def test_a_resumed_run_is_the_uninterrupted_one(swings: Tape, tmp_path: Path) -> None:
    """Stopped after a pass, saved, loaded and gone on with: the same weights and looks, bit for bit."""
    recipe = Recipe(passes=4, batch=128)
    whole, first, second = (course(swings, recipe) for _ in range(3))
    for _ in whole.passes():
        pass
    steps = first.passes()
    next(steps)
    next(steps)
    checkpoint.save(tmp_path / "c.pt", {"job": "this", "course": first.state()})
    saved = checkpoint.load(tmp_path / "c.pt", "this")
    assert saved is not None
    second.restore(saved["course"])
    for _ in second.passes():
        pass
    assert second.looks == whole.looks
    assert all((second.best[name] == values).all() for name, values in whole.best.items())
    assert second.played == whole.played


def test_the_newest_weights_are_kept(swings: Tape, monkeypatch: pytest.MonkeyPatch) -> None:
    """An earlier look that was luckier leads only where it was better by more than luck on the same bars."""
    run = course(swings, Recipe(passes=3, batch=128))
    rng = np.random.default_rng(0)
    lucky, even, worse = rng.normal(0.0, 1.0, (3, 1000)) + np.array([[0.05], [0.0], [-1.0]])
    held = np.zeros(1000, np.int64)
    earned = iter([Walked(pips, held) for pips in (lucky, even, worse)])
    monkeypatch.setattr(Exam, "raw", lambda *_: next(earned))
    steps = run.passes()
    for lead in (False, False, True):
        next(steps)
        now = {name: tensor.numpy() for name, tensor in run.learner.average.state_dict().items()}
        assert all((run.best[name] == now[name]).all() for name in now) != lead
    assert np.array_equal(run.raw.pips, lucky)


def test_steps_and_time_are_limits(swings: Tape) -> None:
    """The run ends at the step asked for, and at the deadline after a pass."""
    run = course(swings, steps=30)
    assert [look.step for look in run.passes()][-1] == 30
    clock = iter(np.linspace(0.0, 2.0, 40))
    late = course(swings, late=lambda: float(next(clock, 2.0)))
    assert 0 < [look.step for look in late.passes()][-1] < late.total


def test_time_may_run_out_during_self_play(swings: Tape, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass without a step is no look: the run ends with what the passes before it taught."""
    spent, play = [0.0], Course._play

    def slow(run: Course) -> None:
        play(run)
        spent[0] = float(len(run.looks))

    monkeypatch.setattr(Course, "_play", slow)
    run = course(swings, late=lambda: spent[0])
    assert [look.step for look in run.passes()] == [run.learner.steps]
    assert run.learner.steps > 0


def test_too_little_is_refused(swings: Tape) -> None:
    """Some hundred bars teach nothing that could be told from luck."""
    with pytest.raises(BadInput, match="too few"):
        course(swings.part(0, 1000))


def test_a_broken_loss_ends_the_run(swings: Tape, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loss that is not finite stops the run with its step."""
    monkeypatch.setattr(Learner, "step", lambda *_: Losses(np.nan, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0))
    with pytest.raises(NotANumber, match="step 0"):
        next(course(swings).passes())


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    """Half a checkpoint is an error with a way out, another job's is none of ours, a missing one is none."""
    path = tmp_path / "c.pt"
    assert checkpoint.load(path, "a") is None
    checkpoint.save(path, {"job": "a"})
    assert checkpoint.load(path, "b") is None
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(BadInput, match="damaged"):
        checkpoint.load(path, "a")
