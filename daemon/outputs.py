"""What leaves a session on its way out: into the journal first, then to the folders, the store and the broker."""

from collections import deque

import numpy as np
import numpy.typing as npt
import structlog

from broker.oanda import Account, Outcome
from broker.rfc3339 import rfc3339
from broker.types import Bar, Cancel, Fill, Financing, Instrument, Order, Trade
from daemon.events import Decided, Finished, Journal, Sent, Traded
from strategy.plugin import Choice, Observation
from strategy.session import Sink


class Written:
    """A sink that journals what it is told, and then tells others."""

    def __init__(self, journal: Journal, *sinks: Sink) -> None:
        self._journal, self._sinks = journal, sinks

    def tell(self, sink: Sink) -> None:
        """Tell another from now on."""
        self._sinks = (*self._sinks, sink)

    def decided(self, observation: Observation, choice: Choice, target: int, veto: str | None, model: str) -> None:
        """A decision."""
        self._journal.put(Decided(observation, choice, target, veto, model))
        for sink in self._sinks:
            sink.decided(observation, choice, target, veto, model)

    def ordered(self, order: Order, end: Fill | Cancel) -> None:
        """An order's end."""
        self._journal.put(Finished(order, end))
        for sink in self._sinks:
            sink.ordered(order, end)

    def traded(self, trade: Trade, fill: Fill) -> None:
        """A completed trade."""
        self._journal.put(Traded(trade, fill))
        for sink in self._sinks:
            sink.traded(trade, fill)

    def sent(self, order: Order) -> None:
        """An order, before the broker has it."""
        self._journal.put(Sent(order))

    def barred(self, instrument: Instrument, bar: Bar, open_pips: float) -> None:
        """A bar: it follows from the inputs alone, and is not journalled."""
        for sink in self._sinks:
            sink.barred(instrument, bar, open_pips)


class Logged:
    """A sink that writes a line of log for each order's end and each trade; decisions at the level `debug`."""

    def __init__(self) -> None:
        self._log = structlog.get_logger()

    def decided(self, observation: Observation, choice: Choice, target: int, veto: str | None, model: str) -> None:
        """A decision."""
        name, action = observation.instrument.name, choice.action.name
        self._log.debug("decided", instrument=name, time=rfc3339(observation.time), action=action, veto=veto)

    def ordered(self, order: Order, end: Fill | Cancel) -> None:
        """An order's end."""
        outcome = "filled" if isinstance(end, Fill) else end.outcome
        time, why = rfc3339(end.time), end.reason
        self._log.info(
            "order", id=order.id, instrument=order.instrument, units=order.units, outcome=outcome, reason=why, time=time
        )

    def traded(self, trade: Trade, fill: Fill) -> None:
        """A completed trade."""
        time = rfc3339(fill.time)
        self._log.info("trade", instrument=trade.instrument, pips=trade.pips, reason=trade.exit_reason, time=time)

    def barred(self, instrument: Instrument, bar: Bar, open_pips: float) -> None:
        """Nothing: there are too many."""


class OverTheWire:
    """The account as a session's broker: orders wait until the input that they come from is applied in full.

    Args:
        account: its fills come back as inputs.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self._waiting: deque[Order] = deque()

    def watch(self, instrument: Instrument) -> npt.NDArray[np.void]:
        """A record that never calls: the broker holds the levels."""
        return self._account.watch(instrument)

    def settle(self, instrument: str, bid: int, ask: int) -> Fill | Cancel | Financing:
        """Never called: nothing is ever due here."""
        return self._account.settle(instrument, bid, ask)

    def trigger(self, instrument: str, reason: str, time: int, bid: int, ask: int) -> Fill | None:
        """Never called: no level is held here."""
        return self._account.trigger(instrument, reason, time, bid, ask)

    def finish(self, instrument: str, time: int, bid: int, ask: int) -> list[Fill | Cancel | Financing]:
        """Never called: live quotes are never over."""
        return []

    def submit(self, order: Order) -> None:
        """Keep the order for `leave`."""
        self._waiting.append(order)

    def forget(self) -> None:
        """Orders of a rehearsal left long ago, or never will."""
        self._waiting.clear()

    def leave(self) -> int:
        """Hand the orders to the account; how many are on their way (others were refused before they left)."""
        sent = 0
        while self._waiting:
            order = self._waiting.popleft()
            self._account.submit(order)
            intent = self._account.book.log.intent(order.id)
            sent += intent is not None and intent.outcome is Outcome.SENDING
        return sent
