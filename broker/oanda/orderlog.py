"""What must survive a crash: each order before it leaves, each transaction read, and how far the log is read.

The cursor, the state it leads to, the raw transactions and the orders' outcomes move in one database transaction,
together with whatever the caller records of the same events. Memory moves at once; what must not leave before it is
safe awaits `durable`. One process writes these tables.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from functools import partial

from broker.durable import Writer
from broker.errors import BadInput
from broker.oanda.events import ENDS, Accepted, Doubted, Ended, Event, Filled, Outcome
from broker.oanda.state import AccountState
from broker.oanda.wire import Message
from broker.types import Order

_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS oanda_accounts (
    account TEXT PRIMARY KEY, cursor INTEGER NOT NULL, state TEXT NOT NULL, since INTEGER NOT NULL
) STRICT""",
    """CREATE TABLE IF NOT EXISTS oanda_transactions (
    account TEXT NOT NULL, id INTEGER NOT NULL, type TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (account, id)
) STRICT, WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS oanda_orders (
    id TEXT PRIMARY KEY, account TEXT NOT NULL, intended TEXT NOT NULL, outcome TEXT NOT NULL,
    detail TEXT NOT NULL, request TEXT NOT NULL
) STRICT""",
    """CREATE INDEX IF NOT EXISTS oanda_orders_open ON oanda_orders (account, outcome)
    WHERE outcome IN ('sending', 'unknown', 'pending')""",
)
ENDED_KEPT = 1000  # ended orders remembered, beside those of open trades: their fills may still come


@dataclass(frozen=True, slots=True)
class Intent:
    """An order on record, what became of it, and why."""

    order: Order
    outcome: Outcome
    detail: str


