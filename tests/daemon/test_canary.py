"""The canary: a model decides only after it answered well about what was seen lately."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from time import sleep

import pytest

from broker.errors import BadInput
from broker.types import Action, Bar
from daemon.canary import NotFit, fit
from strategy.plugin import Choice, Observation
from tests.daemon.made_run import observation, searched


class Answers:
    """A strategy that answers as told."""

    model, feature_set = "answers", None

    def __init__(self, answer: Callable[[Observation], Choice]) -> None:
        self.answer, self.asked = answer, 0

    def on_bar(self, bar: Bar) -> None:
        """Nothing."""

    def decide(self, seen: Observation) -> Choice:
        """As told."""
        self.asked += 1
        return self.answer(seen)


def made(answer: Callable[[Observation], Choice]) -> Callable[[], Sequence[Answers]]:
    """What makes a strategy for one lane."""
    return lambda: [Answers(answer)]


SEEN = [[observation(seq) for seq in range(100)]]


def test_what_decides_has_not_been_asked() -> None:
    """The strategies handed out are new ones, so a journal that is folded again finds the same."""
    (strategy,) = fit(made(lambda _: searched()), SEEN, 50.0)
    assert isinstance(strategy, Answers)
    assert strategy.asked == 0


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Choice(Action.CLOSE), "illegal: CLOSE"),
        (replace(searched(), value=float("nan")), "finite"),
        (replace(searched(), q=(float("inf"), None, None, None)), "finite"),
        (replace(searched(), policy=(0.5, 0.1, 0.1, 0.0)), "add up to 1"),
    ],
)
def test_answers_that_will_not_do(answer: Choice, words: str) -> None:
    """Illegal, not finite, or no probabilities: refused, and the pair is named."""
    with pytest.raises(NotFit, match=words):
        fit(made(lambda _: answer), SEEN, 50.0)


def test_a_slow_model_is_refused() -> None:
    """By its median answer: single slow ones are the machine's."""

    def slow(_: Observation) -> Choice:
        sleep(0.002)
        return searched()

    with pytest.raises(NotFit, match="longer than 1"):
        fit(made(slow), SEEN, 1.0)


def test_a_model_that_can_not_be_loaded() -> None:
    """Damage found while it is made is no end of the daemon."""

    def broken() -> Sequence[Answers]:
        raise BadInput("checksum differs", where="weights")

    with pytest.raises(NotFit, match="checksum differs"):
        fit(broken, SEEN, 50.0)


def test_nothing_seen_yet() -> None:
    """Before the first decision there is nothing to ask about."""
    assert len(fit(made(lambda _: searched()), [[]], 50.0)) == 1
