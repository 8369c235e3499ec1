"""The held-out score: pips on data that were not learned from, and whether they are more than luck."""

from collections.abc import Mapping
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


@dataclass(frozen=True, slots=True)
class Walked:
    """A policy's way along the held-out data.

    Attributes:
        pips: `[n] float64`, of each bar. held: `[n] int64`, the position in it.
    """

    pips: Float64s
    held: Ints

    def score(self) -> Score:
        """Its score."""
        opened = (self.held != 0) & (self.held != np.concatenate([[0], self.held[:-1]]))
        n = max(len(self.pips), 1)
        return Score(
            float(self.pips.sum() / n * 1000.0),
            significance(self.pips),
            float(opened.sum() / n * 1000.0),
            float((self.held != 0).mean()),
        )


def score(prices: Prices, choice: Ints) -> Score:
    """Of always taking `choice` `[n, 3]`, from flat."""
    return Walked(*walk(prices, choice)).score()


def advantage(one: Walked, other: Walked) -> float:
    """z of what one earned more than the other on the same bars."""
    return significance(one.pips - other.pips)


def strength(tried: Mapping[float, Walked], usual: float) -> float:
    """The beta to play with: the usual one, unless another earned more on the same bars than luck explains.

    Args:
        tried: ways along the held-out data by beta; the raw policy's is 0.
    """
    needed = threshold(len(tried) - 1)
    ahead = [beta for beta, walked in tried.items() if advantage(walked, tried[usual]) > needed]
    return max(ahead, key=lambda beta: float(tried[beta].pips.sum()), default=usual)


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
