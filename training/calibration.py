"""Whether the market outcomes come as often as the model says."""

import itertools

import numpy as np

from broker.types import Float64s, Int64s
from strategy.features import outcome_label

SPAN = 20
"""Mid changes that say how wide an outcome is (rules: Market outcome)."""
BINS = 10


def outcomes_after(closes: Float64s, outcomes: int = 3) -> Int64s:
    """`[n - 1] int64`: the outcome after each close but the last; the middle one before SPAN changes are known.

    Args:
        closes: `[n]` mid closes, in any unit. outcomes: 3, 5 or 7.

    >>> outcomes_after(np.array([0.0] + [1.0, 0.0] * 11))[-2:].tolist()
    [0, 2]
    """
    change = np.diff(closes)
    label = np.full(len(change), outcomes // 2, np.int64)
    if len(change) > SPAN:
        width = np.lib.stride_tricks.sliding_window_view(change[:-1], SPAN).std(1)
        pairs = zip(change[SPAN:], width, strict=True)
        label[SPAN:] = [outcome_label(move, s, outcomes=outcomes) for move, s in pairs]
    return label


def calibration_error(said: Float64s, label: Int64s) -> float:
    """Expected calibration error: of each outcome, in ten bins of what was said, weighted by their number.

    Args:
        said: `[n, outcomes]` probabilities. label: `[n]` what came.

    >>> calibration_error(np.array([[0.9, 0.1], [0.9, 0.1]]), np.array([0, 1])).__round__(3)
    0.4
    """
    n, outcomes = said.shape
    place = np.minimum((said * BINS).astype(np.int64), BINS - 1)
    error = 0.0
    for k, number in itertools.product(range(outcomes), range(BINS)):
        here = place[:, k] == number
        if here.any():
            error += abs(said[here, k].mean() - (label[here] == k).mean()) * here.sum()
    return float(error / (n * outcomes))
