"""The paper broker: fills orders and held stops against the quotes it is shown (rules: Fills).

A market order fills at the quote that prevails at decision time + latency, or is refused as OANDA does, with its
reasons. A stop-loss or take-profit carried by an entry fills without latency at the first quote after the entry whose
closing side is at or beyond the level, at that quote's price. Where the account's value falls to half of its margin,
all positions are closed. What it must watch between Python calls is one record that the fast path reads.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from numba import njit

from broker.account.drafts import UNITS_MAXIMUM
from broker.account.rollover import next_payment
from broker.account.tiers import Tier, against, mean_price, walk
from broker.purse import Holding, Purse
from broker.types import Cancel, Exit, Fill, Financing, Instrument, Order

NEVER = np.iinfo(np.int64).max
FAR = 1 << 62

WATCH = np.dtype(
    [
        ("due", np.int64),  # ns at which the earliest order in flight fills or interest is paid; NEVER
        ("side", np.int64),  # of the position whose levels are held
        ("floor", np.int64),  # side x stop price, points; -FAR
        ("ceiling", np.int64),  # side x take-profit price, points; FAR
        ("closeout", np.int64),  # side x (bid + ask) at which a closeout is to be looked into; -FAR
    ],
    align=True,
)
"""What a broker asks the fast path to look out for; a real broker asks for nothing."""

Depth = Callable[[int], tuple[Tier, ...]]
"""The tiers, prices in points, of an instrument's latest quote for a side (1 buys); () where nothing is known."""


class Broker(Protocol):
    """Where orders go. What happens to them comes back as Fill or Cancel."""

    def watch(self, instrument: Instrument) -> npt.NDArray[np.void]:
        """The record `[1]` of dtype WATCH that the fast path reads for this instrument."""
        ...

    def submit(self, order: Order) -> None:
        """Hand in a market order."""
        ...

    def settle(self, instrument: str, bid: int, ask: int) -> Fill | Cancel | Financing:
        """What is due meets the prevailing quote: the earliest order in flight, or interest."""
        ...

    def trigger(self, instrument: str, reason: str, time: int, bid: int, ask: int) -> Fill | None:
        """This quote touched a held level (`stop`, `take_profit`) or the margin (`risk`); None where all stays."""
        ...

    def finish(self, instrument: str, time: int, bid: int, ask: int) -> list[Fill | Cancel | Financing]:
        """The quotes are over: settle what is due, cancel the rest, close what is open at the last quote."""
        ...


def idle_watch() -> npt.NDArray[np.void]:
    """A watch record that never calls."""
    state = np.zeros(1, WATCH)
    state["due"], state["floor"], state["ceiling"], state["closeout"] = NEVER, -FAR, FAR, -FAR
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


@njit(cache=True, nogil=True, inline="always")
def closeout_touched(watch, bid, ask):  # type: ignore[no-untyped-def]
    """Whether the mid price is at or beyond the one at which a closeout is to be looked into."""
    return watch.side * (bid + ask) <= watch.closeout


@dataclass(slots=True)
class _Book:
    """One instrument's orders in flight, position and watch record; `pays` is the next payment of interest."""

    watch: npt.NDArray[np.void]
    held: Holding
    slippage: int = 0
    in_flight: deque[Order] = field(default_factory=deque)
    pays: tuple[int, int] = (NEVER, 0)


