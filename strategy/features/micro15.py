"""Feature set `micro15`: the classic window of 32 bars by 9 columns and 6 inputs of the position (rules: Observation).

A row `[294]` float64: the window flattened, oldest bar first, then the position. A bar's 9 values are made once, at
its close; prices are counted in half points there, which the scaling leaves out again. At the start the columns use
the bars that exist: extremes over fewer closes, changes since the first close; bars before the first are 0 throughout.
"""

import math

from numba import njit

from broker.types import DAY, HOUR, Float64s
from strategy.features.market import BARS, CHANGE, HALVES, HEAD

WINDOW = 32
WIDTH = 9
SPAN = 60
SHORT_SPAN = 5

BLOCK = 2 * SPAN + 2
CLOSES = HEAD
CLOSE_BLOCK = CLOSES + SPAN
SPAN_BLOCK = CLOSE_BLOCK + BLOCK
SHORT_BLOCK = SPAN_BLOCK + BLOCK
RANGE_BLOCK = SHORT_BLOCK + BLOCK
ROWS = RANGE_BLOCK + BLOCK
SIZE = ROWS + WINDOW * WIDTH

BLOCKS = (CLOSE_BLOCK, SPAN_BLOCK, SHORT_BLOCK, RANGE_BLOCK)
POSITION = WINDOW * WIDTH
"""Where a row's position inputs start."""

BAR_COLUMNS = ("place", "change_60", "change_5", "range", "move", "day_cos", "day_sin", "hour_cos", "hour_sin")
COLUMNS = (
    *(f"{name}_{lag}" for lag in reversed(range(WINDOW)) for name in BAR_COLUMNS),
    *("side", "open", "age", "from_peak", "max_drawdown", "drawdown_sum"),
)
MIN_BARS = SPAN + SPAN + WINDOW - 1

WEEK_HOURS = 120
WEEK_OPEN = 3 * DAY + 22 * HOUR
"""Sunday 1970-01-04, 22:00 UTC: a week's first hour, in ns since the epoch (a Thursday)."""


@njit(cache=True, nogil=True, error_model="numpy")
def take_bar(state: Float64s, end_time: int) -> None:
    """Make the row of the bar that ends at `end_time` (ns), after the head has moved on."""
    index = int(state[BARS]) - 1
    slot = index % SPAN
    close = state[HALVES]
    if index == 0:
        state[CLOSES : CLOSES + SPAN] = close
    since_span = close - state[CLOSES + slot]
    since_short = close - state[CLOSES + max(index - SHORT_SPAN, 0) % SPAN]
    state[CLOSES + slot] = close
    low, high = slide(state[CLOSE_BLOCK : CLOSE_BLOCK + BLOCK], slot, close)
    at = ROWS + index % WINDOW * WIDTH
    state[at] = scaled(close, low, high)
    state[at + 1] = scaled_over_span(state[SPAN_BLOCK : SPAN_BLOCK + BLOCK], slot, since_span)
    state[at + 2] = scaled_over_span(state[SHORT_BLOCK : SHORT_BLOCK + BLOCK], slot, since_short)
    state[at + 3] = scaled_over_span(state[RANGE_BLOCK : RANGE_BLOCK + BLOCK], slot, high - low)
    state[at + 4] = math.tanh(state[CHANGE] / 10.0)
    hour = week_hour(end_time)
    day = math.floor(hour / 24.0) * (2.0 * math.pi / 5.0)
    phase = hour * (2.0 * math.pi / WEEK_HOURS)
    state[at + 5] = math.cos(day)
    state[at + 6] = math.sin(day)
    state[at + 7] = math.cos(phase)
    state[at + 8] = math.sin(phase)


@njit(cache=True, nogil=True, error_model="numpy")
def week_hour(time: int) -> float:
    """Hours into the trading week, 0 to 120, of a time in ns.

    The week lasts from Sunday 22:00 to Friday 22:00 UTC, all year (New York's 17:00 in winter); its day 0 is the 24
    hours that start it. The closed week-end stands at hour 120, which is the same phase as hour 0.

    >>> week_hour(0)  # a Thursday, 00:00
    74.0
    """
    return min((time - WEEK_OPEN) % (7 * DAY) / HOUR, float(WEEK_HOURS))


@njit(cache=True, nogil=True, error_model="numpy")
def slide(block: Float64s, slot: int, value: float) -> tuple[float, float]:
    """Smallest and largest of the last 60 values, this one included; O(1) amortised.

    Time is cut into blocks of 60. The window is the current block so far and the tail of the one before, whose
    extremes from each slot to its end were made when it ended (van Herk 1992; Gil and Werman 1993).

    Args:
        block: `[122]` float64: 60 smallest and 60 largest from a slot on, then the extremes of the current block.
            Before the first value the smallest are inf and the largest -inf.
        slot: place of the value in its block.

    >>> import numpy as np
    >>> block = np.repeat([np.inf, -np.inf, 0.0], [SPAN, SPAN, 2])
    >>> [slide(block, slot, value) for slot, value in enumerate((2.0, 3.0, 1.0))]
    [(2.0, 2.0), (2.0, 3.0), (1.0, 3.0)]
    """
    if slot == 0:
        block[2 * SPAN] = value
        block[2 * SPAN + 1] = value
    else:
        block[2 * SPAN] = min(block[2 * SPAN], value)
        block[2 * SPAN + 1] = max(block[2 * SPAN + 1], value)
    block[slot] = value
    block[SPAN + slot] = value
    if slot + 1 < SPAN:
        return min(block[2 * SPAN], block[slot + 1]), max(block[2 * SPAN + 1], block[SPAN + slot + 1])
    for i in range(SPAN - 2, -1, -1):
        block[i] = min(block[i], block[i + 1])
        block[SPAN + i] = max(block[SPAN + i], block[SPAN + i + 1])
    return block[2 * SPAN], block[2 * SPAN + 1]


@njit(cache=True, nogil=True, error_model="numpy")
def scaled(value: float, low: float, high: float) -> float:
    """Place of `value` between low and high, in [0, 1]; 0.5 where those are equal."""
    return (value - low) / (high - low) if high > low else 0.5


@njit(cache=True, nogil=True, error_model="numpy")
def scaled_over_span(block: Float64s, slot: int, value: float) -> float:
    """Place of `value` between the extremes of its column's own last 60 values."""
    low, high = slide(block, slot, value)
    return scaled(value, low, high)


@njit(cache=True, nogil=True, error_model="numpy")
def observe_market(state: Float64s, row: Float64s) -> None:
    """Fill the window `row[:288]`."""
    split = (WINDOW - int(state[BARS]) % WINDOW) * WIDTH
    row[:split] = state[ROWS + POSITION - split : ROWS + POSITION]
    row[split:POSITION] = state[ROWS : ROWS + POSITION - split]


@njit(cache=True, nogil=True, error_model="numpy")
def observe_position(
    row: Float64s,
    side: int,
    open_pips: float,
    from_peak: float,
    max_dd: float,
    dd_sum: float,
    bars_since_entry: int,
) -> None:
    """Fill the position inputs `row[288:]` of an open position."""
    row[POSITION] = side
    row[POSITION + 1] = math.tanh(open_pips / 100.0)
    row[POSITION + 2] = math.tanh(bars_since_entry / 100.0)
    row[POSITION + 3] = math.tanh(from_peak / 100.0)
    row[POSITION + 4] = math.tanh(max_dd / 100.0)
    row[POSITION + 5] = math.tanh(dd_sum / 100.0)
