"""The transaction log applied: in order, without gaps, each transaction once, durable before anything else leaves."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from broker.oanda import wire
from broker.oanda.events import Adopted, Ended, Event, Listener, Outcome
from broker.oanda.folding import fold
from broker.oanda.orderlog import OrderLog
from broker.oanda.state import AccountState
from broker.oanda.wire import Message
from broker.types import Cancel, Instrument

MOST_WAITING = 10_000  # transactions ahead of a gap; more are read again with it


class Book:
    """One account's state and orders.

    Args:
        log: where they are kept.
        state: as the log has it.
        instruments: all of the account's, by name.
        listener: who hears the events.
        noticed: told of each event after the listener.
    """

    def __init__(
        self,
        log: OrderLog,
        state: AccountState,
        instruments: Mapping[str, Instrument],
        listener: Listener,
        noticed: Callable[[Event], None],
    ) -> None:
        self.log, self.state, self.instruments = log, state, instruments
        self._listener, self._noticed = listener, noticed
        self._waiting: dict[int, Message] = {}
        self._changed = asyncio.Event()

    @property
    def gap(self) -> bool:
        """Whether transactions are missing before ones that have arrived."""
        return bool(self._waiting)

    async def changed(self) -> None:
        """Wait for the next change."""
        await self._changed.wait()

    def offer(self, messages: Iterable[object]) -> None:
        """Take in transactions, from wherever and in any order; those already applied are passed over.

        Raises:
            StorageFault: they could not be written; nothing may go on from here.
        """
        for message in messages:
            if isinstance(message, dict):
                self._keep(message)
        read: list[Message] = []
        events: list[Event] = []
        while (following := self._waiting.pop(self.state.cursor + 1, None)) is not None:
            events.append(fold(self.state, following, self.instruments, self.log.order))
            read.append(following)
        if read:
            self._commit(read, tuple(events))

    def offer_answer(self, body: Mapping[str, Any]) -> None:
        """Take in the transactions that an answer to a write carries, under whatever names."""
        self.offer(sorted((v for k, v in body.items() if k.endswith("Transaction")), key=_id_of))

    def tell(self, *events: Event, request_id: str = "") -> None:
        """Events that come from no transaction."""
        self._commit([], events, request_id)

    def adopt(self, theirs: AccountState) -> None:
        """The account is right: take its state, and say where ours differed."""
        ours, self.state = self.state, theirs
        names = sorted(ours.positions().keys() | theirs.positions().keys())
        differing = [name for name in names if ours.units(name) != theirs.units(name)]
        events: list[Event] = [Adopted(name, ours.units(name), theirs.units(name)) for name in differing]
        alive = {order.client_id for order in theirs.pending.values()}
        for intent in self.log.open():
            if intent.outcome is Outcome.PENDING and intent.order.id not in alive:
                end = Cancel(intent.order.id, intent.order.time, intent.order.instrument, "cancelled", "unreadable")
                events.append(Ended(0, end))
        self._waiting = {id_: message for id_, message in self._waiting.items() if id_ > theirs.cursor}
        self._commit([], tuple(events))

    def _keep(self, message: Message) -> None:
        id_ = _id_of(message)
        if id_ > self.state.cursor and len(self._waiting) < MOST_WAITING:
            self._waiting[id_] = message

    def _commit(self, read: list[Message], events: tuple[Event, ...], request_id: str = "") -> None:
        with self.log.together():
            self.log.commit(self.state, read, events, self._listener.record, request_id=request_id)
            self._listener.apply(events)
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        for event in events:
            self._noticed(event)


def _id_of(message: object) -> int:
    """A transaction's id, 0 where it has none that can be read."""
    try:
        return wire.parse_id(message["id"]) if isinstance(message, dict) else 0
    except (KeyError, ValueError):
        return 0
