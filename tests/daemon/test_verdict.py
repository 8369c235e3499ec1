"""A verdict is written before it is acted on, and what it says is kept over further tries."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daemon.contest import Performance
from daemon.verdict import CANDIDATE, Examination, act, document_of, passing, warnings
from tests.training.test_registry import made_registry
from training.gate import Verdict
from training.registry import State
from training.validation import Play, examine

BARS = 2_000


def examination(passed: bool, loses: bool = False, stretch: str = "s", model: str = "m") -> Examination:
    """One whose gate said so."""
    bars = np.random.default_rng(1).normal(0.1, 1.0, BARS)
    play = Play(bars.reshape(-1, 20).sum(1), bars, BARS)
    found = examine(model, play, None, (), stretch=stretch, time="t", seed=1, resamples=200)
    verdict = Verdict(passed, () if passed else ("a reason", "another"))
    return Examination(found, verdict, {CANDIDATE: Performance(play)}, loses, 1)


def done(tmp_path: Path, passed: bool, loses: bool, promote: bool = True) -> tuple[Any, Any, list[str], list[bool]]:
    """A registry whose first model is best, after a verdict on the second."""
    registry, keys = made_registry(tmp_path, 2)
    registry.promote(keys[0], "first")
    kept: list[bool] = []
    found = examination(passed, loses)
    document = document_of(keys[1], keys[0], found) | {"time": "t"}
    act(registry, promote, document, found, lambda now, _: kept.append(now["promoted"] or bool(now["retired"])))
    return registry, document, keys, kept


@pytest.mark.parametrize(
    ("passed", "loses", "states"),
    [
        (True, False, (State.RETIRED, State.BEST)),
        (True, True, (State.RETIRED, State.BEST)),
        (False, False, (State.BEST, State.REJECTED)),
        (False, True, (State.RETIRED, State.REJECTED)),
    ],
)
def test_a_verdict_is_acted_on(tmp_path: Path, passed: bool, loses: bool, states: tuple[State, State]) -> None:
    """What passes succeeds; what loses goes, with a successor or without; what is kept says what became of them."""
    registry, document, keys, kept = done(tmp_path, passed, loses)
    assert tuple(registry.states()[key] for key in keys) == states
    assert (document["promoted"], document["retired"]) == (passed, keys[0] if loses and not passed else None)
    assert kept == ([False, True] if passed or loses else [False])
    verdict = registry.verdict(keys[1])
    assert verdict is not None
    assert (verdict["promoted"], verdict["retired"]) == (document["promoted"], document["retired"])
    if not passed:
        assert "a reason; another" in {change.why for change in registry.history()}


def test_without_the_word_nothing_changes(tmp_path: Path) -> None:
    """A verdict alone promotes, rejects and retires nothing."""
    registry, document, keys, _ = done(tmp_path, passed=False, loses=True, promote=False)
    assert registry.states() == {keys[0]: State.BEST, keys[1]: State.CANDIDATE}
    assert (document["promoted"], document["retired"]) == (False, None)


def test_tries_pile_up_in_the_verdict(tmp_path: Path) -> None:
    """Other ticks are one more try, the same ticks none; the best model's own tests are no tries."""
    registry, (key, best) = made_registry(tmp_path, 2)
    for stretch in ("s", "t", "s"):
        found = examination(passed=False, stretch=stretch, model=key)
        act(registry, False, document_of(key, None, found) | {"time": "t"}, found, lambda *_: None)
    verdict = registry.verdict(key)
    assert verdict is not None
    assert sorted(tried["stretch"] for tried in verdict["tries"]) == ["s", "t"]
    registry.promote(best, "by hand")
    found = examination(passed=False)
    act(registry, True, document_of(best, best, found) | {"time": "t"}, found, lambda *_: None)
    verdict = registry.verdict(best)
    assert verdict is not None
    assert verdict["tries"] == []
    assert registry.best() == best


def test_what_is_said_in_words() -> None:
    """Few trades and untrained models are warned of; a promotion says with which figures it passed."""
    found = examination(passed=True, loses=True)
    document = document_of("m", None, found)
    assert passing(document).startswith("passed the gate: 100 trades, ")
    assert list(warnings("trained", found)) == ["What trades now is significantly negative on these ticks."]
    assert "no skill" in next(warnings("untrained", found))
