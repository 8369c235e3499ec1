"""Whether the best of many tries is more than luck: White's reality check on blocks, studentised.

Everything that was tried is resampled as if it had earned nothing: each series less its mean, in blocks of
neighbours from the series closed to a ring (Politis and Romano 1992). The p-value of one try is how often the largest
statistic of all tries, its own among them, then reaches the one that it had (White 2000; the statistics are means over
their standard errors, as in Hansen 2005, in each resample anew; the largest of all as in Romano and Wolf 2005).

Tries on the same stretch of ticks are resampled together, so that what they have in common is not paid for twice. Those
on different stretches are resampled apart. A further try can only raise the p-value: it takes no draw from another.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from broker.types import Float64s, Int64s

CELL_BARS, MOST_CELLS = 20, 2000
"""Bars whose pips are kept as one figure, more where that makes too many figures."""
FEWEST_CELLS = 16
"""Below which no p-value but 1 is given."""


@dataclass(frozen=True, slots=True)
class Series:
    """What a try earned on a stretch of ticks.

    Attributes:
        stretch: names it: the same ticks, the same name. cells: `[n] float64` pips of cells of bars, in order of time.
    """

    stretch: str
    cells: Float64s


def cells_of(bars: Float64s) -> Float64s:
    """Sums over cells of bars; what is left at the end counts to the last one.

    >>> cells_of(np.ones(50)).tolist()
    [20.0, 30.0]
    """
    size = max(CELL_BARS, math.ceil(len(bars) / MOST_CELLS))
    count = max(len(bars) // size, 1)
    cells: Float64s = np.add.reduceat(bars, np.arange(count) * size) if len(bars) else np.zeros(1)
    return cells


def statistic(cells: Float64s) -> float:
    """Mean over standard error, by blocks; 0 where nothing was earned or lost.

    >>> statistic(np.zeros(100))
    0.0
    """
    length, count = _blocks(len(cells))
    sums = _ring_sums(cells, length)
    error = math.sqrt(float(sums.var()) / max(count - 1, 1))
    return float(sums.mean()) / error if error > 0.0 else 0.0


def p_value(mine: Series, others: Sequence[Series], seed: int, resamples: int = 2000) -> float:
    """How often luck alone makes the best of all tries look as good as `mine`.

    Args:
        others: the tries before it; those that never earned or lost anything cost nothing.
        seed: of the draws.
    """
    reached = statistic(mine.cells)
    if len(mine.cells) < FEWEST_CELLS or reached <= 0.0:
        return 1.0
    stretches: dict[tuple[str, int], list[Float64s]] = {}
    for tried in (mine, *others):
        if len(tried.cells) >= FEWEST_CELLS and tried.cells.any():
            stretches.setdefault((tried.stretch, len(tried.cells)), []).append(tried.cells)
    best = np.full(resamples, -np.inf)
    for (name, size), found in stretches.items():
        length, count = _blocks(size)
        generator = np.random.Generator(np.random.PCG64([seed, _number(name), size]))
        drawn = generator.integers(size, size=(resamples, count))
        for cells in found:
            np.maximum(best, _resampled(cells, length, drawn), out=best)
    return (1 + int((best >= reached).sum())) / (1 + resamples)


def _resampled(cells: Float64s, length: int, drawn: Int64s) -> Float64s:
    """The statistic of each resample of a series that earns nothing, `[resamples]`."""
    sums = _ring_sums(cells, length)
    blocks = (sums - sums.mean())[drawn]
    error = np.sqrt(blocks.var(1) / max(blocks.shape[1] - 1, 1))
    statistics: Float64s = np.divide(blocks.mean(1), error, out=np.zeros(len(blocks)), where=error > 0.0)
    return statistics


def _ring_sums(cells: Float64s, length: int) -> Float64s:
    """Of the block that begins at each cell, the series closed to a ring."""
    total = np.cumsum(np.concatenate([[0.0], cells, cells[: length - 1]]))
    sums: Float64s = total[length:] - total[: len(cells)]
    return sums


def _blocks(size: int) -> tuple[int, int]:
    """Cells a block and blocks a resample: n^(1/3), the rate of Hall, Horowitz and Jing (1995).

    It goes by the length alone: one that went by the series would change with what else was tried.
    """
    length = max(1, math.ceil(size ** (1.0 / 3.0)))
    return length, max(size // length, 1)


def _number(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8])
