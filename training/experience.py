"""What an experience is: steps in columns, and the segment that files them together.

A segment is either a completed trade with every decision from its entry to its close, or a stretch of decisions made
while flat. It is kept or evicted whole.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import cache

import numpy as np
import numpy.typing as npt

from broker.errors import BadInput
from broker.types import Float64s, Trade
from training.quality import Half, half_of, scores

Records = npt.NDArray[np.void]


class Kind(StrEnum):
    """What a segment holds."""

    TRADE = "trade"
    FLAT = "flat"


_STEP = [
    ("seq", "<i8"),  # number of the decision in its run
    ("time", "<i8"),  # ns UTC
    ("bid", "<i8"),
    ("ask", "<i8"),  # points: the quote known at the decision
    ("sigma", "<f8"),
    ("spread", "<f8"),  # pips
    ("change", "<f8"),  # pips the mid close moved to the next bar's close; NaN where there was none
    ("deviation", "<f8"),  # pips: s of the market outcome, NaN before 20 changes are known
    ("value", "<f8"),  # root value; NaN without a search
    ("open_pips", "<f8"),
    ("policy", "<f4", 4),
    ("visits", "<f4", 4),
    ("q", "<f4", 4),  # NaN where never visited
    ("outcome", "<f4", 3),  # predicted UP, NEUTRAL, DOWN; NaN without a search
    ("bars_held", "<i4"),
    ("action", "i1"),  # what took effect: a vetoed action counts as HOLD
    ("chosen", "i1"),  # what the strategy chose
    ("position", "i1"),
    ("legal", "u1"),  # bit a: action a was legal
    ("searched", "?"),
    ("position_change", "?"),
    ("done", "?"),  # last step of its session or episode
]


@cache
def step_dtype(features: int) -> np.dtype[np.void]:
    """Record of one step with a row of `features` inputs (un-normalised, float32); aligned."""
    return np.dtype([*_STEP, ("features", "<f4", (features,))], align=True)


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive decisions of one instrument in one run, with what they earned.

    Attributes:
        run: names the run; with a decision's seq it names the step.
        instrument: `BASE_QUOTE`.
        feature_set: of every step's features; "" where a strategy has none.
        steps: `[n >= 1]` of `step_dtype(k)`, by seq.
        models: `[n]` what decided each step.
        pips: pip_pnl of every step; 0 of a flat segment.
        reward: of every step alike (equal partners).
        session: names the UTC trading day or the episode.
        session_expectancy: mean pips of the session's trades so far, this one included.
        trade: the completed trade; None: flat.
    """

    run: str
    instrument: str
    feature_set: str
    steps: Records
    models: tuple[str, ...]
    pips: float
    reward: float
    session: str
    session_expectancy: float
    trade: Trade | None

    def __post_init__(self) -> None:
        n = len(self.steps)
        if n == 0 or len(self.models) != n or np.any(np.diff(self.steps["seq"]) <= 0):
            raise BadInput("a segment's steps are empty, out of order, or not one model each", where=self.run)
        if not np.all(np.isfinite([self.pips, self.reward, self.session_expectancy])):
            raise BadInput("a segment's pips, reward or expectancy is not finite", where=self.run)

    @property
    def first_seq(self) -> int:
        """Seq of the first decision; with the run, the segment's id."""
        return int(self.steps["seq"][0])

    @property
    def kind(self) -> Kind:
        """A trade or a flat stretch."""
        return Kind.TRADE if self.trade else Kind.FLAT

    @property
    def half(self) -> Half:
        """The half of the store that it belongs to."""
        return half_of(self.run, self.first_seq)

    def scores(self, td_errors: Float64s) -> Float64s:
        """Quality `[n]` of its steps, given their TD errors `[n]`."""
        n = len(self.steps)
        result: Float64s = scores(
            np.full(n, self.pips),
            np.full(n, self.trade is not None),
            np.ascontiguousarray(self.steps["position_change"]),
            np.ascontiguousarray(self.steps["done"]),
            td_errors,
            np.full(n, self.reward),
            np.full(n, self.session_expectancy),
        )
        return result
