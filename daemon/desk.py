"""The desk: what `strategy.session.fold` is to a replay. Inputs go in one by one; nothing else reaches the session.

It is synchronous and does no I/O but through the sink and the broker that the session was given. The clock is that of
the inputs: once it passes a bar's boundary the bar closes, and once it passes an order's time on paper the order fills,
exactly as the next quote of that instrument would have it. What comes due in several lanes is handled in the order of
its time, bars before orders, as `fold` does.
"""

import heapq
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from broker.ledger import EXTERNAL, Excursion, Position
from broker.oanda import Ended, Filled, Noted
from broker.types import Bar, Exit, Financing, Quotes
from daemon.events import (
    Activated,
    Backfilled,
    Barred,
    Beat,
    Command,
    Holding,
    Input,
    Limited,
    Missed,
    Opened,
    Operator,
    Quoted,
    Reconciled,
    Told,
)
from strategy.lane import Lane
from strategy.plugin import Strategy
from strategy.session import Session


class Desk:
    """Folds inputs into a session.

    Args:
        session: what decides; its sink and its broker hear what comes of it.
        strategies: the strategies of a model's folder, one for each lane, made beforehand where that takes long.

    Attributes:
        clock: the latest time of any input, ns.
        state: what an operator asked for last, or RESUME. model: the version activated last, or "".
    """

    def __init__(self, session: Session, strategies: Callable[[Activated], Sequence[Strategy]]) -> None:
        self._session, self._strategies = session, strategies
        self._lanes = {lane.instrument.name: lane for lane in session.lanes}
        self._others = {
            name: [other for other in session.lanes if other is not lane] for name, lane in self._lanes.items()
        }
        self.clock = 0
        self.state = Command.RESUME
        self.model = ""

    def apply(self, event: Input) -> None:
        """Take in the next input."""
        match event:
            case Quoted():
                time, bid, ask = np.array([[event.time], [event.bid], [event.ask]], np.int64)
                self.quote(event.instrument, Quotes(time, bid, ask))
            case Beat(time=time):
                self._elapse(time)
            case Told(event=said):
                self._told(said)
            case Missed():
                self._missed(event)
            case Backfilled(instrument=name, bar=bar):
                self._backfilled(self._lanes[name], bar)
            case Barred():
                self._session.risk.bar(event.by, event.why)
            case Reconciled():
                self._reconciled(event)
            case Operator():
                self._operator(event)
            case Activated():
                self._activated(event)
            case Limited(limits=limits):
                self._session.risk.limits = limits
            case Opened(run=run):
                self._session.run = run
        self.clock = max(self.clock, getattr(event, "time", 0))

    def quote(self, instrument: str, quotes: Quotes) -> None:
        """Take in consecutive valid quotes of one instrument, times never falling: the same as one `Quoted` for each.

        A quote that comes after the clock has closed its bar counts as of that bar's end.
        """
        lane, others = self._lanes[instrument], self._others[instrument]
        times = np.maximum(quotes.time, lane.began)
        quotes = Quotes(times, quotes.bid, quotes.ask)
        i, end = 0, len(times)
        while i < end:
            limit = min((other.horizon for other in others), default=None)
            if limit is not None and times[i] >= limit:
                self._elapse(int(times[i]))
                continue
            j = end if limit is None or times[-1] < limit else int(np.searchsorted(times, limit))
            i = self._run(lane, quotes, i, j)
        self.clock = max(self.clock, int(times[-1]))

    def _run(self, lane: Lane, quotes: Quotes, i: int, j: int) -> int:
        part = Quotes(quotes.time[:j], quotes.bid[:j], quotes.ask[:j])
        while i < j:
            i, stop = lane.advance(part, i)
            if stop is not None:
                self._session.handle(lane, stop)
        return j

    def _elapse(self, time: int) -> None:
        """Let the clock reach `time` in all lanes."""
        lanes = self._session.lanes
        waiting = [(stop, n) for n, lane in enumerate(lanes) if (stop := lane.elapse(time)) is not None]
        heapq.heapify(waiting)
        while waiting:
            stop, n = heapq.heappop(waiting)
            self._session.handle(lanes[n], stop)
            if (following := lanes[n].elapse(time)) is not None:
                heapq.heappush(waiting, (following, n))

    def _told(self, said: object) -> None:
        """Book what the broker says; what no trade of ours can be is adopted."""
        match said:
            case Filled(fill=fill) if fill.instrument in self._lanes:
                take = self._session.adopt if self.foreign(said) else self._session.book
                take(self._lanes[fill.instrument], fill)
            case Ended(cancel=end) if end.instrument in self._lanes:
                self._session.book(self._lanes[end.instrument], end)
            case Noted(kind="money"):
                self._moved(said)

    def foreign(self, said: Filled) -> bool:
        """Whether a fill adds to what is held, or opens what nobody here asked for."""
        units = self._lanes[said.fill.instrument].ledger.units if said.fill.instrument in self._lanes else 0
        return units * said.fill.units > 0 or (said.external and not units)

    def _moved(self, said: Noted) -> None:
        """Money came or went: what a position of ours earned belongs to its trade."""
        rest = said.amount
        for name, amount in said.parts:
            if name in self._lanes:
                rest -= amount
                self._session.book(self._lanes[name], Financing(name, said.time, amount, self._session.account))
        self._session.risk.balance += float(rest)

    def _missed(self, event: Missed) -> None:
        """No new exposure, and no decision on a bar of which quotes are missing and whose time is over."""
        lane = self._lanes[event.instrument]
        self._session.risk.bar("stream", "gap")
        if lane.size.clock and lane.in_progress and lane.bar["end"][0] <= event.end:
            self._session.pass_over(lane)

    def _backfilled(self, lane: Lane, bar: Bar) -> None:
        if bar.start < lane.began or lane.in_progress:
            return
        if self.clock:
            self._session.stand_in(lane, bar)
        else:
            self._look_back(lane, bar)

    def _look_back(self, lane: Lane, bar: Bar) -> None:
        """Take in a bar of before the start: it says nothing of what is held now."""
        risk, name = self._session.risk, lane.instrument.name
        held, guard, mark = lane.ledger.position, lane.guard.copy(), risk.memory()["open"].get(name)
        lane.ledger.adopt(None)
        self._session.stand_in(lane, bar)
        lane.ledger.adopt(held)
        lane.guard[:] = guard
        if mark is not None:
            risk.mark(name, bar.end, *mark)

    def _reconciled(self, event: Reconciled) -> None:
        session = self._session
        session.risk.balance = float(event.balance)
        held = {holding.instrument: holding for holding in event.holdings}
        for name, lane in self._lanes.items():
            for order in [order for order in lane.in_flight if order not in event.orders]:
                del lane.in_flight[order]
            holding = held.get(name)
            if lane.ledger.units != (holding.units if holding else 0):
                lane.ledger.adopt(_position(holding, event.time) if holding else None)
        for name in session.risk.memory()["open"].keys() - self._lanes.keys() - held.keys():
            session.risk.mark(name, event.time, 0.0, 0.0)

    def _operator(self, event: Operator) -> None:
        session, command = self._session, event.command
        self.state = command
        session.halted = command is Command.HALT
        session.reducing = command is Command.REDUCE
        why = {Command.RESUME: "", Command.REDUCE: "reducing", Command.HALT: "halted"}.get(command, "paused")
        session.risk.bar("operator", why)
        if command is Command.FLATTEN:
            for lane in session.lanes:
                session.flatten(lane, max(event.time, self.clock), Exit.FLATTEN)

    def _activated(self, event: Activated) -> None:
        for lane, strategy in zip(self._session.lanes, self._strategies(event), strict=True):
            lane.strategy = strategy
        self.model = event.model

    def memory(self) -> dict[str, Any]:
        """All that the desk knows, as a tree of JSON's values and arrays; with it a restart needs no old bars."""
        return {"clock": self.clock, "state": self.state, "model": self.model, "session": self._session.memory()}

    def recall(self, known: Mapping[str, Any]) -> None:
        """Take up where `memory` was asked; the strategies must be those of its model."""
        self.clock, self.state, self.model = known["clock"], Command(known["state"]), known["model"]
        self._session.recall(known["session"])


def _position(held: Holding, time: int) -> Position | None:
    if not held.units:
        return None
    return Position(held.units, time, held.price, EXTERNAL, held.stop, held.take, 0, Excursion())
