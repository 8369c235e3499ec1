"""The trading session: a pure fold over quotes and fills; orders follow positions.

A lane's fast path runs ahead to its next stop and touches nothing but the lane; what it stopped for is handled here,
where alone what lanes share (account, risk, broker) changes. `fold` handles the stops of all lanes in time order, so
that a run does not depend on how its quotes were cut into batches.
"""

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import ceil
from typing import Any, Protocol

from broker.bars import closed_bar
from broker.calendar import near_weekend
from broker.paper import FAR, Broker
from broker.rates import Rates
from broker.types import MINUTE, Action, Bar, Cancel, Exit, Fill, Financing, Instrument, Order, Quotes, Trade
from strategy.fastpath import Halt
from strategy.features import BARS, SIGMA, SPREAD
from strategy.lane import Cursor, Lane, Stop
from strategy.plugin import Choice, Observation, Remembers
from strategy.risk import Entry, Risk

WEEKEND_MARGIN = 15 * MINUTE
_EXITS = {Halt.STOP: Exit.STOP, Halt.TAKE: Exit.TAKE_PROFIT, Halt.CLOSEOUT: Exit.RISK}


class Sink(Protocol):
    """Who is told what the session did, in order."""

    def decided(self, observation: Observation, choice: Choice, target: int, veto: str | None, model: str) -> None:
        """A decision, vetoed or not."""
        ...

    def ordered(self, order: Order, end: Fill | Cancel) -> None:
        """An order's end."""
        ...

    def traded(self, trade: Trade, fill: Fill) -> None:
        """A completed trade and the fill that completed it."""
        ...

    def barred(self, instrument: Instrument, bar: Bar, open_pips: float) -> None:
        """A bar closed; `open_pips` is the open position's profit then."""
        ...


