"""Bars of mid prices: by the clock or by a number of quotes (rules: Bars, decision times and fills).

A clock bar ending at T holds the valid quotes with T - length <= time < T; boundaries are multiples of the length
since the epoch. It closes when the first quote at or after T is seen, so a bar without a quote is no bar. A tick bar
closes with its N-th quote. The state is one record, changed in place by compiled code.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from broker.types import Bar

BAR_STATE = np.dtype(
    [
        ("clock", np.int64),  # 1: by the clock, 0: by quotes
        ("length", np.int64),  # ns, or quotes
        ("start", np.int64),
        ("end", np.int64),  # ns; of a tick bar only once closed
        ("count", np.int64),  # quotes so far
        ("closed", np.int64),  # 1 once the bar is closed and until the next quote
        ("open", np.int64),  # bid + ask: twice the mid, so that it stays an integer
        ("high", np.int64),
        ("low", np.int64),
        ("close", np.int64),
        ("spreads", np.int64),  # sum of ask - bid
        ("time", np.int64),  # of the last quote
        ("bid", np.int64),
        ("ask", np.int64),
    ],
    align=True,
)


@dataclass(frozen=True, slots=True)
class BarSize:
    """Length of a bar: `size` ns by the clock, or `size` quotes."""

    clock: bool
    size: int


def new_bar(size: BarSize) -> npt.NDArray[np.void]:
    """An empty bar state `[1]` of dtype BAR_STATE."""
    state = np.zeros(1, BAR_STATE)
    state["clock"], state["length"] = int(size.clock), size.size
    return state


@njit(cache=True, nogil=True, inline="always")
def clock_ends(bar, time):  # type: ignore[no-untyped-def]
    """Whether a quote at `time` shows that the clock bar in progress is over."""
    return bar.clock == 1 and bar.closed == 0 and bar.count > 0 and time >= bar.end


@njit(cache=True, nogil=True, inline="always")
def is_full(bar):  # type: ignore[no-untyped-def]
    """Whether the tick bar in progress has its last quote."""
    return bar.clock == 0 and bar.closed == 0 and bar.count >= bar.length


@njit(cache=True, nogil=True, inline="always")
def close_bar(bar):  # type: ignore[no-untyped-def]
    """Close the bar in progress; its figures stay until the next quote."""
    bar.closed = 1
    if bar.clock == 0:
        bar.end = bar.time


@njit(cache=True, nogil=True, inline="always")
def add_quote(bar, time, bid, ask):  # type: ignore[no-untyped-def]
    """Take a valid quote into the bar, opening a new one after a close."""
    mid2 = bid + ask
    if bar.count == 0 or bar.closed == 1:
        bar.closed = 0
        bar.count = 0
        bar.spreads = 0
        bar.open = mid2
        bar.high = mid2
        bar.low = mid2
        bar.start = time
        if bar.clock == 1:
            bar.start = time - time % bar.length
            bar.end = bar.start + bar.length
    elif mid2 > bar.high:
        bar.high = mid2
    elif mid2 < bar.low:
        bar.low = mid2
    bar.close = mid2
    bar.count += 1
    bar.spreads += ask - bid
    bar.time = time
    bar.bid = bid
    bar.ask = ask


def closed_bar(state: npt.NDArray[np.void], points_per_pip: int) -> Bar:
    """The closed bar in `state` as a value."""
    (_, _, start, end, count, _, first, high, low, last, spreads, _, bid, ask) = state[0].item()
    return Bar(
        start=start,
        end=end,
        open=first / 2,
        high=high / 2,
        low=low / 2,
        close=last / 2,
        spread=spreads / count / points_per_pip,
        bid=bid,
        ask=ask,
        ticks=count,
    )


def set_bar(state: npt.NDArray[np.void], bar: Bar, points_per_pip: int) -> None:
    """Put a closed bar into `state` as if its quotes had been taken in."""
    state["start"], state["end"], state["count"], state["closed"] = bar.start, bar.end, bar.ticks, 1
    for name in ("open", "high", "low", "close"):
        state[name] = round(2 * getattr(bar, name))
    state["spreads"] = round(bar.spread * bar.ticks * points_per_pip)
    state["time"], state["bid"], state["ask"] = bar.end - 1, bar.bid, bar.ask
