"""A tape: recorded quotes as the decisions they called for, with what came next; and its mirror image.

The bar and feature kernels are those of the live session, so a tape's rows are what the strategy will see. Position
inputs are not on the tape: the same bar is looked at short, flat and long.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from broker.bars import BarSize, new_bar
from broker.errors import BadInput
from broker.paper import idle_watch
from broker.types import Float64s, Instrument, Quotes
from strategy.fastpath import GUARD, Halt, advance
from strategy.features import (
    BARS,
    CLOSE,
    NONE,
    OUTCOME_BARS,
    OUTCOME_S,
    SIGMA,
    FeatureSet,
    new_state,
    observe,
    outcome_label,
)
from strategy.network_tile import Float32s
from training.targets import Ints, Prices

OUTCOME_K = 0.33
"""Half the width of an outcome, in s (rules: Market outcome)."""


@dataclass(frozen=True, slots=True)
class Tape:
    """n decisions in order.

    Attributes:
        rows: `[n, k] float32`, un-normalised; position inputs 0.
        prices: what rewards need.
        label: `[n] int64`, the market's outcome after each decision.
        time: `[n] int64`, ns, of the decisions.
    """

    rows: Float32s
    prices: Prices
    label: Ints
    time: Ints

    def __len__(self) -> int:
        return len(self.label)

    def part(self, start: int, stop: int) -> "Tape":
        """Decisions `start` to `stop`."""
        cut = slice(start, stop)
        prices = Prices(*(column[cut] for column in self.prices))
        return Tape(self.rows[cut], prices, self.label[cut], self.time[cut])


def record(
    quotes: Iterable[Quotes],
    instrument: Instrument,
    size: BarSize,
    features: FeatureSet,
    warmup_bars: int,
    outcomes: int = 3,
) -> Tape:
    """Fold quotes into a tape; the last bar, whose outcome is not known, is left out.

    Raises:
        BadInput: the feature set is a plugin's: it can't be recorded without its session.
    """
    if features.kind == NONE:
        raise BadInput(f"feature set {features.name!r} is a plugin's", mend="train with edge20 or micro15")
    per_pip = float(instrument.points_per_pip)
    bar, state, guard = new_bar(size), new_state(features.kind), np.zeros(1, GUARD)
    watch, row = idle_watch(), np.zeros(features.size)
    rows: list[Float32s] = []
    figures: list[tuple[float, float, float, float]] = []
    times: list[int] = []
    for batch in quotes:
        i = 0
        while True:
            i, why, when = advance(
                bar, features.kind, state, watch, guard, per_pip, batch.time, batch.bid, batch.ask, i, len(batch)
            )
            if why != Halt.BAR:
                break
            if state[BARS] < warmup_bars:
                continue
            observe(features.kind, state, row, 0, 0.0, 0.0, 0.0, 0.0, 0)
            rows.append(row.astype(np.float32))
            times.append(int(when))
            half_spread = (int(bar["ask"][0]) - int(bar["bid"][0])) / per_pip / 2.0
            s = state[OUTCOME_S] if state[BARS] > OUTCOME_BARS else 0.0
            figures.append((state[CLOSE], half_spread, state[SIGMA], s))
    table = np.array(figures, np.float64).reshape(-1, 4)
    close, halves, sigma, s = table.T
    n = max(len(close) - 1, 0)
    change: Float64s = np.diff(close)
    stacked = np.array(rows[:n], np.float32).reshape(n, features.size)
    prices = Prices(change, np.ascontiguousarray(halves[:n]), np.ascontiguousarray(sigma[:n]))
    return Tape(stacked, prices, labels(change, s[:n], outcomes), np.array(times[:n], np.int64))


def labels(change: Float64s, s: Float64s, outcomes: int) -> Ints:
    """`[n] int64` outcomes of moves `[n]`, given the deviations `[n]` known before them (0: not yet), both pips."""
    pairs = zip(change, s, strict=True)
    return np.array([outcome_label(move, width, OUTCOME_K, outcomes) for move, width in pairs], np.int64)


@dataclass(frozen=True, slots=True)
class Mirror:
    """How a feature set's inputs change when every price move changes its sign: `x -> offset + sign * x`.

    Attributes:
        sign, offset: `[k] float32`.
    """

    sign: Float32s
    offset: Float32s

    def of(self, tape: Tape, outcomes: int = 3) -> Tape:
        """The tape of the mirrored market: what rose falls, and a long position earns what a short one did."""
        prices = tape.prices._replace(change=-tape.prices.change)
        return Tape(self.offset + self.sign * tape.rows, prices, outcomes - 1 - tape.label, tape.time)


ODD = ("move", "deviation")
"""Inputs that change their sign."""
RANKED = ("place", "change")
"""Inputs scaled into [0, 1] by their own range: `x -> 1 - x`."""


def mirror_of(features: FeatureSet) -> Mirror:
    """The mirror of a built-in feature set.

    >>> from strategy.features import get
    >>> mirror_of(get("edge20")).sign[[0, 15, 18, 19]].tolist()
    [-1.0, -1.0, -1.0, 1.0]
    """
    sign, offset = np.ones(features.size, np.float32), np.zeros(features.size, np.float32)
    for i, column in enumerate(features.columns[: features.size - features.position]):
        stem = column.split("_")[0]
        if stem in ODD or stem in RANKED:
            sign[i] = -1.0
        if stem in RANKED:
            offset[i] = 1.0
    return Mirror(sign, offset)
