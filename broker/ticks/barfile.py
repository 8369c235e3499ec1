"""Bars as quotes: four a bar (interface: Bar files)."""

import numpy as np
from numba import njit

from broker.errors import BadInput
from broker.ticks.numbers import POINTS_INFINITE, POINTS_MINUS_INFINITE, to_points
from broker.ticks.rows import ASK_BAR_COLUMNS, BID_BAR_COLUMNS, BadLines, Rows, Source
from broker.types import Int64s, Quotes

CLOSE_BEFORE_END = 1_000_000  # ns: the close is quoted 1 ms before the bar's end
SHORTEST_BAR = 4 * CLOSE_BEFORE_END
_ORDERS = np.array(
    [[0, 2, 1, 3], [0, 1, 2, 3]]
)  # open, low, high, close; and with the high first: indices of o, h, l, c


def smallest_step(source: Source, batch: int) -> int:
    """The smallest positive step between a bar and the latest before it, ns: what bars of the file last.

    Raises:
        BadInput: a single bar whose length the name doesn't say, or steps too small to replay.
    """
    smallest, latest = 0, -(1 << 62)
    for rows in source.read(BadLines(source.path, "skip"), batch):
        smallest, latest = _step(rows.time, smallest, latest)
    smallest = smallest or source.bar_step
    if not smallest and latest > -(1 << 62):
        raise BadInput("a single bar doesn't tell how long it is", where=source.path, mend="give a file of more bars")
    if 0 < smallest < SHORTEST_BAR:
        raise BadInput(f"bars {smallest} ns apart are too short to replay", where=source.path)
    return smallest


@njit(cache=True, nogil=True, error_model="numpy")
def _step(time: Int64s, smallest: int, latest: int) -> tuple[int, int]:
    for i in range(len(time)):
        if time[i] > latest:
            step = time[i] - latest
            if latest > -(1 << 62) and (smallest == 0 or step < smallest):
                smallest = step
            latest = time[i]
    return smallest, latest


def expand(rows: Rows, columns: tuple[str, ...], precision: int, step: int, spread: int) -> Quotes:
    """Four quotes a bar `[4 n]`: open, low and high (the high first where the bid closed below its open), close.

    Args:
        step: a bar's length, ns.
        spread: points from bid to ask where the bars have no ask.
    """
    bid = _prices(rows, columns, BID_BAR_COLUMNS, precision)
    order = _ORDERS[(bid[3] < bid[0]).astype(np.int64)].T
    if ASK_BAR_COLUMNS[0] in columns:
        ask = _prices(rows, columns, ASK_BAR_COLUMNS, precision)
    else:
        ask = np.where((bid > POINTS_MINUS_INFINITE) & (bid < POINTS_INFINITE), bid + spread, bid)
    offsets = np.array([0, step // 3, 2 * step // 3, step - CLOSE_BEFORE_END])
    return Quotes(
        (rows.time[:, None] + offsets).ravel(),
        np.take_along_axis(bid, order, 0).T.ravel(),
        np.take_along_axis(ask, order, 0).T.ravel(),
    )


def _prices(rows: Rows, columns: tuple[str, ...], names: tuple[str, ...], precision: int) -> Int64s:
    """Points `[4, n]`: open, high, low, close."""
    places = [columns.index(name) for name in names]
    return np.stack([to_points(rows.mantissa[place], rows.digits[place], precision) for place in places])
