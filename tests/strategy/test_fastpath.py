"""The fast path: at one instant a bar closes first, then come the quotes with that stamp, then the orders due."""

import numpy as np

from broker.bars import BarSize, new_bar
from broker.paper import idle_watch
from broker.types import Int64s
from strategy.fastpath import BAR, DONE, DUE, GUARD, LIMIT, STOP, TAKE, advance
from strategy.features import NONE, new_state


class Path:
    """A lane's state and the stops found along quotes."""

    def __init__(self, size: BarSize) -> None:
        self.bar, self.watch, self.guard = new_bar(size), idle_watch(), np.zeros(1, GUARD)
        self.features = new_state(NONE)

    def stops(self, times: Int64s, bids: Int64s, asks: Int64s) -> list[tuple[int, int, int]]:
        found, i = [], 0
        while True:
            i, why, when = advance(
                self.bar, NONE, self.features, self.watch, self.guard, 10.0, times, bids, asks, i, len(times)
            )
            if why == DONE:
                return found
            found.append((i, why, when))
            if why == DUE:
                self.watch["due"] = np.iinfo(np.int64).max
            if why in (STOP, TAKE):
                self.watch["side"] = 0


def quotes(*times: int, bid: int = 1000, spread: int = 2) -> tuple[Int64s, Int64s, Int64s]:
    stamps = np.array(times, dtype=np.int64)
    bids = np.full(len(stamps), bid, dtype=np.int64)
    return stamps, bids, bids + spread


def test_a_bar_closes_before_the_quotes_and_orders_of_its_boundary() -> None:
    """A quote stamped T belongs to the next bar; an order due at T fills after the quotes stamped T."""
    path = Path(BarSize(True, 10))
    path.watch["due"] = 10
    assert path.stops(*quotes(5, 10, 10, 11)) == [(1, BAR, 10), (3, DUE, 10)]


def test_an_order_due_before_the_boundary_comes_before_the_bar() -> None:
    """When the next quote lies beyond both, they come in the order of their times."""
    path = Path(BarSize(True, 10))
    path.watch["due"] = 9
    assert path.stops(*quotes(5, 25)) == [(1, DUE, 9), (1, BAR, 10)]


def test_empty_bars_are_none() -> None:
    """Intervals without a quote close no bar, and a bar whose boundary lies after the last quote stays open."""
    assert Path(BarSize(True, 10)).stops(*quotes(5, 57, 60)) == [(1, BAR, 10), (2, BAR, 60)]


def test_a_tick_bar_is_closed_by_its_last_quote() -> None:
    """Without waiting for another one."""
    assert Path(BarSize(False, 2)).stops(*quotes(1, 2, 3, 9)) == [(2, BAR, 2), (4, BAR, 9)]


def test_levels_are_touched_on_the_closing_side() -> None:
    """A long position's levels are met by the bid, a short one's by the ask; a stop before the risk limit."""
    for side, level, expected in ((1, -1000, []), (1, 1000, [(1, STOP, 1)]), (-1, -1002, [(1, STOP, 1)])):
        path = Path(BarSize(True, 100))
        path.watch["side"], path.watch["floor"] = side, level
        path.guard["side"], path.guard["floor"] = side, level
        found = path.stops(*quotes(1))
        assert found[: len(expected)] == expected
    taken = Path(BarSize(True, 100))
    taken.watch["side"], taken.watch["ceiling"] = -1, -1002
    assert taken.stops(*quotes(1)) == [(1, TAKE, 1)]


def test_the_risk_limit_stops_once() -> None:
    """It is disarmed by its own stop: the position is on its way out."""
    path = Path(BarSize(True, 100))
    path.guard["side"], path.guard["floor"] = 1, 1000
    assert path.stops(*quotes(1, 2, 3)) == [(1, LIMIT, 1)]
