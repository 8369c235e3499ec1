"""Folds of a walk-forward study: learn from what came before, test on what comes after, nothing in between."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from broker.bars import BarSize
from broker.errors import BadInput
from broker.types import Int64s

LEARNABLE = 2000
"""Decisions below which the trainer refuses to learn (`training.course.FEWEST`)."""
TESTED = 0.5
"""Share of the bars, their end, that the folds test on, each on its own part."""


@dataclass(frozen=True, slots=True)
class Fold:
    """Numbers of bars; each range ends before its stop.

    Attributes:
        train: first bar and stop of what is learned from.
        lead: where the bars begin that only warm up the test: they are the last of the embargo.
        test: first bar and stop of what is decided on.
    """

    train: tuple[int, int]
    lead: int
    test: tuple[int, int]


def split(
    bars: int, count: int, warmup: int, embargo: int, longest: int | None = None, where: str = ""
) -> tuple[Fold, ...]:
    """Cut the last half of the bars into `count` tests, each with all that came before to learn from.

    Args:
        warmup: bars before a first decision. embargo: bars between training and test, at least the warm-up.
        longest: most bars to learn from, the latest ones (a rolling window); None: from the first bar on.
        where: names the bars in an error.

    Raises:
        BadInput: the bars are too few, or an argument makes no sense.

    >>> split(12_000, 2, 500, 500)[0]
    Fold(train=(0, 5500), lead=5500, test=(6000, 9000))
    """
    if count < 1:
        raise BadInput(f"{count} folds", where="--folds", mend="give at least 1")
    if embargo < warmup:
        what = f"an embargo of {embargo} bars is shorter than the warm-up of {warmup}"
        raise BadInput(what, where="--embargo", mend="give at least the warm-up: its bars are seen by the test")
    needed = LEARNABLE + warmup
    if longest is not None and longest < needed:
        raise BadInput(f"a window of {longest} bars", where="--window", mend=f"give at least {needed} bars")
    edges = [bars - round(bars * TESTED * (count - i) / count) for i in range(count + 1)]
    if edges[0] - embargo < needed or edges[0] == edges[1]:
        what = f"{bars} bars are too few: the first fold would learn from {max(edges[0] - embargo, 0)}"
        least = round((needed + embargo) / (1.0 - TESTED))
        raise BadInput(what, where=where, mend=f"give at least {least} bars, or shorter ones")
    folds = []
    for start, stop in pairwise(edges):
        end = start - embargo
        first = 0 if longest is None else max(0, end - longest)
        folds.append(Fold((first, end), start - warmup, (start, stop)))
    return tuple(folds)


def bar_starts(time: Int64s, size: BarSize) -> Int64s:
    """Numbers of the quotes that open a bar, as the session's own bars do (`broker.bars`).

    Args:
        time: `[n] int64` ns of clean quotes, never falling.

    >>> bar_starts(np.array([0, 1, 5, 12]), BarSize(True, 5)).tolist()
    [0, 2, 3]
    >>> bar_starts(np.array([0, 1, 5, 12]), BarSize(False, 3)).tolist()
    [0, 3]
    """
    if not size.clock:
        return np.arange(0, len(time), size.size)
    return np.flatnonzero(np.diff(time // size.size, prepend=-1))
