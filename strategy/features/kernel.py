"""The one entry of every feature set: `on_close` at each bar's close, `observe` at a decision."""

import numpy as np
from numba import njit

from broker.types import Float64s
from strategy.features import edge20, micro15
from strategy.features.market import HEAD, take_close

NONE, EDGE20, MICRO15 = 0, 1, 2

_SIZES = {NONE: HEAD, EDGE20: edge20.SIZE, MICRO15: micro15.SIZE}


def new_state(kind: int) -> Float64s:
    """State before the first bar, `[n]` float64: the head of `market`, then the set's own."""
    state = np.zeros(_SIZES[kind])
    if kind == MICRO15:
        for block in micro15.BLOCKS:
            state[block : block + micro15.SPAN] = np.inf
            state[block + micro15.SPAN : block + 2 * micro15.SPAN] = -np.inf
    return state


@njit(cache=True, nogil=True, error_model="numpy")
def on_close(
    kind: int, state: Float64s, close_pips: float, spread_pips: float, point_pips: float, end_time: int
) -> None:
    """Take in a closed bar, in place; O(1) amortised.

    Args:
        kind: NONE, EDGE20 or MICRO15.
        state: of `new_state(kind)`.
        close_pips: mid close, on half points.
        spread_pips: mean spread of the bar's quotes.
        point_pips: a point, in pips.
        end_time: end of the bar, ns.
    """
    take_close(state, close_pips, spread_pips, point_pips)
    if kind == EDGE20:
        edge20.take_bar(state)
    elif kind == MICRO15:
        micro15.take_bar(state, end_time)


@njit(cache=True, nogil=True, error_model="numpy")
def observe(
    kind: int,
    state: Float64s,
    row: Float64s,
    side: int,
    open_pips: float,
    from_peak: float,
    max_dd: float,
    dd_sum: float,
    bars_since_entry: int,
) -> None:
    """Fill a decision's row `[set.size]` float64; the state stays as it is.

    Args:
        side: -1, 0 or 1; flat makes every position input 0.
        open_pips: profit if closed now.
        from_peak: its distance below the best so far, >= 0.
        max_dd, dd_sum: largest and accumulated drawdown, pips, >= 0.
        bars_since_entry: bar closes since the entry.
    """
    if kind == EDGE20:
        edge20.observe_market(state, row)
        if side == 0:
            row[edge20.POSITION :] = 0.0
        else:
            edge20.observe_position(state, row, side, open_pips, from_peak, max_dd, dd_sum, bars_since_entry)
    elif kind == MICRO15:
        micro15.observe_market(state, row)
        if side == 0:
            row[micro15.POSITION :] = 0.0
        else:
            micro15.observe_position(row, side, open_pips, from_peak, max_dd, dd_sum, bars_since_entry)
