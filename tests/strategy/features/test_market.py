"""Rules: Observation (sigma, spread) and Market outcome."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategy.features import (
    BARS,
    CHANGE,
    CLOSE,
    DOWN,
    HEAD,
    NEUTRAL,
    OUTCOME_S,
    SIGMA,
    SPREAD,
    UP,
    get,
    new_state,
    on_close,
    outcome_label,
)

MARKETS = st.sampled_from(["walk", "constant", "ramp", "calm", "spikes", "gaps"])
SCALES = st.sampled_from(["euro", "yen", "gold", "fine", "coarse", "huge"])
SEEDS = st.integers(0, 2**32)


@given(market=MARKETS, scale=SCALES, seed=SEEDS, bars=st.integers(1, 300))
def test_figures_follow_the_plain_formulas(walk, fold, figures, agree, market, scale, seed, bars):
    """Sigma, the outcome's deviation and the spread are the rules' batch formulas at every bar."""
    market = walk(market, scale, seed, bars)
    states, _ = fold(market, get("edge20"))
    want = figures(market)
    assert np.array_equal(states[:, BARS], np.arange(1, bars + 1))
    agree(states[:, CLOSE], want.close)
    agree(states[:, CHANGE], want.change)
    agree(states[:, SIGMA], want.sigma)
    agree(states[:, OUTCOME_S], want.outcome_s)
    agree(states[:, SPREAD], want.spread)


def test_figures_hold_over_many_bars(walk, fold, figures, agree):
    """Rounding doesn't pile up in 120,000 bars."""
    market = walk("gaps", "gold", 7, 120_000)
    states, _ = fold(market, get("edge20"))
    want = figures(market)
    agree(states[:, SIGMA], want.sigma)
    agree(states[:, OUTCOME_S], want.outcome_s)


@given(scale=SCALES, market=st.sampled_from(["constant", "ramp"]))
def test_equal_changes_have_no_deviation(walk, fold, scale, market):
    """`s = 0` is met exactly, so that a steady market is NEUTRAL."""
    states, _ = fold(walk(market, scale, 0, 60), get("edge20"))
    assert not states[:, OUTCOME_S].any()


@pytest.mark.parametrize("name", ["edge20", "micro15"])
def test_head_is_the_same_for_every_set(walk, fold, name):
    """Risk and labels read the same figures whatever the strategy sees, also with none."""
    market = walk("walk", "euro", 1, 200)
    states, _ = fold(market, get(name))
    state = new_state(0)
    for close, spread, end in zip(market.close_pips, market.spread, market.end, strict=True):
        on_close(0, state, close, spread, 0.1, end)
    assert state[:HEAD].tobytes() == states[-1, :HEAD].tobytes()


@given(
    change=st.integers(-1000, 1000),
    s=st.integers(0, 300),
    k=st.sampled_from([0.25, 0.5, 1.0]),
    outcomes=st.sampled_from([3, 5, 7]),
)
def test_labels_follow_their_limits(change, s, k, outcomes):
    """UP above k s, DOWN below -k s, NEUTRAL between and on the limits; finer outcomes at 3 k s and 5 k s."""
    limits = [Fraction(k) * s * odd for odd in (1, 3, 5)[: outcomes // 2]]
    above = sum(change > limit for limit in limits) if s else 0
    below = sum(-change > limit for limit in limits) if s else 0
    assert outcome_label(float(change), float(s), k, outcomes) == outcomes // 2 - above + below


@given(change=st.floats(-1e6, 1e6), s=st.floats(0, 1e6))
def test_three_outcomes_by_default(change, s):
    """k is 0.33 and the codes are UP, NEUTRAL, DOWN."""
    naive = NEUTRAL if s == 0 else UP if change > 0.33 * s else DOWN if change < -0.33 * s else NEUTRAL
    assert outcome_label(change, s) == naive
    assert outcome_label(change, s, 0.33, 3) == naive


@given(outcomes=st.sampled_from([3, 5, 7]), change=st.floats(0, 100), s=st.floats(0.01, 10))
def test_labels_mirror(outcomes, change, s):
    """The market turned upside down has the mirrored outcome."""
    assert outcome_label(change, s, 0.33, outcomes) + outcome_label(-change, s, 0.33, outcomes) == outcomes - 1


def test_first_bar_is_defined():
    """Before any change sigma is its floor, a tenth of a point, and nothing is NaN."""
    state = new_state(0)
    on_close(0, state, 13867.65, 0.0, 0.1, 0)
    assert math.isclose(state[SIGMA], 0.01)
    assert state[SPREAD] == 0.1
    assert np.isfinite(state).all()