class OrderLog:
    """The orders and the transaction log of one account.

    Every method that changes something raises StorageFault once the disk has failed.

    Args:
        disk: where it is kept.

    Raises:
        StorageFault: the disk failed.
    """

    def __init__(self, disk: Writer, account: str) -> None:
        self._disk, self._account = disk, account
        self._open: dict[str, Intent] = {}
        self._ended: dict[str, Intent] = {}
        found, orders = disk.ask(self._load)
        self._state: tuple[int, str] | None = found[:2] if found else None
        self._since = found[2] if found else 0
        for intent in orders:
            self._remember(intent)

    def state(self) -> AccountState | None:
        """The state as last committed, None where this account was never read."""
        return AccountState.from_json(*self._state) if self._state else None

    def since(self) -> int:
        """When this account was first used, ns; 0 where it never was."""
        return self._since

    def intent(self, client_id: str) -> Intent | None:
        """The order of a client id, None where it is not ours, or ended long ago."""
        return self._open.get(client_id) or self._ended.get(client_id)

    def order(self, client_id: str) -> Order | None:
        """The order alone."""
        intent = self.intent(client_id)
        return intent.order if intent else None

    def open(self) -> list[Intent]:
        """Orders that have not ended, oldest first."""
        return list(self._open.values())

    def together(self) -> AbstractContextManager[None]:
        """What is written inside shares one transaction."""
        return self._disk.together()

    async def durable(self) -> None:
        """Return once all that was handed in before is on disk."""
        await self._disk.durable()

    async def failure(self) -> None:
        """Never return; raise StorageFault when the disk fails."""
        await self._disk.failure()

    def intend(self, order: Order) -> None:
        """Note an order as SENDING; it may leave once that is durable.

        Raises:
            BadInput: its id was used before: it may have been sent before.
        """
        if self.intent(order.id) is not None:
            raise BadInput(f"the order id {order.id} was used before", mend="name each run differently")
        self._disk.put(partial(_intend, self._account, order))
        self._open[order.id] = Intent(order, Outcome.SENDING, "")

    def commit(
        self,
        state: AccountState,
        read: Sequence[Message],
        events: tuple[Event, ...],
        record: Callable[[tuple[Event, ...]], None],
        now: int = 0,
        request_id: str = "",
    ) -> None:
        """Move everything at once: cursor and state, the transactions read, outcomes, and what `record` hands in.

        Args:
            now: when the account was first used, if this is the first commit.
            request_id: of the failed write that the events come from.
        """
        moved = [intent for event in events if (intent := self._moved(event)) is not None]
        cursor, text = state.cursor, state.to_json()
        account = (self._account, cursor, text, now)
        ends = [(i.outcome, i.detail, request_id, request_id, i.order.id) for i in moved]
        with self._disk.together():
            self._disk.put(partial(_write, account, tuple(read), ends))
            record(events)
        self._state, self._since = (cursor, text), self._since or now
        for intent in moved:
            self._remember(intent)
        self._forget({trade.client_id for trade in state.trades.values()})

    def _load(self, db: sqlite3.Connection) -> tuple[tuple[int, str, int] | None, list[Intent]]:
        """The account's row, and the orders that may still matter, oldest first."""
        for statement in _SCHEMA:
            db.execute(statement)
        row = db.execute(
            "SELECT cursor, state, since FROM oanda_accounts WHERE account = ?", (self._account,)
        ).fetchone()
        trades = AccountState.from_json(*row[:2]).trades.values() if row else ()
        rows = db.execute(
            "SELECT intended, outcome, detail FROM oanda_orders WHERE account = ?1 AND "
            "(outcome IN ('sending', 'unknown', 'pending') OR id IN (SELECT value FROM json_each(?2)) OR rowid IN "
            "(SELECT rowid FROM oanda_orders WHERE account = ?1 ORDER BY rowid DESC LIMIT ?3)) ORDER BY rowid",
            (self._account, json.dumps([trade.client_id for trade in trades]), ENDED_KEPT),
        )
        return row, [Intent(Order(**json.loads(order)), Outcome(outcome), detail) for order, outcome, detail in rows]

    def _remember(self, intent: Intent) -> None:
        if intent.outcome in ENDS:
            self._open.pop(intent.order.id, None)
            self._ended[intent.order.id] = intent
        else:
            self._open[intent.order.id] = intent

    def _forget(self, held: set[str]) -> None:
        """Let go of the oldest ended orders but those whose trades are open."""
        while len(self._ended) > ENDED_KEPT + len(held):
            id_ = next(iter(self._ended))
            intent = self._ended.pop(id_)
            if id_ in held:
                self._ended[id_] = intent

    def _moved(self, event: Event) -> Intent | None:
        """The order that an event moves on, as it is then. An end is final, but for a fill."""
        match event:
            case Filled(fill=fill) if fill.order_id:
                client_id, outcome, detail = fill.order_id, Outcome.FILLED, event.reason
            case Ended(cancel=end):
                client_id, outcome, detail = end.order_id, Outcome(end.outcome), end.reason
            case Accepted():
                client_id, outcome, detail = event.client_id, Outcome.PENDING, ""
            case Doubted():
                client_id, outcome, detail = event.client_id, Outcome.UNKNOWN, event.why
            case _:
                return None
        intent = self.intent(client_id)
        if intent is None or (intent.outcome in ENDS and outcome is not Outcome.FILLED):
            return None
        return Intent(intent.order, outcome, detail)


def _intend(account: str, order: Order, db: sqlite3.Connection) -> None:
    row = (order.id, account, json.dumps(asdict(order)), Outcome.SENDING)
    db.execute("INSERT INTO oanda_orders VALUES (?, ?, ?, ?, '', '')", row)


def _write(
    account: tuple[str, int, str, int], read: Iterable[Message], ends: Iterable[tuple[str, ...]], db: sqlite3.Connection
) -> None:
    db.execute(
        "INSERT INTO oanda_accounts VALUES (?, ?, ?, ?) ON CONFLICT (account) DO UPDATE SET "
        "cursor = excluded.cursor, state = excluded.state",
        account,
    )
    db.executemany(
        "INSERT OR IGNORE INTO oanda_transactions VALUES (?, ?, ?, ?)",
        [(account[0], int(m["id"]), str(m.get("type", "")), json.dumps(m, sort_keys=True)) for m in read],
    )
    db.executemany(
        "UPDATE oanda_orders SET outcome = ?, detail = ?, request = CASE ? WHEN '' THEN request ELSE ? END "
        "WHERE id = ?",
        ends,
    )