class Session:
    """Folds stops into decisions, orders and trades.

    Args:
        lanes: one for each instrument.
        broker: where orders go; its answers to `settle` and `trigger` are the fills.
        risk: account-wide limits. rates: conversion into `account`, a currency.
        warmup_bars: bars before the first decision, for each instrument.
        run: names the run in order ids `mt-<run>-<n>`.
        sink: who is told.

    Attributes:
        reducing: each position is closed at its next bar. halted: the strategy's choices are not acted on.
        sending: told of each order before the broker is.
    """

    def __init__(
        self,
        lanes: Sequence[Lane],
        broker: Broker,
        risk: Risk,
        rates: Rates,
        account: str,
        warmup_bars: int,
        run: str,
        sink: Sink,
    ) -> None:
        self.lanes = lanes
        self._broker, self.risk, self._rates, self.account = broker, risk, rates, account
        self._warmup_bars, self.run, self._sink = warmup_bars, run, sink
        self.reducing = self.halted = False
        self.sending: Callable[[Order], None] | None = None
        self._decisions = self._orders = 0
        for lane in lanes:
            lane.watch = broker.watch(lane.instrument)

    def handle(self, lane: Lane, stop: Stop) -> None:
        """Do what the lane stopped for."""
        name, bid, ask = lane.instrument.name, int(lane.bar["bid"][0]), int(lane.bar["ask"][0])
        match stop.halt:
            case Halt.BAR:
                self._on_bar(lane)
            case Halt.DUE:
                self.book(lane, self._broker.settle(name, bid, ask))
            case Halt.END:
                self._finish(lane)
            case Halt.LIMIT:
                self._mark(lane, stop.time, bid, ask)
                self.flatten(lane, stop.time, Exit.RISK)
            case _:
                end = self._broker.trigger(name, _EXITS[Halt(stop.halt)].value, stop.time, bid, ask)
                if end is not None:
                    self.book(lane, end)

    def _finish(self, lane: Lane) -> None:
        """A lane's quotes are over: settle what is due, cancel the rest, close what is open at the last quote."""
        bar = lane.bar[0]
        if bar["count"]:
            last = int(bar["time"]), int(bar["bid"]), int(bar["ask"])
            for end in self._broker.finish(lane.instrument.name, *last):
                self.book(lane, end)

    def _on_bar(self, lane: Lane) -> None:
        bar = closed_bar(lane.bar, lane.instrument.points_per_pip)
        self._take_bar(lane, bar)
        if lane.state[BARS] < self._warmup_bars:
            return
        observation = self._observe(lane, bar)
        self._decisions += 1
        self._act(lane, observation, lane.strategy.decide(observation))

    def stand_in(self, lane: Lane, bar: Bar) -> None:
        """Take in a bar that was made elsewhere, later than all before; nothing is decided upon it."""
        lane.stand_in(bar)
        self._take_bar(lane, bar)

    def pass_over(self, lane: Lane) -> None:
        """Close the bar in progress, quotes of which are missing; nothing is decided upon it."""
        lane.close()
        self._take_bar(lane, closed_bar(lane.bar, lane.instrument.points_per_pip))

    def _take_bar(self, lane: Lane, bar: Bar) -> None:
        lane.ledger.on_bar(bar.bid, bar.ask)
        self._mark(lane, bar.end, bar.bid, bar.ask)
        position = lane.ledger.position
        self._sink.barred(lane.instrument, bar, position.excursion.pnl if position else 0.0)
        lane.on_bar(bar)

    def _observe(self, lane: Lane, bar: Bar) -> Observation:
        position = lane.ledger.position
        expected = side_of(lane.expected_units)
        return Observation(
            seq=self._decisions,
            time=bar.end,
            instrument=lane.instrument,
            bar=bar,
            bid=bar.bid,
            ask=bar.ask,
            position=lane.ledger.side,
            expected=expected,
            legal=legal_actions(expected, self.risk.limits.allow_reverse),
            features=lane.features(),
            sigma=float(lane.state[SIGMA]),
            spread=float(lane.state[SPREAD]),
            open_pips=position.excursion.pnl if position else 0.0,
            bars_held=position.bars if position else 0,
        )

    def _act(self, lane: Lane, seen: Observation, choice: Choice) -> None:
        model = lane.strategy.model
        target = {Action.HOLD: seen.expected, Action.BUY: 1, Action.SELL: -1, Action.CLOSE: 0}[choice.action]
        veto: str | None = None
        order: Order | None = None
        weekend = self.risk.limits.flatten_before_weekend and near_weekend(
            seen.time, WEEKEND_MARGIN + (lane.size.size if lane.size.clock else 0)
        )
        if not seen.legal[choice.action]:
            veto = "illegal"
        elif self.halted and target != seen.expected:
            veto = "halted"
        elif target and target != seen.expected:
            order, veto = self._entry(lane, seen, target, weekend, model)
        elif target != seen.expected:
            order = self._exit(lane, seen.time, Exit.CLOSE, model)
        self._sink.decided(seen, choice, target, veto, model)
        if order:
            self._send(lane, order)
        elif seen.expected and self.risk.tripped:
            self.flatten(lane, seen.time, Exit.RISK)
        elif seen.expected and (weekend or self.reducing):
            self.flatten(lane, seen.time, Exit.FLATTEN)

    def _entry(
        self, lane: Lane, seen: Observation, target: int, weekend: bool, model: str
    ) -> tuple[Order | None, str | None]:
        """The order that opens or reverses, or why it may not go."""
        limits, instrument = self.risk.limits, lane.instrument
        per_pip = instrument.points_per_pip
        stop = ceil(limits.stop_sigma * seen.sigma * per_pip)
        take = ceil(limits.take_profit_sigma * seen.sigma * per_pip)
        rate = self._rates.between(instrument.quote, self.account)
        point_value = float(instrument.point * rate) if rate is not None else 0.0
        units = limits.size(self.risk.equity, stop * point_value)
        entry = Entry(
            instrument=instrument.name,
            time=seen.time,
            quote_time=int(lane.bar["time"][0]),
            units=units if rate is not None or not limits.risk_per_trade else 1,
            value=units * seen.ask * point_value if rate is not None else None,
            spread_pips=(seen.ask - seen.bid) / per_pip,
            weekend=weekend,
        )
        if (veto := self.risk.veto(entry)) is not None:
            return None, veto
        reason = "reverse" if seen.expected else "entry"
        signed = target * units - lane.expected_units
        order = Order(self._order_id(), seen.time, instrument.name, signed, stop, take, reason, target, model)
        return order, None

    def _exit(self, lane: Lane, time: int, why: Exit, model: str) -> Order:
        return Order(self._order_id(), time, lane.instrument.name, -lane.expected_units, 0, 0, why.value, 0, model)

    def flatten(self, lane: Lane, time: int, why: Exit) -> None:
        """Close whatever the lane holds or has ordered."""
        if lane.expected_units:
            self._send(lane, self._exit(lane, time, why, lane.strategy.model))

    def _order_id(self) -> str:
        self._orders += 1
        return f"mt-{self.run}-{self._orders}"

    def _send(self, lane: Lane, order: Order) -> None:
        lane.in_flight[order.id] = order
        self.risk.ordered(order.time)
        if self.sending is not None:
            self.sending(order)
        self._broker.submit(order)

    def book(self, lane: Lane, end: Fill | Cancel | Financing) -> None:
        """An order ended, a level that the broker held was filled, or interest was booked."""
        if isinstance(end, Financing):
            lane.ledger.on_financing(end, self.account)
            self.risk.financed(end, self.account)
            return
        order = self._ended(lane, end)
        if isinstance(end, Cancel):
            return
        instrument = lane.instrument
        self._rates.update(instrument, end.bid, end.ask)
        rate = self._rates.between(instrument.quote, self.account)
        trade = lane.ledger.on_fill(end, order, rate, self.account)
        if trade is not None:
            self.risk.realise(trade, self.account)
            self._sink.traded(trade, end)
        self._mark(lane, end.time, end.bid, end.ask)

    def adopt(self, lane: Lane, fill: Fill) -> None:
        """The broker filled what one entry can't hold: it is right, and the position is none of ours any more."""
        self._ended(lane, fill)
        lane.ledger.add(fill)
        self._mark(lane, fill.time, fill.bid, fill.ask)

    def _ended(self, lane: Lane, end: Fill | Cancel) -> Order | None:
        """The order that ended, None where it was a held level or another hand's."""
        order = lane.in_flight.pop(end.order_id, None)
        if order is not None:
            self._sink.ordered(order, end)
        return order

    def memory(self) -> dict[str, Any]:
        """All that the session knows, its lanes' arrays included; `recall` takes it back."""
        return {
            "decisions": self._decisions,
            "orders": self._orders,
            "run": self.run,
            "reducing": self.reducing,
            "halted": self.halted,
            "risk": self.risk.memory(),
            "rates": self._rates.memory(),
            "broker": self._broker.memory() if isinstance(self._broker, Remembers) else {},
            "lanes": {lane.instrument.name: lane.memory() for lane in self.lanes},
        }

    def recall(self, known: Mapping[str, Any]) -> None:
        """Take up where `memory` was asked; a lane that was not there then starts anew."""
        self._decisions, self._orders, self.run = known["decisions"], known["orders"], known["run"]
        self.reducing, self.halted = known["reducing"], known["halted"]
        self.risk.recall(known["risk"])
        self._rates.recall(known["rates"])
        if isinstance(self._broker, Remembers):
            self._broker.recall(known["broker"])
        for lane in self.lanes:
            if lane.instrument.name in known["lanes"]:
                lane.recall(known["lanes"][lane.instrument.name])

    def _mark(self, lane: Lane, time: int, bid: int, ask: int) -> None:
        """Mark the lane's position to market and set the level at which the account's loss limit is hit."""
        instrument, position = lane.instrument, lane.ledger.position
        self._rates.update(instrument, bid, ask)
        lane.guard["side"] = 0
        rate = self._rates.between(instrument.quote, self.account) if position else None
        if position is None or rate is None:
            self.risk.mark(instrument.name, time, 0.0, 0.0)
            return
        point_value = float(instrument.point * rate) * abs(position.units)
        profit = lane.ledger.open_pips(bid, ask) * instrument.points_per_pip * point_value
        self.risk.mark(instrument.name, time, profit, ask * point_value)
        room = self.risk.loss_room(instrument.name) / point_value
        if room < FAR and side_of(lane.expected_units):
            lane.guard["side"] = position.side
            lane.guard["floor"] = position.side * position.open_price - ceil(room)


