"""A lane: one instrument's bar, features, strategy, position and orders in flight."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from decimal import Decimal
from math import isnan
from typing import Any, NamedTuple

import numpy as np

from broker.account.tiers import Tier
from broker.bars import BarSize, new_bar, set_bar
from broker.ledger import Excursion, Ledger, Position
from broker.paper import idle_watch
from broker.types import Bar, Float64s, Instrument, Order, Quotes
from strategy.fastpath import GUARD, Halt, advance, elapse, end_bar
from strategy.features import NONE, FeatureSet, new_state, observe, on_close
from strategy.plugin import Remembers, Strategy


class Stop(NamedTuple):
    """Why a lane stopped (a Halt), and when. Stops sort as they are handled: bar, touched level, order due, end."""

    time: int
    rank: int
    halt: int


_RANK = {Halt.BAR: 0, Halt.STOP: 1, Halt.TAKE: 1, Halt.CLOSEOUT: 1, Halt.LIMIT: 1, Halt.DUE: 2, Halt.END: 3}


class Lane:
    """One instrument's part of a session.

    Args:
        instrument: the pair. size: of its bars.
        features: the set that its strategy sees, or None.
        strategy: decides. ledger: books its fills.
        size_units: units that one in the quotes' sizes stands for; 0 = sizes say nothing.
    """

    def __init__(
        self,
        instrument: Instrument,
        size: BarSize,
        features: FeatureSet | None,
        strategy: Strategy,
        ledger: Ledger,
        size_units: float = 0.0,
    ) -> None:
        self.instrument = instrument
        self.size = size
        self.strategy = strategy
        self.ledger = ledger
        self._kind = features.kind if features else NONE
        self._plugin = features.plugin() if features and features.plugin else None
        self.state = new_state(self._kind)
        self.row = np.zeros(features.size if features else 0)
        self.bar = new_bar(size)
        self._points_per_pip = float(instrument.points_per_pip)
        self.guard = np.zeros(1, GUARD)
        self.in_flight: dict[str, Order] = {}
        self._size_units = size_units
        self._latest: tuple[Quotes, int] | None = None

        self.watch = idle_watch()
        none = np.empty(0, np.int64)
        self.advance(Quotes(none, none, none), 0)  # the kernels are compiled before the first quote
        self.elapse(0)
        if len(self.row) and self._plugin is None:
            observe(self._kind, self.state.copy(), self.row.copy(), 0, 0.0, 0.0, 0.0, 0.0, 0)

    @property
    def expected_units(self) -> int:
        """Confirmed position and orders in flight; an exit in flight whose position is gone will be cancelled."""
        units = self.ledger.units
        for order in self.in_flight.values():
            if units or order.reason == "entry":
                units += order.units
        return units

    def advance(self, quotes: Quotes, i: int) -> tuple[int, Stop | None]:
        """Take in quotes from `i` on until one needs the session; touches this lane alone.

        Returns:
            The first quote not taken in, and why it stopped (None: all are taken in).
        """
        start = i
        i, why, when = advance(
            self.bar,
            self._kind,
            self.state,
            self.watch,
            self.guard,
            self._points_per_pip,
            quotes.time,
            quotes.bid,
            quotes.ask,
            i,
            len(quotes),
        )
        if i > start:
            self._latest = quotes, i - 1
        return i, Stop(when, _RANK[why], why) if why else None

    def tiers(self, side: int) -> tuple[Tier, ...]:
        """What the latest quote offers to a side (1 buys), prices in points, best first; () where it doesn't say."""
        if self._latest is None:
            return ()
        quotes, i = self._latest
        offered = 1 if side > 0 else 0
        if quotes.depth is not None:
            sizes, prices = quotes.depth.units[i, offered].tolist(), quotes.depth.price[i, offered].tolist()
            return tuple(Tier(Decimal(price), units) for price, units in zip(prices, sizes, strict=True) if price)
        column = (quotes.bid_size, quotes.ask_size)[offered]
        if column is None or not self._size_units or isnan(column[i]):
            return ()
        return (Tier(Decimal(int((quotes.bid, quotes.ask)[offered][i])), int(column[i] * self._size_units)),)

    def elapse(self, time: int) -> Stop | None:
        """Let the clock reach `time`: what of the bar in progress and the orders due is over, or None."""
        why, when = elapse(self.bar, self._kind, self.state, self.watch, self._points_per_pip, time)
        return Stop(when, _RANK[why], why) if why else None

    def close(self) -> None:
        """Close the bar in progress, whatever the clock says."""
        end_bar(self.bar, self._kind, self.state, self._points_per_pip)

    def stand_in(self, bar: Bar) -> None:
        """Take in a whole bar that was made elsewhere."""
        set_bar(self.bar, bar, self.instrument.points_per_pip)
        close, per_pip = self.bar["close"][0] / (2.0 * self._points_per_pip), self._points_per_pip
        on_close(self._kind, self.state, close, bar.spread, 1.0 / per_pip, bar.end)

    @property
    def in_progress(self) -> bool:
        """Whether a bar has quotes and is not closed."""
        return bool(self.bar["count"][0] and not self.bar["closed"][0])

    @property
    def horizon(self) -> int:
        """The earliest time that the clock can reach and stop the lane."""
        due = int(self.watch["due"][0])
        return min(int(self.bar["end"][0]), due + 1) if self.size.clock and self.in_progress else due + 1

    @property
    def began(self) -> int:
        """No quote may be earlier: the end of the last bar that the clock has closed, or the start of this one."""
        if not self.size.clock:
            return int(self.bar["time"][0])
        return int(self.bar["end" if self.bar["closed"][0] else "start"][0])

    def on_bar(self, bar: Bar) -> None:
        """Let a plugin's feature set and the strategy take in a closed bar."""
        if self._plugin is not None:
            per_pip = self.instrument.points_per_pip
            self._plugin.on_close(self.state, bar.close / per_pip, bar.spread, 1 / per_pip, bar.end)
        self.strategy.on_bar(bar)

    def features(self) -> Float64s | None:
        """The feature row of the decision at hand, `[n]` float64, or None without a set."""
        if not len(self.row):
            return None
        position = self.ledger.position
        held = (0, 0.0, 0.0, 0.0, 0.0, 0)
        if position is not None:
            e = position.excursion
            held = (position.side, e.pnl, e.dd, e.dd_max, e.dd_sum, position.bars)
        if self._plugin is not None:
            self._plugin.observe(self.state, self.row, *held)
        else:
            observe(self._kind, self.state, self.row, *held)
        return self.row.copy()

    def memory(self) -> dict[str, Any]:
        """Bar, features, position and orders in flight, and what the strategy keeps; `recall` takes them back."""
        position = self.ledger.position
        return {
            "bar": self.bar.copy(),
            "features": self.state.copy(),
            "guard": self.guard.copy(),
            "orders": [asdict(order) for order in self.in_flight.values()],
            "position": asdict(position) if position else None,
            "strategy": self.strategy.memory() if isinstance(self.strategy, Remembers) else None,
        }

    def recall(self, known: Mapping[str, Any]) -> None:
        """Take up where `memory` was asked."""
        for mine, kept in ((self.bar, "bar"), (self.state, "features"), (self.guard, "guard")):
            mine[:] = known[kept]
        self.in_flight = {order["id"]: Order(**order) for order in known["orders"]}
        if (held := known["position"]) is not None:
            self.ledger.adopt(Position(**{**held, "excursion": Excursion(**held["excursion"])}))
        if known["strategy"] is not None and isinstance(self.strategy, Remembers):
            self.strategy.recall(known["strategy"])


class Cursor:
    """A lane and the quotes still to come."""

    def __init__(self, lane: Lane, feed: Iterable[Quotes]) -> None:
        self.lane = lane
        self._feed: Iterator[Quotes] = iter(feed)
        self._quotes: Quotes | None = None
        self._next = 0

    def run(self) -> Stop:
        """Advance to the next stop."""
        while True:
            if self._quotes is None:
                self._quotes = next(self._feed, None)
                self._next = 0
                if self._quotes is None:
                    return Stop(int(self.lane.bar["time"][0]), _RANK[Halt.END], Halt.END)
            self._next, stop = self.lane.advance(self._quotes, self._next)
            if stop is not None:
                return stop
            self._quotes = None
