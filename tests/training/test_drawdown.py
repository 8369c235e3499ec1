"""Drawdowns: of the curve as it was, and of what it might have been."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.drawdown import drawdowns, largest_fall


@given(st.lists(st.integers(-50, 50), max_size=40))
def test_the_largest_fall_is_the_largest(bars: list[int]) -> None:
    """By brute force over all pairs of a peak and a later level, the start a level too."""
    curve = [0, *np.cumsum(bars).tolist()]
    falls = [curve[i] - curve[j] for i in range(len(curve)) for j in range(i, len(curve))]
    assert largest_fall(np.array(bars, np.float64)) == max(falls)


def test_resamples_say_what_might_have_been() -> None:
    """Luck had it that no two losses met: the resamples know that they might; quantiles are in order."""
    bars = np.tile([2.0, -1.9], 500)
    ordered = drawdowns(np.sort(bars), np.random.default_rng(0))
    assert ordered.seen == pytest.approx(1.9 * 500)
    mixed = drawdowns(np.random.default_rng(3).permutation(bars), np.random.default_rng(0))
    assert mixed.p50 <= mixed.p95
    assert mixed.p95 > 10.0
    still = drawdowns(np.zeros(50), np.random.default_rng(0))
    assert (still.seen, still.p50, still.p95) == (0.0, 0.0, 0.0)
    assert drawdowns(bars, np.random.default_rng(7)) == drawdowns(bars, np.random.default_rng(7))
