"""The account: orders go out, and what becomes of them is read from the transaction log alone.

An order is on disk before it leaves, and so is all that was heard before it. Its answer's transactions, the stream's
and those read with GETs all meet in the `Book`, which applies each once. An answer that does not come makes the order
UNKNOWN: nothing new is opened until the log has told what became of it, and it is never sent again.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from random import Random
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from broker.errors import BadInput, Fatal, Transient
from broker.oanda import wire
from broker.oanda.book import Book
from broker.oanda.endpoints import AccountDetails, OrderCreate
from broker.oanda.events import ENDS, Alarm, Doubted, Ended, Event, Filled, Listener, Outcome
from broker.oanda.failures import Denied, Unauthorised, Unsent
from broker.oanda.folding import POSITION_GONE
from broker.oanda.history import instruments
from broker.oanda.keeping import Keeper, KeeperWaits
from broker.oanda.orderlog import Intent, OrderLog
from broker.oanda.pacing import Backoff
from broker.oanda.protection import Protection
from broker.oanda.state import AccountState, of_account
from broker.oanda.transport import Transport
from broker.oanda.wire import Price
from broker.paper import idle_watch
from broker.types import DAY, Cancel, Fill, Instrument, Order


class Market(Protocol):
    """What the account must know of prices: `PriceFeed` is one."""

    def fresh(self, instrument: str) -> Price | None:
        """The latest price while its stream is alive, else None."""
        ...


@dataclass(frozen=True, slots=True)
class OrderLimits:
    """The last word on orders, whatever decided them.

    Attributes:
        max_units: most units of an instrument held and ordered together.
        first_day_units: the same, in the first 24 h that this account is used.
        bound_pips: how far beyond the quote an order may fill (`priceBound`).
        need_stop: whether an entry without a stop is refused.
    """

    max_units: int
    first_day_units: int
    bound_pips: float
    need_stop: bool = True


class Account:
    """A `Broker` (broker/paper.py) whose fills come back through the listener.

    Args:
        transport: how OANDA is reached. log: what survives. market: prices.
        listener: hears every event once.
        limits, waits: of orders, in seconds. dice: jitter. now: ns since the epoch.
    """

    def __init__(
        self,
        transport: Transport,
        log: OrderLog,
        market: Market,
        listener: Listener,
        limits: OrderLimits,
        waits: KeeperWaits,
        dice: Random,
        now: Callable[[], int],
    ) -> None:
        self._transport, self._log, self._market, self._listener = transport, log, market, listener
        self._limits, self._waits, self._dice, self._now = limits, waits, dice, now
        self._tasks: asyncio.TaskGroup | None = None
        self._keeper: Keeper | None = None
        self._protection: Protection | None = None
        self.currency = ""

    @property
    def keeper(self) -> Keeper:
        """What follows the log; there after `start`."""
        assert self._keeper is not None, "the account was not started"
        return self._keeper

    @property
    def book(self) -> Book:
        """The account's state and orders."""
        return self.keeper.book

    @property
    def ready(self) -> bool:
        """Whether new exposure may be taken: the log is followed, agrees with the account, and no order is UNKNOWN."""
        return self._tasks is not None and self.keeper.agreed and not self.unknown

    @property
    def unknown(self) -> int:
        """Orders that may or may not have arrived."""
        return sum(intent.outcome is Outcome.UNKNOWN for intent in self._log.open())

    def position(self, instrument: str) -> int:
        """Net units held, as the broker confirmed them."""
        return self.book.state.units(instrument)

    async def start(self) -> dict[str, Instrument]:
        """Read what the account is and how it stands; its instruments.

        Raises:
            BadInput: an account of a kind that this program does not trade.
            Transient, Denied, Unauthorised: OANDA could not be asked.
        """
        name = self._transport.access.account
        found = await instruments(self._transport)
        body = (await self._transport.send(AccountDetails(name))).body
        account = body.get("account", {})
        for key, what in (("mt4AccountID", "a MetaTrader account"), ("hedgingEnabled", "a hedging account")):
            if account.get(key):
                raise BadInput(f"{what} is not supported", where="OANDA_ACCOUNT", mend="use a netting v20 account")
        self.currency = str(account.get("currency", ""))
        book = self._book(account, wire.parse_id(body["lastTransactionID"]), found)
        self._keeper = Keeper(self._transport, book, self._waits, self._dice)
        backoff = partial(Backoff, self._waits.stop_patience, self._waits.retry_longest, self._dice.random)
        self._protection = Protection(self._transport, book, self._keeper.catch_up, self.submit, backoff)
        return found

    def _book(self, account: Mapping[str, Any], last_id: int, known: dict[str, Instrument]) -> Book:
        """The book as last left; of an account never used before, as the account now stands."""
        if (state := self._log.state()) is not None:
            return Book(self._log, state, known, self._listener, self._noticed)
        theirs = of_account(account, last_id, known)
        state = AccountState(last_id, theirs.balance)
        self._log.commit(state, [], (), lambda _: None, now=self._now())
        book = Book(self._log, state, known, self._listener, self._noticed)
        book.adopt(theirs)
        return book

    async def run(self) -> None:
        """Follow the account until cancelled.

        Raises:
            StorageFault: the disk failed. Fatal: something worse.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                tasks.create_task(self._log.failure())
                for intent in self._log.open():
                    if intent.outcome is not Outcome.PENDING:
                        self.book.tell(Doubted(intent.order.id, intent.order.instrument, "restarted"))
                for trade in list(self.book.state.trades.values()):
                    self._secure(trade.id, trade.client_id)
                await self.keeper.run(tasks)
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            self._tasks = None

    # Broker: orders go in here; ends come back through the listener.

    def watch(self, instrument: Instrument) -> npt.NDArray[np.void]:
        """A record that never calls: OANDA holds the levels and reports the fills."""
        return idle_watch()

    def settle(self, instrument: str, bid: int, ask: int) -> Fill | Cancel:
        """Never called: nothing is ever due here.

        Raises:
            Fatal: always.
        """
        raise Fatal("OANDA settles its orders itself")

    def trigger(self, instrument: str, reason: str, time: int, bid: int, ask: int) -> Fill:
        """Never called: no level is held here.

        Raises:
            Fatal: always.
        """
        raise Fatal("OANDA triggers its levels itself")

    def finish(self, instrument: str, time: int, bid: int, ask: int) -> list[Fill | Cancel]:
        """Nothing: what is open stays open."""
        return []

    def submit(self, order: Order) -> None:
        """Send a market order, or end it at once with the reason why it may not go.

        Raises:
            BadInput: its id was used before, or it could not be written as an order.
            StorageFault: the disk has failed; it is not sent.
        """
        price = self._market.fresh(order.instrument)
        refusal = self._refusal(order, price)
        body = None if refusal else self._body(order, price)
        alone = not self._in_flight(order.instrument)
        self._log.intend(order)
        if body is None:
            self._end(order, "cancelled" if refusal == POSITION_GONE else "rejected", refusal)
            return
        self._begin(self._place(order, body, alone))

    def _body(self, order: Order, price: Price | None) -> dict[str, Any]:
        instrument = self.book.instruments[order.instrument]
        if price is None:
            return wire.order_body(order, instrument, 0, 0, None)
        bound = round(self._limits.bound_pips * instrument.points_per_pip)
        worst = price.ask + bound if order.units > 0 else max(1, price.bid - bound)
        return wire.order_body(order, instrument, price.bid, price.ask, worst if bound and price.tradeable else None)

    def _refusal(self, order: Order, price: Price | None) -> str:
        """Why an order may not go, or ""."""
        if self._tasks is None or order.instrument not in self.book.instruments:
            return "not_ready" if self._tasks is None else "unknown_instrument"
        held = self.position(order.instrument)
        flying = sum(intent.order.units for intent in self._in_flight(order.instrument))
        if not order.opens or order.reason == "reverse":
            if not held and not flying:
                return POSITION_GONE
            if not order.opens:
                return ""
        day_over = self._now() - self._log.since() >= DAY
        limit = self._limits.max_units if day_over else min(self._limits.max_units, self._limits.first_day_units)
        checks = (
            ("unresolved", self.unknown > 0),
            ("not_ready", not self.ready),
            ("stale", price is None),
            ("halted", price is not None and not price.tradeable),
            ("no_stop", self._limits.need_stop and not order.stop_distance),
            ("size", max(abs(order.units), abs(held + flying + order.units)) > limit),
        )
        return next((name for name, hit in checks if hit), "")

    async def _place(self, order: Order, body: dict[str, Any], alone: bool) -> None:
        book = self.book
        await self._log.durable()
        if order.opens and (spoilt := await self._spoilt(order, alone)):
            self._end(order, "rejected", spoilt)
            return
        try:
            answer = await self._transport.send(OrderCreate(self._transport.access.account, data=body))
        except Unsent as failure:
            self._end(order, "rejected", "unsent", str(failure))
        except (Denied, Unauthorised) as failure:
            book.offer_answer(failure.body)
            if not self._ended(order):
                self._end(
                    order, "rejected", failure.code or f"status_{failure.status}", str(failure), failure.request_id
                )
            if isinstance(failure, Unauthorised):
                self.keeper.barred(failure)
        except Transient as failure:
            if not self._ended(order):
                request_id = getattr(failure, "request_id", "")
                book.tell(Doubted(order.id, order.instrument, str(failure)), request_id=request_id)
        else:
            await self.keeper.pass_gate(answer.body.values())
            book.offer_answer(answer.body)
        if book.gap or not self._ended(order):
            self.keeper.wake()

    async def _spoilt(self, order: Order, alone: bool) -> str:
        """Wait for the ends of what was sent before an entry; then why the entry may not go any more, or "".

        Args:
            alone: nothing was on its way when it was decided, so that it counted on nothing.
        """
        while earlier := list(takewhile(lambda one: one.order.id != order.id, self._in_flight(order.instrument))):
            if any(intent.outcome is Outcome.UNKNOWN for intent in earlier):
                return "unresolved"
            await self.book.changed()
        if self._market.fresh(order.instrument) is None:
            return "stale"
        held = self.position(order.instrument)
        adds = held * order.opens > 0 or (held and order.reason == "entry")
        return "not_flat" if adds and not alone else ""

    def _in_flight(self, instrument: str) -> list[Intent]:
        """Its orders that have not ended, oldest first."""
        return [intent for intent in self._log.open() if intent.order.instrument == instrument]

    def _ended(self, order: Order) -> bool:
        intent = self._log.intent(order.id)
        return intent is not None and intent.outcome in ENDS

    def _end(self, order: Order, outcome: str, reason: str, said: str = "", request_id: str = "") -> None:
        end = Ended(0, Cancel(order.id, order.time, order.instrument, outcome, reason))
        alarm = (Alarm("order_failed", f"{order.id}: {said}"),) if said else ()
        self.book.tell(end, *alarm, request_id=request_id)

    def _noticed(self, event: Event) -> None:
        if isinstance(event, Filled) and event.opened:
            self._secure(event.opened, event.client_id)
        elif isinstance(event, Doubted):
            self.keeper.doubt(event.client_id)

    def _secure(self, trade_id: int, client_id: str) -> None:
        order = self._log.order(client_id)
        if order is None or not (order.stop_distance or order.take_profit_distance):
            return
        assert self._protection is not None, "started before anything fills"
        if self._tasks is not None:
            self._begin(self._protection.secure(trade_id, order))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Do it aside. Where the account is ending for a reason of its own, it is left to the next start."""
        assert self._tasks is not None, "only while it runs"
        try:
            self._tasks.create_task(work)
        except RuntimeError:  # the group is shutting down, and will say why
            work.close()
