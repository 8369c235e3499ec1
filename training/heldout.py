"""The held-out score: pips on data that were not learned from, and whether they are more than luck."""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from broker.types import Float64s
from training.targets import Ints, Prices, walk

BLOCK = 50
"""Bars whose sum counts as one observation, so that neighbouring bars of one trade count once."""


@dataclass(frozen=True, slots=True)
class Score:
    """What a policy earned.

    Attributes:
        pips: per 1000 bars. z: mean over its standard error. trades: per 1000 bars.
        in_market: share of the bars with a position.
    """

    pips: float
    z: float
    trades: float
    in_market: float


def score(prices: Prices, choice: Ints) -> Score:
    """Of always taking `choice` `[n, 3]`, from flat."""
    pips, held = walk(prices, choice)
    opened = (held != 0) & (held != np.concatenate([[0], held[:-1]]))
    n = max(len(pips), 1)
    return Score(
        float(pips.sum() / n * 1000.0), significance(pips), float(opened.sum() / n * 1000.0), float((held != 0).mean())
    )


def significance(pips: Float64s) -> float:
    """Mean over standard error of sums over blocks of bars; 0 where nothing was traded or too little was seen.

    >>> significance(np.zeros(1000))
    0.0
    """
    blocks = len(pips) // BLOCK
    if blocks < 2:
        return 0.0
    sums = pips[: blocks * BLOCK].reshape(blocks, BLOCK).sum(1)
    spread = sums.std(ddof=1)
    return float(sums.mean() / spread * np.sqrt(blocks)) if spread > 0.0 else 0.0


def threshold(looks: int, z: float = 2.0) -> float:
    """The z that the best of `looks` scores must pass so that luck passes as rarely as `z` at one look (Bonferroni).

    >>> threshold(1), round(threshold(10), 2)
    (2.0, 2.84)
    """
    normal = NormalDist()
    return -normal.inv_cdf(normal.cdf(-z) / max(looks, 1))
