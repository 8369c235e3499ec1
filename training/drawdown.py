"""How deep a drawdown might have been: of the curve as it was, and of curves made of its blocks in another order."""

from dataclasses import dataclass

import numpy as np

from broker.types import Float64s
from training.bootstrap import block_length


@dataclass(frozen=True, slots=True)
class Drawdowns:
    """Pips from the peak, positive.

    Attributes:
        seen: of the curve as it was. p50, p95: quantiles over the resamples.
    """

    seen: float
    p50: float
    p95: float


def drawdowns(bars: Float64s, generator: np.random.Generator, resamples: int = 1000) -> Drawdowns:
    """Largest falls of the curve of `bars` and of its circular block resamples.

    Args:
        bars: `[n] float64` pips of every bar, open profit included. generator: consumed.

    >>> drawdowns(np.array([1.0, -2.0, 1.0]), np.random.default_rng(0)).seen
    2.0
    """
    n = len(bars)
    if not bars.any():
        return Drawdowns(0.0, 0.0, 0.0)
    length = block_length(bars)
    ring = np.concatenate([bars, bars[:length]])
    offset = np.arange(length)
    found = np.empty(resamples)
    for i in range(resamples):
        starts = generator.integers(n, size=-(-n // length))
        found[i] = largest_fall(ring[(starts[:, None] + offset).ravel()[:n]])
    half, most = np.quantile(found, [0.5, 0.95])
    return Drawdowns(largest_fall(bars), float(half), float(most))


def largest_fall(bars: Float64s) -> float:
    """Of the curve that starts at 0, from its highest point so far.

    >>> largest_fall(np.array([-1.0, 3.0, -2.0]))
    2.0
    """
    curve = np.cumsum(bars)
    return float((np.maximum(np.maximum.accumulate(curve), 0.0) - curve).max(initial=0.0))
