"""Feature set `edge20`: recent moves and distances from averages in units of volatility (rules: Observation).

A row `[26]` float64: 16 moves, oldest first; 3 deviations from averages; volatility against the spread; 6 inputs of
the position. Moves before the first bar are 0.
"""

import math

from numba import njit

from broker.types import Float64s
from strategy.features.market import BARS, CHANGE, HEAD, SIGMA, SPREAD, clip

MOVES = 16
PERIODS = (10, 40, 160)
MOVE_RING = HEAD
GAPS = MOVE_RING + MOVES
SIZE = GAPS + len(PERIODS)

MARKET_LIMIT = 5.0
POSITION_LIMIT = 10.0
POSITION = MOVES + len(PERIODS) + 1
"""Where a row's position inputs start."""

COLUMNS = (
    *(f"move_{lag}" for lag in reversed(range(MOVES))),
    *(f"deviation_{period}" for period in PERIODS),
    "volatility",
    "side",
    "open",
    "from_peak",
    "max_drawdown",
    "drawdown_sum",
    "age",
)
MIN_BARS = MOVES + 1


@njit(cache=True, nogil=True, error_model="numpy")
def take_bar(state: Float64s) -> None:
    """Move the set's own state on, after the head.

    What is kept of an average is the gap c - EMA: `gap = (1 - alpha) (gap + d)` is the same recursion, without the
    rounding that the level of the price would bring.
    """
    change = state[CHANGE]
    state[MOVE_RING + (int(state[BARS]) - 1) % MOVES] = clip(change / state[SIGMA], MARKET_LIMIT)
    for i, period in enumerate(PERIODS):
        state[GAPS + i] = (period - 1.0) / (period + 1.0) * (state[GAPS + i] + change)


@njit(cache=True, nogil=True, error_model="numpy")
def observe_market(state: Float64s, row: Float64s) -> None:
    """Fill the market inputs `row[:20]`."""
    oldest = int(state[BARS]) % MOVES
    for i in range(MOVES):
        row[i] = state[MOVE_RING + (oldest + i) % MOVES]
    for i, period in enumerate(PERIODS):
        row[MOVES + i] = clip(1.5 * state[GAPS + i] / (state[SIGMA] * math.sqrt(period)), MARKET_LIMIT)
    row[POSITION - 1] = clip(math.log(state[SIGMA] / state[SPREAD]), MARKET_LIMIT)


@njit(cache=True, nogil=True, error_model="numpy")
def observe_position(
    state: Float64s,
    row: Float64s,
    side: int,
    open_pips: float,
    from_peak: float,
    max_dd: float,
    dd_sum: float,
    bars_since_entry: int,
) -> None:
    """Fill the position inputs `row[20:]` of an open position."""
    spread = state[SPREAD]
    row[POSITION] = side
    row[POSITION + 1] = clip(open_pips / spread, POSITION_LIMIT)
    row[POSITION + 2] = clip(from_peak / spread, POSITION_LIMIT)
    row[POSITION + 3] = clip(max_dd / spread, POSITION_LIMIT)
    row[POSITION + 4] = clip(dd_sum / spread, POSITION_LIMIT)
    row[POSITION + 5] = math.log(1.0 + bars_since_entry)
