"""The paper broker: fills orders and held stops against the quotes it is shown (rules: Fills).

A market order fills at the quote that prevails at decision time + latency. A stop-loss or take-profit carried by an
entry fills without latency at the first quote after the entry whose closing side is at or beyond the level, at that
quote's price. What it must watch between Python calls is one record that the fast path reads.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from numba import njit

from broker.types import Cancel, Exit, Fill, Instrument, Order

NEVER = np.iinfo(np.int64).max
FAR = 1 << 62

WATCH = np.dtype(
    [
        ("due", np.int64),  # ns at which the earliest order in flight fills; NEVER
        ("side", np.int64),  # of the position whose levels are held
        ("floor", np.int64),  # side x stop price, points; -FAR
        ("ceiling", np.int64),  # side x take-profit price, points; FAR
    ],
    align=True,
)
"""What a broker asks the fast path to look out for; a real broker asks for nothing."""


class Broker(Protocol):
    """Where orders go. What happens to them comes back as Fill or Cancel."""

    def watch(self, instrument: Instrument) -> npt.NDArray[np.void]:
        """The record `[1]` of dtype WATCH that the fast path reads for this instrument."""
        ...

    def submit(self, order: Order) -> None:
        """Hand in a market order."""
        ...

    def settle(self, instrument: str, bid: int, ask: int) -> Fill | Cancel:
        """The earliest order in flight meets the prevailing quote."""
        ...

    def trigger(self, instrument: str, reason: str, time: int, bid: int, ask: int) -> Fill:
        """A held level (`stop` or `take_profit`) was touched by this quote."""
        ...

    def finish(self, instrument: str, time: int, bid: int, ask: int) -> list[Fill | Cancel]:
        """The quotes are over: settle what is due, cancel the rest, close what is open at the last quote."""
        ...


def idle_watch() -> npt.NDArray[np.void]:
    """A watch record that never calls."""
    state = np.zeros(1, WATCH)
    state["due"], state["floor"], state["ceiling"] = NEVER, -FAR, FAR
    return state


@njit(cache=True, nogil=True, inline="always")
def is_due(watch, time):  # type: ignore[no-untyped-def]
    """Whether a quote at `time` comes after the earliest order in flight is due."""
    return time > watch.due


@njit(cache=True, nogil=True, inline="always")
def level_touched(watch, bid, ask):  # type: ignore[no-untyped-def]
    """-1 where the closing side is at or beyond the stop, 1 at the take-profit, else 0."""
    closing = bid if watch.side > 0 else -ask
    if closing <= watch.floor:
        return -1
    if closing >= watch.ceiling:
        return 1
    return 0


@dataclass(slots=True)
class _Book:
    """One instrument's orders in flight, position and watch record."""

    watch: npt.NDArray[np.void]
    units: int = 0
    slippage: int = 0
    in_flight: deque[Order] = field(default_factory=deque)


class PaperBroker:
    """Deterministic fills against recorded or live quotes.

    Args:
        latency: ns between decision and fill.
        slippage_pips: paid on every market order, rounded up to whole points.
    """

    def __init__(self, latency: int, slippage_pips: float = 0.0) -> None:
        self._latency = latency
        self._slippage_pips = slippage_pips
        self._books: dict[str, _Book] = {}

    def watch(self, instrument: Instrument) -> npt.NDArray[np.void]:
        """Open a book for the instrument and return what the fast path must watch."""
        slippage = -int(-self._slippage_pips * instrument.points_per_pip // 1)
        book = self._books[instrument.name] = _Book(idle_watch(), slippage=slippage)
        return book.watch

    def submit(self, order: Order) -> None:
        """Take a market order; it fills `latency` after its decision."""
        book = self._books[order.instrument]
        book.in_flight.append(order)
        book.watch["due"] = book.in_flight[0].time + self._latency

    def settle(self, instrument: str, bid: int, ask: int) -> Fill | Cancel:
        """Fill the earliest order in flight at this quote, or cancel it where its position is gone."""
        book = self._books[instrument]
        order = book.in_flight.popleft()
        book.watch["due"] = book.in_flight[0].time + self._latency if book.in_flight else NEVER
        when = order.time + self._latency
        if order.reason != "entry" and book.units == 0:
            return Cancel(order.id, when, instrument, "cancelled", "position_gone")
        price = ask + book.slippage if order.units > 0 else bid - book.slippage
        book.units += order.units
        self._hold_levels(book, order, price)
        return Fill(order.id, when, instrument, order.units, price, bid, ask, order.reason)

    def trigger(self, instrument: str, reason: str, time: int, bid: int, ask: int) -> Fill:
        """Close the position at a touched level, at this quote's price."""
        book = self._books[instrument]
        return self._close(book, instrument, reason, time, bid, ask)

    def finish(self, instrument: str, time: int, bid: int, ask: int) -> list[Fill | Cancel]:
        """Settle orders due by the last quote, cancel later ones, close an open position at the last quote."""
        book = self._books[instrument]
        ends: list[Fill | Cancel] = []
        while book.in_flight and book.in_flight[0].time + self._latency <= time:
            ends.append(self.settle(instrument, bid, ask))
        for order in book.in_flight:
            ends.append(Cancel(order.id, order.time + self._latency, instrument, "cancelled", "end_of_quotes"))
        book.in_flight.clear()
        book.watch["due"] = NEVER
        if book.units:
            ends.append(self._close(book, instrument, Exit.END.value, time, bid, ask))
        return ends

    def memory(self) -> dict[str, Any]:
        """Positions, levels held and orders in flight of each instrument; `recall` takes them back."""
        return {
            name: {
                "watch": book.watch.copy(),
                "units": book.units,
                "orders": [asdict(order) for order in book.in_flight],
            }
            for name, book in self._books.items()
        }

    def recall(self, known: Mapping[str, Any]) -> None:
        """Take up where `memory` was asked."""
        for name in known.keys() & self._books.keys():
            book, kept = self._books[name], known[name]
            book.watch[:] = kept["watch"]
            book.units = kept["units"]
            book.in_flight = deque(Order(**order) for order in kept["orders"])

    def _close(self, book: _Book, instrument: str, reason: str, time: int, bid: int, ask: int) -> Fill:
        units, book.units = -book.units, 0
        book.watch["side"] = 0
        return Fill("", time, instrument, units, ask if units > 0 else bid, bid, ask, reason)

    @staticmethod
    def _hold_levels(book: _Book, order: Order, price: int) -> None:
        side = (book.units > 0) - (book.units < 0)
        book.watch["side"] = side
        if side and order.opens == side:
            stop, take = order.stop_distance, order.take_profit_distance
            book.watch["floor"] = side * price - stop if stop else -FAR
            book.watch["ceiling"] = side * price + take if take else FAR
