"""Folds of a walk-forward study: tests share the last half, and nothing of a test was learned from."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.bars import BarSize, add_quote, clock_ends, close_bar, is_full, new_bar
from broker.errors import BadInput
from training.course import FEWEST
from training.folds import LEARNABLE, bar_starts, split


@given(bars=st.integers(7000, 100_000), count=st.integers(1, 8), warmup=st.integers(160, 512), more=st.integers(0, 400))
def test_tests_are_later_than_what_was_learned(bars: int, count: int, warmup: int, more: int) -> None:
    """Training ends an embargo before the test, whose warm-up lies inside the embargo; tests tile the last half."""
    folds = split(bars, count, warmup, warmup + more)
    for fold in folds:
        assert fold.train[0] == 0
        assert fold.train[1] + warmup + more == fold.test[0]
        assert fold.train[1] <= fold.lead == fold.test[0] - warmup
        assert fold.train[1] - fold.train[0] >= LEARNABLE + warmup
    assert [fold.test[1] for fold in folds] == [*(fold.test[0] for fold in folds[1:]), bars]
    assert folds[0].test[0] == bars - round(bars / 2)


def test_a_window_rolls() -> None:
    """With a longest window, every fold learns from that many bars, the latest before its embargo."""
    folds = split(40_000, 4, 500, 600, longest=3000)
    assert [stop - start for start, stop in (fold.train for fold in folds)] == [3000] * 4
    assert len({fold.train[0] for fold in folds}) == 4


@pytest.mark.parametrize(
    ("bars", "count", "embargo", "longest", "word"),
    [
        (6000, 3, 512, None, "too few"),
        (9000, 0, 512, None, "--folds"),
        (9000, 3, 511, None, "--embargo"),
        (9000, 3, 512, 2511, "--window"),
    ],
)
def test_what_makes_no_sense_is_refused(bars: int, count: int, embargo: int, longest: int | None, word: str) -> None:
    """Too few bars, no fold, an embargo shorter than the warm-up, a window that nothing can be learned from."""
    with pytest.raises(BadInput, match=word):
        split(bars, count, 512, embargo, longest)


def test_learnable_is_what_the_trainer_says() -> None:
    """A fold that is accepted here is not refused by the trainer for its length."""
    assert LEARNABLE == FEWEST


@given(steps=st.lists(st.integers(0, 12), min_size=1, max_size=80), clock=st.booleans(), size=st.integers(1, 7))
def test_bars_start_where_the_session_starts_them(steps: list[int], clock: bool, size: int) -> None:
    """The bar kernel, quote by quote, opens its bars at the same quotes."""
    time = np.cumsum(steps)
    bar = new_bar(BarSize(clock, size))
    opened = []
    for i, now in enumerate(time.tolist()):
        if clock_ends(bar[0], now):
            close_bar(bar[0])
        if bar[0]["count"] == 0 or bar[0]["closed"] == 1:
            opened.append(i)
        add_quote(bar[0], now, 100, 102)
        if is_full(bar[0]):
            close_bar(bar[0])
    assert bar_starts(time, BarSize(clock, size)).tolist() == opened