class PaperBroker:
    """Deterministic fills against recorded or live quotes.

    Args:
        latency: ns between decision and fill.
        slippage_pips: paid on every market order, rounded up to whole points.
        purse: the account's money and terms; without one nothing is asked of an account.
        partial: an order may be filled in part (IOC); else in whole or not at all (FOK).
    """

    def __init__(
        self, latency: int, slippage_pips: float = 0.0, purse: Purse | None = None, partial: bool = False
    ) -> None:
        self._latency = latency
        self._slippage_pips = slippage_pips
        self.purse, self._partial = purse or Purse(), partial
        self._books: dict[str, _Book] = {}
        self._depths: dict[str, Depth] = {}

    def look_at(self, instrument: str, depth: Depth) -> None:
        """Fill the instrument's orders from these tiers; without them everything can be had at the quote."""
        self._depths[instrument] = depth

    def watch(self, instrument: Instrument) -> npt.NDArray[np.void]:
        """Open a book for the instrument and return what the fast path must watch."""
        slippage = -int(-self._slippage_pips * instrument.points_per_pip // 1)
        watch = idle_watch()
        self._books[instrument.name] = _Book(watch, self.purse.hold(instrument, watch), slippage)
        return watch

    def submit(self, order: Order) -> None:
        """Take a market order; it fills `latency` after its decision."""
        book = self._books[order.instrument]
        book.in_flight.append(order)
        self._set_due(book)

    def settle(self, instrument: str, bid: int, ask: int) -> Fill | Cancel | Financing:
        """Pay interest, or let the earliest order in flight meet this quote, whichever is due first."""
        book = self._books[instrument]
        self.purse.update(book.held.instrument, bid, ask)
        pays = book.pays[0] <= self._order_due(book)
        end = self._pay(book) if pays else self._meet(book, book.in_flight.popleft(), bid, ask)
        self._set_due(book)
        return end

    def trigger(self, instrument: str, reason: str, time: int, bid: int, ask: int) -> Fill | None:
        """Close the position at a touched level or for want of margin, at this quote's price.

        A take-profit waits for as much as it needs at its price or better; a margin that holds is looked into later.
        """
        book = self._books[instrument]
        self.purse.update(book.held.instrument, bid, ask)
        if reason == Exit.RISK and not self.purse.is_called(book.held):
            self.purse.arm()
            return None
        if reason == Exit.TAKE_PROFIT:
            level = abs(int(book.watch["ceiling"][0]))
            if self._take(book, -book.held.units, bid, ask, level)[1] < abs(book.held.units):
                return None
        return self._close(book, reason, time, bid, ask)

    def finish(self, instrument: str, time: int, bid: int, ask: int) -> list[Fill | Cancel | Financing]:
        """Settle orders due by the last quote, cancel later ones, close an open position at the last quote."""
        book = self._books[instrument]
        ends: list[Fill | Cancel | Financing] = []
        while self._order_due(book) <= time:
            ends.append(self.settle(instrument, bid, ask))
        for order in book.in_flight:
            ends.append(Cancel(order.id, order.time + self._latency, instrument, "cancelled", "end_of_quotes"))
        book.in_flight.clear()
        if book.held.units:
            ends.append(self._close(book, Exit.END.value, time, bid, ask))
        self._set_due(book)
        return ends

    def memory(self) -> dict[str, Any]:
        """The purse, and levels held and orders in flight of each instrument; `recall` takes them back."""
        books = {
            name: {
                "watch": book.watch.copy(),
                "pays": book.pays,
                "orders": [asdict(order) for order in book.in_flight],
            }
            for name, book in self._books.items()
        }
        return {"purse": self.purse.standing(), "books": books}

    def recall(self, known: Mapping[str, Any]) -> None:
        """Take up where `memory` was asked."""
        self.purse.stand(known["purse"])
        for name in known["books"].keys() & self._books.keys():
            book, kept = self._books[name], known["books"][name]
            book.watch[:] = kept["watch"]
            book.pays = tuple(kept["pays"])
            book.in_flight = deque(Order(**order) for order in kept["orders"])

    def _meet(self, book: _Book, order: Order, bid: int, ask: int) -> Fill | Cancel:
        """An order arrives: filled, in part where that is allowed, or refused."""
        when, held = order.time + self._latency, book.held
        units = order.units
        if order.opens == 0 and abs(units) > abs(held.units) > 0:
            units = abs(held.units) if units > 0 else -abs(held.units)  # an exit only reduces
        price, had = self._take(book, units, bid, ask)
        refusal = self._refusal(order, held, units, had, ask if units > 0 else bid)
        if refusal is None:
            units = had if units > 0 else -had
            price += book.slippage if units > 0 else -book.slippage
            refusal = None if self.purse.affords(held, units, price) else ("cancelled", "INSUFFICIENT_MARGIN")
        if refusal is not None:
            return Cancel(order.id, when, order.instrument, *refusal)
        self._move(book, units, price, when)
        self._hold_levels(book, order, price)
        return Fill(order.id, when, order.instrument, units, price, bid, ask, order.reason)

    def _refusal(self, order: Order, held: Holding, units: int, had: int, best: int) -> tuple[str, str] | None:
        """Outcome and reason of an order that may not fill; `best` is the price of its first units."""
        is_thin = had == 0 or (had < abs(units) and not self._partial)
        checks = (
            (("cancelled", "position_gone"), order.reason != "entry" and held.units * units >= 0),
            (("cancelled", "position_there"), order.reason == "entry" and held.units != 0),
            (("rejected", "UNITS_LIMIT_EXCEEDED"), abs(order.units) > UNITS_MAXIMUM),
            (("cancelled", "INSUFFICIENT_MARGIN"), is_thin and not self.purse.affords(held, units, best)),
            (("cancelled", "INSUFFICIENT_LIQUIDITY"), is_thin),
        )
        return next((refusal for refusal, hit in checks if hit), None)

    def _take(
        self, book: _Book, units: int, bid: int, ask: int, worst: int = 0, endless: bool = False
    ) -> tuple[int, int]:
        """Price in points that `units` (signed) would fill at, and how many of them.

        Args:
            worst: the worst price, 0 for none. endless: the last tier has what the others lack.
        """
        best = ask if units > 0 else bid
        depth = self._depths.get(book.held.instrument.name)
        tiers = depth(1 if units > 0 else -1) if depth else ()
        if not tiers:
            return best, abs(units)
        taken = walk(tiers, units, Decimal(worst) if worst else None, endless)
        if not taken:
            return best, 0
        return int(against(mean_price(taken), units, Decimal(1))), sum(some for _, some in taken)

    def _pay(self, book: _Book) -> Financing:
        due, days = book.pays
        amount, currency = self.purse.interest(book.held, days)
        book.pays = _payment(due + 1)
        return Financing(book.held.instrument.name, due + 1, amount, currency)

    def _close(self, book: _Book, reason: str, time: int, bid: int, ask: int) -> Fill:
        """Close the position, however thin the market."""
        units = -book.held.units
        price, _ = self._take(book, units, bid, ask, endless=True)
        self._move(book, units, price, time)
        self._set_due(book)
        book.watch["side"] = 0
        return Fill("", time, book.held.instrument.name, units, price, bid, ask, reason)

    def _move(self, book: _Book, units: int, price: int, time: int) -> None:
        side = book.held.side
        self.purse.move(book.held, units, price)
        if book.held.side != side:
            earns = book.held.units and self.purse.terms.interest.rate(book.held.instrument.name, book.held.side)
            book.pays = _payment(time) if earns else (NEVER, 0)

    def _order_due(self, book: _Book) -> int:
        return book.in_flight[0].time + self._latency if book.in_flight else NEVER

    def _set_due(self, book: _Book) -> None:
        book.watch["due"] = min(self._order_due(book), book.pays[0])

    @staticmethod
    def _hold_levels(book: _Book, order: Order, price: int) -> None:
        side = book.held.side
        book.watch["side"] = side
        if side and order.opens == side:
            stop, take = order.stop_distance, order.take_profit_distance
            book.watch["floor"] = side * price - stop if stop else -FAR
            book.watch["ceiling"] = side * price + take if take else FAR


def _payment(time: int) -> tuple[int, int]:
    """When interest is due after `time`, an instant early so that it comes before all else, and for how many days."""
    due, days = next_payment(time)
    return due - 1, days
