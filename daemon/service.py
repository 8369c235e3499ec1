"""The service: what is heard of prices and account becomes inputs of the desk, each journalled before it is applied.

It does no I/O of its own: the feed and the account call it, and the composition root (`daemon/running.py`) keeps it
company. Everything happens in the event loop's thread, one input at a time.
"""

from collections.abc import Callable, Iterable
from typing import Any

import structlog

from broker.oanda import Account, Adopted, Alarm, Backfill, Beat, Down, Event, FeedEvent, Filled, Gap, Price
from broker.rfc3339 import rfc3339
from broker.types import DAY, Bar
from daemon import events
from daemon.candlebars import bars_of
from daemon.config import Config
from daemon.dayfolders import DayFolders
from daemon.desk import Desk
from daemon.events import Barred, Holding, Input, Journal, Limited, Missed, Opened, Operator, Quoted, Reconciled, Told
from daemon.outputs import OverTheWire
from strategy.session import Session


class Service:
    """One session over live prices.

    Args:
        config: in force. run: names it in order ids.
        desk, session: what decides. journal: hears each input first.
        days: the folders of the run.
        account, wire: where orders go; None where they are filled on paper.
        missed: called once for each gap, when the account should be read to its end.
        begin: called where a day begins, to keep the state.

    Attributes:
        sent: orders that went over the wire so far.
        heard: lines of the price stream so far.
        unattended: units that the account holds in instruments that are not traded here.
    """

    def __init__(
        self,
        config: Config,
        run: str,
        desk: Desk,
        session: Session,
        journal: Journal,
        days: DayFolders,
        account: Account | None,
        wire: OverTheWire | None,
        missed: Callable[[], None],
        begin: Callable[[], None],
    ) -> None:
        self.config, self.run, self.desk, self.session = config, run, desk, session
        self._journal, self._days, self._account, self._wire, self._missed = journal, days, account, wire, missed
        self._begin = begin
        self._day, self._resuming = -1, 0
        self._why: dict[str, str] = {}
        self._last: dict[str, tuple[int, int, int]] = {}
        self._gap_end = 0
        self.heard = self.sent = self.dropped = 0
        self.unattended: dict[str, int] = {}
        self._log = structlog.get_logger()

    def open(self, why: str) -> None:
        """Begin, or go on from what the desk remembers.

        Args:
            why: why entries are vetoed throughout, or "".
        """
        for lane in self.session.lanes:
            bar = lane.bar[0]
            self._last[lane.instrument.name] = int(bar["time"]), int(bar["bid"]), int(bar["ask"])
        self._resuming = self.desk.clock
        self._day = self.desk.clock // DAY if self.desk.clock else -1
        self._why = self.session.risk.reasons()
        self.take(Opened(self.desk.clock, self.run))
        self.bar("model", why)

    def reconcile(self) -> None:
        """Take the account's word for what is held; a person is told where it differs."""
        if self._account is not None:
            known = reconciled(self._account, self.desk.clock)
            theirs = {holding.instrument: holding.units for holding in known.holdings}
            for lane in self.session.lanes:
                name, ours = lane.instrument.name, lane.ledger.units
                if theirs.get(name, 0) != ours:
                    self._log.warning("external", instrument=name, ours=ours, theirs=theirs.get(name, 0))
            self._take_over(known)
        self._look()

    def _take_over(self, known: Reconciled) -> None:
        """The account is right; what it holds that nobody looks after here is told once."""
        self.take(known)
        held = {holding.instrument: holding.units for holding in known.holdings if holding.instrument not in self._last}
        for name, units in sorted(held.items() - self.unattended.items()):
            self._log.warning("unattended", instrument=name, units=units)
        self.unattended = held

    def warm_up(self, bars: Iterable[tuple[str, Bar]], now: int) -> None:
        """Take in bars of candles, of before `now` (ns), in the place of quotes that were never heard."""
        resumed, self._resuming = self._resuming, 0
        if resumed:
            self._gap(resumed, now)
        for name, bar in bars:
            self.take(events.Backfilled(name, bar))

    def take(self, event: Input) -> None:
        """Journal an input, apply it, and let the orders go that came of it: all of that is on record, or nothing."""
        with self._journal.together():
            self._journal.take(event)
            self.desk.apply(event)
            self._leave()

    def command(self, said: Operator) -> None:
        """Do what an operator says."""
        self.take(said)

    def bar(self, by: str, why: str) -> None:
        """Veto entries because of `why`, or no longer."""
        if self._why.get(by, "") != why:
            self._why[by] = why
            self.take(Barred(self.desk.clock, by, why))

    # Prices.

    def hear(self, event: FeedEvent) -> None:
        """What the price stream tells."""
        self.heard += 1
        match event:
            case Price():
                self._price(event)
            case Beat(time=time):
                self._enter(time)
                self.take(events.Beat(time))
            case Down():
                self.bar("stream", "stale")
            case Gap(start=start, end=end):
                self._gap(start, end)
            case Backfill():
                self._backfill(event)
        self._look()

    def _price(self, price: Price) -> None:
        bid, ask = price.bid, price.ask
        if bid > ask and self.config.paper.fix == "swap":
            bid, ask = ask, bid
        if not price.tradeable or self._known(price.instrument, price.time, bid, ask):
            return
        self._enter(price.time)
        dropped = bid > ask or bid <= 0
        self._days.quoted(price.time, dropped)
        self.dropped += dropped
        if not dropped:
            self._last[price.instrument] = price.time, bid, ask
            if self._why.get("stream") == "stale" or self._account is None:
                self.bar("stream", "")
            self.take(Quoted(price.instrument, price.time, bid, ask))

    def _known(self, name: str, time: int, bid: int, ask: int) -> bool:
        """Whether the snapshot after a restart shows what was heard before it."""
        last = self._last[name]
        return time < last[0] or (bool(self._resuming) and (time, bid, ask) == last)

    def _enter(self, time: int) -> None:
        """See what the time says: a gap since we last ran, or a new day, before which the old one's bars close."""
        day, before = time // DAY, self._day
        if self._resuming:
            resumed, self._resuming = self._resuming, 0
            if time > resumed or self._why.get("stream"):
                self._gap(resumed, max(time, resumed))
        if day <= before:
            return
        self._day = day
        if before < 0:
            self.take(Opened(day * DAY, self.run))
            return
        self.take(events.Beat(day * DAY - 1))
        self._begin()
        self.take(Opened(day * DAY, self.run))
        self.take(Limited(day * DAY, self.session.risk.limits))

    def _gap(self, start: int, end: int) -> None:
        self._why["stream"], self._gap_end = "gap", end
        for lane in self.session.lanes:
            self.take(Missed(lane.instrument.name, start, end))
        self._missed()

    def agreed(self) -> None:
        """The account was read to its end after a gap: new exposure may be taken again."""
        if self._why.get("stream") == "gap":
            self.bar("stream", "")

    def _backfill(self, event: Backfill) -> None:
        lane = next(lane for lane in self.session.lanes if lane.instrument.name == event.instrument)
        if lane.size.clock:
            for bar in bars_of(event.candles, lane.instrument, lane.size.size):
                if bar.end <= self._gap_end:
                    self.take(events.Backfilled(event.instrument, bar))

    # The account.

    def record(self, said: tuple[Event, ...]) -> None:
        """Nothing yet: `apply` journals it in the same transaction, each event with what comes of it."""

    def apply(self, said: tuple[Event, ...]) -> None:
        """Journal what the account says, and apply it, inside the transaction that moves its cursor."""
        surprised = False
        for event in said:
            surprised |= self._surprises(event)
            self._journal.take(Told(event))
            self.desk.apply(Told(event))
        self._leave()
        if surprised and self._account is not None:
            self._take_over(reconciled(self._account, self.desk.clock))
        self._look()

    def _surprises(self, event: Event) -> bool:
        """Whether the account may now hold something else than the desk; a person is told."""
        match event:
            case Filled(fill=fill) if event.external or fill.instrument not in self._last or self.desk.foreign(event):
                facts = {"instrument": fill.instrument, "units": fill.units, "order": fill.order_id}
                self._log.warning("external", **facts, reason=event.reason)
            case Adopted(instrument=name, ours=ours, theirs=theirs):
                self._log.warning("external", instrument=name, ours=ours, theirs=theirs)
            case Alarm(kind=kind, text=text):
                self._log.warning("alarm", kind=kind, text=text)
                return False
            case _:
                return False
        return True

    def _leave(self) -> None:
        if self._wire is not None:
            self.sent += self._wire.leave()

    def _look(self) -> None:
        if self._account is not None:
            self.bar("account", "" if self._account.ready else "not_ready")

    def guards(self) -> dict[str, tuple[int, int]] | None:
        """Side and floor, in points, of what the loss limits guard in each instrument; None without limits."""
        limits = self.session.risk.limits
        if not (limits.max_daily_loss or limits.max_drawdown):
            return None
        return {
            lane.instrument.name: (int(lane.guard["side"][0]), int(lane.guard["floor"][0]))
            for lane in self.session.lanes
        }

    # What is told of it.

    def status(self) -> dict[str, Any]:
        """How it stands: one document of JSON's values."""
        risk = self.session.risk
        return {
            "mode": self.config.mode,
            "run": self.run,
            "strategy": self.config.strategy,
            "model": self.session.lanes[0].strategy.model,
            "state": self.desk.state.value,
            "clock": rfc3339(self.desk.clock),
            "barred": {by: why for by, why in self._why.items() if why},
            "tripped": risk.tripped,
            "balance": risk.balance,
            "equity": risk.equity,
            "decisions": self._days.decisions,
            "trades": self._days.trades,
            "orders_sent": self.sent,
            "quotes_dropped": self.dropped,
            "unattended": self.unattended,
            "folder": str(self._days.path or ""),
            "instruments": {
                lane.instrument.name: self._instrument(lane.instrument.name) for lane in self.session.lanes
            },
        }

    def _instrument(self, name: str) -> dict[str, Any]:
        lane = next(lane for lane in self.session.lanes if lane.instrument.name == name)
        time, bid, ask = self._last[name]
        position = lane.ledger.position
        return {
            "time": rfc3339(time),
            "bid": lane.instrument.price_float(bid),
            "ask": lane.instrument.price_float(ask),
            "units": lane.ledger.units,
            "open_pips": position.excursion.pnl if position else 0.0,
            "orders": list(lane.in_flight),
        }


def reconciled(account: Account, time: int) -> Reconciled:
    """How the account stands."""
    state = account.book.state
    held = []
    for name, units in state.positions().items():
        if units:
            first = next(trade for trade in state.trades.values() if trade.instrument == name)
            held.append(Holding(name, units, first.price, first.stop, first.take, first.client_id))
    orders = tuple(intent.order.id for intent in account.book.log.open())
    return Reconciled(time, state.balance, tuple(held), orders)
