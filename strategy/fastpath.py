"""The fast path: between decisions a quote only moves the bar, the features' running state and what is watched.

`advance` takes quotes until one needs Python: a bar closed, an order is due, a held level or the risk limit was
touched. Live hands it one quote, replay a whole batch; state and stops are the same for any cutting of the stream.
`elapse` does what the next quote would where only the clock moves.
"""

from enum import IntEnum

import numpy as np
from numba import njit

from broker.bars import add_quote, clock_ends, close_bar, is_full
from broker.paper import closeout_touched, is_due, level_touched
from strategy.features import on_close

DONE, BAR, DUE, STOP, TAKE, LIMIT, CLOSEOUT = 0, 1, 2, 3, 4, 5, 7


class Halt(IntEnum):
    """Why `advance` stopped."""

    DONE = DONE
    BAR = BAR
    DUE = DUE
    STOP = STOP
    TAKE = TAKE
    LIMIT = LIMIT
    END = 6  # the quotes are over
    CLOSEOUT = CLOSEOUT


GUARD = np.dtype([("side", np.int64), ("floor", np.int64)], align=True)
"""The risk limit of the open position: touched where side x closing price <= floor (points)."""


@njit(cache=True, nogil=True)
def _end_bar(bar, kind, features, points_per_pip):  # type: ignore[no-untyped-def]
    close_bar(bar)
    spread = bar.spreads / bar.count / points_per_pip
    on_close(kind, features, bar.close / (2.0 * points_per_pip), spread, 1.0 / points_per_pip, bar.end)


@njit(cache=True, nogil=True, error_model="numpy")
def elapse(bars, kind, features, watches, points_per_pip, time):  # type: ignore[no-untyped-def]
    """What is over once the clock has reached `time` (ns) and all quotes before it are taken in.

    Returns:
        why, when: a Halt (the bar, or an order due, whichever comes first) and its time, or DONE.
    """
    bar = bars[0]
    watch = watches[0]
    if clock_ends(bar, time) and bar.end <= watch.due:
        _end_bar(bar, kind, features, points_per_pip)
        return BAR, bar.end
    if is_due(watch, time):
        return DUE, watch.due
    return DONE, 0


@njit(cache=True, nogil=True, error_model="numpy")
def advance(  # type: ignore[no-untyped-def]
    bars, kind, features, watches, guards, points_per_pip, times, bids, asks, i, j
):
    """Fold quotes `i..j` into the state until one needs Python.

    Args:
        bars: `[1]` BAR_STATE. watches: `[1]` WATCH of the broker. guards: `[1]` GUARD.
        kind, features: the feature set's code and its state, float64.
        points_per_pip: float64, 10.0 for most pairs.
        times, bids, asks: `[n]` int64, ns and points, valid quotes.

    Returns:
        k, why, when: the first quote not taken in, a Halt, and its time in ns. At the same instant a bar closes
        first, then come the quotes with that stamp, then the orders due.
    """
    bar = bars[0]
    watch = watches[0]
    guard = guards[0]
    if is_full(bar):
        _end_bar(bar, kind, features, points_per_pip)
        return i, BAR, bar.end
    while i < j:
        time = times[i]
        if clock_ends(bar, time) or is_due(watch, time):
            why, when = elapse(bars, kind, features, watches, points_per_pip, time)
            return i, why, when
        bid = bids[i]
        ask = asks[i]
        add_quote(bar, time, bid, ask)
        i += 1
        if watch.side != 0:
            touched = level_touched(watch, bid, ask)
            if touched < 0:
                return i, STOP, time
            if touched > 0:
                return i, TAKE, time
            if closeout_touched(watch, bid, ask):
                return i, CLOSEOUT, time
        if guard.side != 0:
            closing = bid if guard.side > 0 else -ask
            if closing <= guard.floor:
                guard.side = 0
                return i, LIMIT, time
        if is_full(bar):
            _end_bar(bar, kind, features, points_per_pip)
            return i, BAR, bar.end
    return i, DONE, 0


@njit(cache=True, nogil=True, error_model="numpy")
def end_bar(bars, kind, features, points_per_pip):  # type: ignore[no-untyped-def]
    """Close the bar in progress before its time: quotes of it are missing."""
    _end_bar(bars[0], kind, features, points_per_pip)
