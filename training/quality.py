"""The quality of an experience: who stays and who is drawn (rules: Experience quality).

One formula, twice: `score` for a person and a test, `scores` compiled from the same text for columns, equal to the
last bit.
"""

import math
from collections.abc import Callable, Iterable
from enum import StrEnum
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
from numba import njit

from broker.types import Float64s

Flags = npt.NDArray[np.bool_]

EVICTED_SHARE = 50
"""One in so many steps goes in a batch: 2 %."""


class Half(StrEnum):
    """The two halves of the store."""

    QUALITY = "quality"
    UNBIASED = "unbiased"


def score(
    pip_pnl: float,
    trade_complete: bool,
    position_change: bool,
    done: bool,
    td_error: float,
    reward: float,
    session_expectancy: float,
) -> float:
    """Quality of one step.

    >>> score(10.0, True, True, False, 2.0, 9.5, 1.0)
    14.55
    >>> score(-10.0, True, False, False, 0.0, -10.1, 0.0), score(-20.0, True, False, False, 0.0, -20.3, 0.0)
    (0.05, 0.05)
    """
    total = pip_pnl * 0.5 if pip_pnl > 0.0 else pip_pnl * 0.1
    if trade_complete:
        total += 5.0 if pip_pnl > 0.0 else 1.0
    if position_change:
        total += 3.0
    if done:
        total += 1.5
    total += min(abs(td_error), 5.0) * 0.15
    if reward > 0.0:
        total += min(reward * 0.1, 2.0)
    if session_expectancy > 0.0:
        total += min(session_expectancy * 0.3, 3.0)
    return max(total, 0.05)


compiled_score: Callable[..., float] = njit(cache=True, nogil=True, error_model="numpy")(score)


@njit(cache=True, nogil=True, error_model="numpy")
def scores(
    pip_pnl: Float64s,
    trade_complete: Flags,
    position_change: Flags,
    done: Flags,
    td_error: Float64s,
    reward: Float64s,
    session_expectancy: Float64s,
) -> Float64s:
    """`score` of every row of columns `[n]`."""
    out = np.empty(len(pip_pnl), np.float64)
    for i in range(len(pip_pnl)):
        out[i] = compiled_score(
            pip_pnl[i], trade_complete[i], position_change[i], done[i], td_error[i], reward[i], session_expectancy[i]
        )
    return out


def mean_score(values: Iterable[float]) -> float:
    """Quality of a trade: the mean score of its steps, added exactly, so that equal trades tie whatever their order."""
    known = list(values)
    return math.fsum(known) / len(known)


def half_of(run: str, seq: int) -> Half:
    """The half that a trade belongs to, by a hash of its id: the run and the number of its first decision.

    Known before the trade's outcome, so the unbiased half stays unbiased.

    >>> [half_of("demo", seq).value for seq in range(4)]
    ['quality', 'quality', 'quality', 'unbiased']
    """
    digest = blake2b(f"{run}/{seq}".encode(), digest_size=1).digest()
    return Half.UNBIASED if digest[0] & 1 else Half.QUALITY


class SessionExpectancy:
    """Mean pips of the trades completed so far in a session.

    >>> session = SessionExpectancy()
    >>> session.mean, session.completed(3.0), session.completed(-1.0)
    (0.0, 3.0, 1.0)
    """

    def __init__(self, pips: Iterable[float] = ()) -> None:
        self._pips: list[float] = list(pips)

    @property
    def pips(self) -> tuple[float, ...]:
        """Of the trades completed so far."""
        return tuple(self._pips)

    @property
    def mean(self) -> float:
        """Pips; 0 before the first trade."""
        return math.fsum(self._pips) / len(self._pips) if self._pips else 0.0

    def completed(self, pips: float) -> float:
        """Take in a completed trade; returns the mean with it."""
        self._pips.append(pips)
        return self.mean
