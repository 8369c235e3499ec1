"""A lane: one instrument's bar, features, strategy, position and orders in flight."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from broker.bars import BarSize, new_bar
from broker.ledger import Ledger
from broker.paper import idle_watch
from broker.types import Bar, Float64s, Instrument, Order, Quotes
from strategy.fastpath import GUARD, Halt, advance
from strategy.features import NONE, FeatureSet, new_state, observe
from strategy.plugin import Strategy


class Stop(NamedTuple):
    """Why a lane stopped (a Halt), and when. Stops sort as they are handled: bar, touched level, order due, end."""

    time: int
    rank: int
    halt: int


_RANK = {Halt.BAR: 0, Halt.STOP: 1, Halt.TAKE: 1, Halt.LIMIT: 1, Halt.DUE: 2, Halt.END: 3}


class Lane:
    """One instrument's part of a session.

    Args:
        instrument: the pair. size: of its bars.
        features: the set that its strategy sees, or None.
        strategy: decides. ledger: books its fills.
    """

    def __init__(
        self, instrument: Instrument, size: BarSize, features: FeatureSet | None, strategy: Strategy, ledger: Ledger
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

        self.watch = idle_watch()
        none = np.empty(0, np.int64)
        self.advance(Quotes(none, none, none), 0)  # the kernel is compiled before the first quote

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
        return i, Stop(when, _RANK[why], why) if why else None

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
