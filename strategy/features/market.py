"""What every feature set, the risk rules and the outcome labels share: running figures of the market.

All of it lives in the head of an instrument's state array, float64: `state[BARS]` closed bars, `state[SIGMA]`,
`state[OUTCOME_S]`, `state[SPREAD]`, `state[CLOSE]`, `state[CHANGE]` in pips, `state[VARIANCE]` in pips squared,
`state[HALVES]` the close in half points, then its last 20 changes. What a set keeps of its own starts at `HEAD`.

A mid price is the mean of two prices in whole points, so it lies on half points: counted in those, closes, changes
and ranges are exact, and what is equal compares equal (a price in pips isn't exact in binary).
"""

import math

import numpy as np
from numba import njit

from broker.types import Float64s

BARS, SIGMA, OUTCOME_S, SPREAD, CLOSE, CHANGE, VARIANCE, HALVES, CHANGES = 0, 1, 2, 3, 4, 5, 6, 7, 8
OUTCOME_BARS = 20
HEAD = CHANGES + OUTCOME_BARS

SIGMA_WEIGHT = 2.0 / (512 + 1)
SIGMA_FLOOR = 0.1
"""Smallest sigma, in points."""

UP, NEUTRAL, DOWN = 0, 1, 2


@njit(cache=True, nogil=True, error_model="numpy")
def take_close(state: Float64s, close_pips: float, spread_pips: float, point_pips: float) -> None:
    """Move the head of the state on by one closed bar (rules: Observation, Market outcome).

    Args:
        state: `[>= HEAD]` float64, changed in place.
        close_pips: mid close, on half points.
        spread_pips: mean spread of the bar.
        point_pips: size of a point.
    """
    bars = int(state[BARS])
    half_pips = 0.5 * point_pips
    halves = np.rint(close_pips / half_pips)
    if bars > 0:
        change = halves - state[HALVES]
        state[CHANGE] = change * half_pips
        square = state[CHANGE] * state[CHANGE]
        state[VARIANCE] = square if bars == 1 else state[VARIANCE] + SIGMA_WEIGHT * (square - state[VARIANCE])
        state[CHANGES + (bars - 1) % OUTCOME_BARS] = change
        known = min(bars, OUTCOME_BARS)
        state[OUTCOME_S] = deviation(state[CHANGES : CHANGES + known]) * half_pips
    state[BARS] = bars + 1
    state[HALVES] = halves
    state[CLOSE] = close_pips
    state[SPREAD] = max(spread_pips, point_pips)
    state[SIGMA] = max(math.sqrt(state[VARIANCE]), SIGMA_FLOOR * point_pips)


@njit(cache=True, nogil=True, error_model="numpy")
def deviation(values: Float64s) -> float:
    """Standard deviation (ddof 0) of `[n >= 1]` float64 values.

    >>> deviation(np.array([1.0, 3.0]))
    1.0
    """
    total = 0.0
    for value in values:
        total += value
    mean = total / len(values)
    squares = 0.0
    for value in values:
        squares += (value - mean) * (value - mean)
    return math.sqrt(squares / len(values))


@njit(cache=True, nogil=True, error_model="numpy")
def outcome_label(change_pips: float, s: float, k: float = 0.33, outcomes: int = 3) -> int:
    """Code of the market outcome of one decision interval, from most UP (0) to most DOWN (`outcomes` - 1).

    The middle outcome reaches from -k s to k s, both included; with 5 or 7 outcomes the further limits lie at
    3 k s and 5 k s, so that all but the outermost are equally wide. Nothing moves where s is 0.

    Args:
        change_pips: mid close of the next existing bar less that of this one.
        s: `state[OUTCOME_S]` at the decision, pips.
        k: half the width of an outcome, in s.
        outcomes: 3, 5 or 7.

    >>> outcome_label(0.4, 1.0), outcome_label(0.33, 1.0), outcome_label(-0.4, 1.0), outcome_label(2.0, 0.0)
    (0, 1, 2, 1)
    >>> [outcome_label(change, 1.0, outcomes=5) for change in (1.0, 0.9, 0.0, -0.9, -1.0)]
    [0, 1, 2, 3, 4]
    """
    middle = outcomes // 2
    if s == 0.0:
        return middle
    steps = 0
    while steps < middle and abs(change_pips) > (2 * steps + 1) * k * s:
        steps += 1
    return middle - steps if change_pips > 0.0 else middle + steps


@njit(cache=True, nogil=True, error_model="numpy")
def clip(value: float, limit: float) -> float:
    """`value` held within -limit and limit."""
    return min(max(value, -limit), limit)