def side_of(units: int) -> int:
    """-1, 0 or 1."""
    return (units > 0) - (units < 0)


def legal_actions(side: int, allow_reverse: bool) -> tuple[bool, bool, bool, bool]:
    """HOLD, BUY, SELL, CLOSE as legal from a side (rules: Actions and position).

    >>> legal_actions(0, False), legal_actions(1, False), legal_actions(1, True)
    ((True, True, True, False), (True, False, False, True), (True, False, True, True))
    """
    if side == 0:
        return (True, True, True, False)
    return (True, allow_reverse and side < 0, allow_reverse and side > 0, True)


def fold(session: Session, feeds: Sequence[Iterable[Quotes]], pace: Callable[[int], None] | None = None) -> None:
    """Run the session over one feed of clean quotes for each lane, to the end.

    Args:
        session: its lanes match `feeds`.
        feeds: batches of valid quotes, times never falling.
        pace: called with the time of every stop before it is handled.
    """
    cursors = [Cursor(lane, feed) for lane, feed in zip(session.lanes, feeds, strict=True)]
    waiting = [(cursor.run(), index) for index, cursor in enumerate(cursors)]
    heapq.heapify(waiting)
    while waiting:
        stop, index = waiting[0]
        if pace is not None and stop.halt != Halt.END:
            pace(stop.time)
        session.handle(cursors[index].lane, stop)
        if stop.halt == Halt.END:
            heapq.heappop(waiting)
        else:
            heapq.heapreplace(waiting, (cursors[index].run(), index))
