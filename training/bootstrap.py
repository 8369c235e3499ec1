"""Intervals of a mean whose observations depend on their neighbours: the circular block bootstrap.

Blocks of neighbours are drawn with replacement from the series closed to a ring (Politis and Romano 1992), so that
what hangs together inside a block still does in every resample. Their length is that of Politis and White (2004), with
the correction of Patton, Politis and White (2009): the stronger the neighbours' correlation, the longer the blocks.
"""

import math

import numpy as np

from broker.types import Float64s, Int64s

FEWEST = 10
"""Observations below which an interval would only pretend to say something."""
QUIET = 5
"""Lags in a row without a correlation that end the search for the last one (Politis and White: K_n)."""


def interval(
    values: Float64s, generator: np.random.Generator, share: float = 0.95, resamples: int = 2000
) -> tuple[float, float] | None:
    """The percentile interval of the mean of `values`; None for fewer than FEWEST.

    Args:
        values: `[n] float64`, in order of time. generator: consumed. share: of coverage.

    >>> low, high = interval(np.arange(100.0) % 2, np.random.default_rng(1))
    >>> low <= 0.5 <= high
    True
    """
    n = len(values)
    if n < FEWEST:
        return None
    length = block_length(values)
    whole, rest = divmod(n, length)
    sums = np.concatenate([[0.0], np.cumsum(np.concatenate([values, values[:length]]))])
    full, part = sums[length : length + n] - sums[:n], sums[rest : rest + n] - sums[:n]
    means = [full[generator.integers(n, size=whole)].sum() + part[generator.integers(n)] for _ in range(resamples)]
    low, high = np.quantile(np.array(means) / n, [(1.0 - share) / 2.0, (1.0 + share) / 2.0])
    return float(low), float(high)


def block_length(values: Float64s) -> int:
    """Observations a block, from the correlogram up to where it is noise.

    >>> block_length(np.random.default_rng(0).normal(size=1000)) < 10
    True
    >>> block_length(np.cumsum(np.random.default_rng(0).normal(size=1000))) > 50
    True
    """
    n = len(values)
    most = math.ceil(math.sqrt(n)) + QUIET
    covariance = autocovariance(values, min(most + QUIET, n - 1))
    if covariance[0] <= 0.0:
        return 1
    noise = 2.0 * math.sqrt(math.log10(n) / n)
    loud = np.flatnonzero(np.abs(covariance[1:] / covariance[0]) >= noise) + 1
    last = last_before_quiet(loud)
    reach = min(2 * max(last, 1), most, len(covariance) - 1)
    lag = np.arange(1, reach + 1)
    window = np.minimum(1.0, 2.0 * (1.0 - lag / reach))
    g = 2.0 * float((window * lag * covariance[lag]).sum())
    spectrum = float(covariance[0] + 2.0 * (window * covariance[lag]).sum())
    longest = max(math.ceil(min(3.0 * math.sqrt(n), n / 3.0)), 1)
    if spectrum <= 0.0:
        return 1
    return int(np.clip(round((1.5 * (g / spectrum) ** 2 * n) ** (1.0 / 3.0)), 1, longest))


def autocovariance(values: Float64s, lags: int) -> Float64s:
    """Of lags 0 to `lags`, each divided by n.

    >>> autocovariance(np.array([1.0, -1.0, 1.0, -1.0]), 1).tolist()
    [1.0, -0.75]
    """
    centred = values - values.mean()
    n = len(values)
    return np.array([centred[lag:] @ centred[: n - lag] / n for lag in range(lags + 1)])


def last_before_quiet(loud: Int64s) -> int:
    """The last of the rising lags `loud` before the first QUIET lags without one; 0 where those come first.

    >>> last_before_quiet(np.array([1, 2, 4, 20])), last_before_quiet(np.array([9]))
    (4, 0)
    """
    last = 0
    for lag in loud.tolist():
        if lag - last > QUIET:
            break
        last = lag
    return last
