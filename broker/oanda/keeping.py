"""Follows the transaction log: stream, `sinceid`, `/changes`, and comparison with the account.

The stream is fast but may lose; GETs are slow but whole. Whenever a stream stands anew, a gap shows, an order is in
doubt or 30 s have passed, the log is read to its end; after each new stream the whole account is compared too.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from random import Random

from broker.errors import Transient
from broker.oanda import wire
from broker.oanda.book import Book
from broker.oanda.endpoints import AccountChanges, AccountDetails, TransactionsSinceID, TransactionsStream
from broker.oanda.events import Alarm, Ended
from broker.oanda.failures import Denied, Failure, Lost, StreamLost, Unauthorised
from broker.oanda.pacing import Backoff, spread
from broker.oanda.state import AccountState, of_account, same_trades
from broker.oanda.transport import Answer, Transport
from broker.oanda.wire import Message
from broker.types import Cancel

MOST_PAGES = 1000  # of `sinceid`; it may be capped at a few hundred transactions
MOST_DISAGREEMENTS = 6  # in a row, until a person is told, and unreadable transactions are skipped


@dataclass(frozen=True, slots=True)
class KeeperWaits:
    """Seconds.

    Attributes:
        reconcile: between comparisons in peace. doubt: between them while an order is in doubt.
        settle: before an order that the log does not know counts as never arrived.
        stop_patience: until a stop must have appeared.
        retry_first, retry_longest, healthy: of a lost stream: first and longest wait, and how long it must stand for
            the waits to start anew. barred: after a refused token.
    """

    reconcile: float = 30.0
    doubt: float = 5.0
    settle: float = 15.0
    stop_patience: float = 2.0
    retry_first: float = 1.0
    retry_longest: float = 60.0
    healthy: float = 60.0
    barred: float = 60.0


class Behind(Lost):
    """The log has more than a GET of it shows: reads may lag writes."""


class Keeper:
    """Keeps a book true.

    Attributes:
        agreed: the stream stands, and since it does the book has been found to agree with the account.
        figures: the account's price-dependent figures by name (`NAV`, `marginUsed`, ...), account currency.
        reconnects: streams opened after the first.
        time, newest: what the stream's last heartbeat told: its time, and the account's last transaction.
        gate: in lock-step, what a transaction of a time must wait for before it is applied: the prices up to then.
    """

    def __init__(self, transport: Transport, book: Book, waits: KeeperWaits, dice: Random) -> None:
        self.book = book
        self.agreed = False
        self.figures: dict[str, Decimal] = {}
        self.reconnects = -1
        self.time = self.newest = 0
        self.gate: Callable[[int], Awaitable[None]] | None = None
        self._transport, self._waits, self._dice = transport, waits, dice
        self._account = transport.access.account
        self._streaming = False
        self._heard_at = -math.inf  # loop time of the stream's last line
        self._doubts: dict[str, float] = {}
        self._wake, self._beaten = asyncio.Event(), asyncio.Event()
        self._reading = asyncio.Lock()
        self._disagreements = 0
        self._difference: AccountState | None = None

    @property
    def silence(self) -> float:
        """Seconds since the stream's last line, infinite before the first."""
        return asyncio.get_running_loop().time() - self._heard_at

    @property
    def lag(self) -> int:
        """Transactions that the account is known to have and the book has not."""
        return max(0, self.newest - self.book.state.cursor)

    async def run(self, tasks: asyncio.TaskGroup) -> None:
        """Follow and check until cancelled."""
        tasks.create_task(self._check_forever())
        await self._follow_forever()

    def wake(self) -> None:
        """Read the log now."""
        self._wake.set()

    def doubt(self, client_id: str) -> None:
        """An order may or may not have arrived: find out."""
        self._doubts[client_id] = asyncio.get_running_loop().time()
        self.wake()

    def barred(self, failure: Unauthorised) -> None:
        """The token was refused: nothing new until it is taken again."""
        self.agreed = False
        self.book.tell(Alarm("unauthorised", str(failure)))

    # The stream.

    async def _follow_forever(self) -> None:
        loop = asyncio.get_running_loop()
        backoff = Backoff(self._waits.retry_first, self._waits.retry_longest, self._dice.random)
        while True:
            started = loop.time()
            wait = 0.0
            try:
                await self._follow()
            except Unauthorised as failure:
                self.barred(failure)
                wait = self._waits.barred
            except (Transient, Denied) as failure:
                wait = failure.retry_after if isinstance(failure, Failure) else 0.0
            finally:
                self._streaming = self.agreed = False
            if loop.time() - started > self._waits.healthy:
                backoff.reset()
            await asyncio.sleep(max(wait, backoff.next()))

    async def _follow(self) -> None:
        async with self._transport.stream(TransactionsStream(self._account)) as lines:
            self._streaming = True
            self.reconnects += 1
            self._heard_at = asyncio.get_running_loop().time()
            self.wake()
            async for line in lines:
                try:
                    message = wire.parse_line(line)
                except ValueError as error:
                    raise StreamLost(f"a broken line: {error}") from None
                await self.pass_gate((message,))
                self._take(message)

    async def pass_gate(self, messages: Iterable[object]) -> None:
        """Wait until prices have come as far as these transactions, where somebody asked for that."""
        if self.gate is None:
            return
        for message in messages:
            if isinstance(message, dict) and "time" in message:
                await self.gate(wire.parse_time(message["time"]))

    def _take(self, message: Message) -> None:
        self._heard_at = asyncio.get_running_loop().time()
        if message.get("type") != "HEARTBEAT":
            self.book.offer([message])
            if self.book.gap:
                self.wake()
            return
        try:
            beat = wire.beat(message)
        except ValueError:
            return
        self.time, self.newest = max(self.time, beat.time), max(self.newest, beat.last_id)
        if beat.last_id > self.book.state.cursor:
            self.wake()
        beaten, self._beaten = self._beaten, asyncio.Event()
        beaten.set()

    async def told(self, time: int) -> None:
        """Wait until the stream's clock has reached `time`, and what it told of by then is applied."""
        while self.time < time:
            await self._beaten.wait()
        while self.book.state.cursor < self.newest:
            await self.book.changed()

    # Reading what the stream may have lost.

    async def catch_up(self) -> None:
        """Read the log to its end.

        Raises:
            Transient, Denied, Unauthorised: it could not be read, or its end not yet.
        """
        async with self._reading:
            for _ in range(MOST_PAGES):
                cursor = self.book.state.cursor
                answer = await self._send(TransactionsSinceID(self._account, params={"id": str(cursor)}))
                found = answer.body.get("transactions")
                self.book.offer(found if isinstance(found, list) else ())
                if self.book.state.cursor >= _last_id(answer):
                    return
                if self.book.state.cursor == cursor:
                    break
        raise Behind("the log has transactions that cannot be read yet")

    async def _check_forever(self) -> None:
        backoff = Backoff(self._waits.retry_first, self._waits.retry_longest, self._dice.random)
        while True:
            self._wake.clear()
            wait = spread(self._dice, self._waits.doubt if self._doubts else self._waits.reconcile)
            try:
                await self._check()
                backoff.reset()
            except Unauthorised as failure:
                self.barred(failure)
                wait = self._waits.barred
            except (Transient, Denied, ValueError, KeyError):
                wait = min(wait, backoff.next())
                await asyncio.sleep(wait)
                continue
            try:
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _check(self) -> None:
        if self._streaming and not self.agreed:
            self.agreed = await self._agree()
        elif self.book.state.doubtful:
            await self._agree()
        elif self.book.gap:
            await self.catch_up()
        else:
            await self._poll()
        if self._doubts:
            await self._resolve()

    async def _poll(self) -> None:
        """Ask what changed, and whether the open trades are the ones we know."""
        params = {"sinceTransactionID": str(self.book.state.cursor)}
        answer = await self._send(AccountChanges(self._account, params=params))
        changes, figures = answer.body.get("changes", {}), answer.body.get("state", {})
        self.book.offer(changes.get("transactions", ()))
        for name, value in figures.items():
            if isinstance(value, str):
                self.figures[name] = wire.parse_decimal(value)
        if self.book.state.cursor != _last_id(answer):
            await self.catch_up()
        elif (
            "trades" in figures and {wire.parse_id(t["id"]) for t in figures["trades"]} != self.book.state.trades.keys()
        ):
            await self._agree()

    async def _agree(self) -> bool:
        """Compare with the whole account, and take its word; False where the log moved meanwhile.

        Raises:
            Transient: they could not be compared; tried again soon.
        """
        streaming_since = self.reconnects
        unreadable = False
        try:
            await self.catch_up()
        except Behind:
            unreadable = True
        except Denied as refused:
            if refused.status != 416:  # the log is shorter than we remember
                raise
            unreadable = True
        answer = await self._send(AccountDetails(self._account))
        theirs = of_account(answer.body["account"], _last_id(answer), self.book.instruments)
        ours = self.book.state
        if theirs.cursor != ours.cursor:
            self._check_cursor(ours.cursor, theirs.cursor, unreadable)
        self._disagreements = 0
        if ours.doubtful or theirs.cursor != ours.cursor or self._differs(ours, theirs):
            self._keep_names(ours, theirs)
            self.book.adopt(theirs)
        return self._streaming and self.reconnects == streaming_since

    def _check_cursor(self, ours: int, theirs: int, unreadable: bool) -> None:
        """Return where the account is ahead for good, over transactions that nobody can read.

        A log shorter than remembered is never taken: what it holds was counted before. It is another account's, or a
        read that lags; until it is whole again nothing new is opened, and a person is told.

        Raises:
            Lost: look again soon.
        """
        self._disagreements += unreadable or theirs < ours
        if self._disagreements == MOST_DISAGREEMENTS:
            self.book.tell(Alarm("log", f"the log ends at {theirs}, and {ours} were read"))
        if theirs < ours or self._disagreements < MOST_DISAGREEMENTS:
            raise Lost("the account moved while it was compared")

    def _differs(self, ours: AccountState, theirs: AccountState) -> bool:
        """Whether two accounts at the same transaction differ, and have done so before: reads may lag writes.

        Raises:
            Lost: they differ for the first time: look again soon.
        """
        before, self._difference = self._difference, None if same_trades(ours, theirs) else theirs
        if self._difference is None:
            return False
        if before is None or before.cursor != theirs.cursor or not same_trades(before, theirs):
            raise Lost("the account differs from its log")
        self._difference = None
        return True

    @staticmethod
    def _keep_names(ours: AccountState, theirs: AccountState) -> None:
        """A trade opened by our order stays ours even where the account does not show its client id."""
        for trade in theirs.trades.values():
            if not trade.client_id and trade.id in ours.trades:
                trade.client_id = ours.trades[trade.id].client_id

    async def _resolve(self) -> None:
        """End orders that the log still does not know when the stream has lived on for long enough: not arrived."""
        settled = [id_ for id_, since in self._doubts.items() if self._heard_at - since >= self._waits.settle]
        if settled:
            await self.catch_up()
        open_ids = {intent.order.id: intent.order for intent in self.book.log.open()}
        pending = {order.client_id for order in self.book.state.pending.values()}
        for client_id in settled:
            if (order := open_ids.get(client_id)) is not None and client_id not in pending:
                end = Cancel(order.id, order.time, order.instrument, "cancelled", "never_arrived")
                self.book.tell(Ended(0, end))
        known = open_ids.keys() - set(settled)
        self._doubts = {id_: since for id_, since in self._doubts.items() if id_ in known}

    async def _send(self, request: AccountChanges | AccountDetails | TransactionsSinceID) -> Answer:
        return await self._transport.send(request)


def _last_id(answer: Answer) -> int:
    return wire.parse_id(answer.body.get("lastTransactionID", 0))
