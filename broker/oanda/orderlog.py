"""What must survive a crash: each order before it leaves, each transaction read, and how far the log is read.

The cursor, the state it leads to, the raw transactions and the orders' outcomes move in one database transaction,
together with whatever the caller records of the same events. One process writes these tables.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from broker.errors import BadInput, StorageFault
from broker.oanda.events import ENDS, Accepted, Doubted, Ended, Event, Filled, Outcome
from broker.oanda.state import AccountState
from broker.oanda.wire import Message
from broker.types import Order

_SCHEMA = """
CREATE TABLE IF NOT EXISTS oanda_accounts (
    account TEXT PRIMARY KEY, cursor INTEGER NOT NULL, state TEXT NOT NULL, since INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS oanda_transactions (
    account TEXT NOT NULL, id INTEGER NOT NULL, type TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (account, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS oanda_orders (
    id TEXT PRIMARY KEY, account TEXT NOT NULL, intended TEXT NOT NULL, outcome TEXT NOT NULL,
    detail TEXT NOT NULL, request TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS oanda_orders_open ON oanda_orders (account, outcome)
    WHERE outcome IN ('sending', 'unknown', 'pending');
"""
_DURABLE = 2  # PRAGMA synchronous: FULL


@dataclass(frozen=True, slots=True)
class Intent:
    """An order on record, what became of it, and why."""

    order: Order
    outcome: Outcome
    detail: str


class OrderLog:
    """The orders and the transaction log of one account, in a database handed in.

    Args:
        connection: with `PRAGMA synchronous` FULL or EXTRA: an order must be on disk before it leaves.

    Raises:
        BadInput: the database would not keep what it confirms.
        StorageFault: the disk failed.
    """

    def __init__(self, connection: sqlite3.Connection, account: str) -> None:
        self._db, self._account = connection, account
        self._orders: dict[str, Intent] = {}
        if connection.execute("PRAGMA synchronous").fetchone()[0] < _DURABLE:
            raise BadInput("its order log could lose what it has confirmed", mend="open it with synchronous = FULL")
        with _faults():
            connection.executescript(_SCHEMA)
            rows = connection.execute(
                "SELECT intended, outcome, detail FROM oanda_orders WHERE account = ? AND "
                "outcome IN ('sending', 'unknown', 'pending')",
                (account,),
            ).fetchall()
        for intended, outcome, detail in rows:
            intent = Intent(Order(**json.loads(intended)), Outcome(outcome), detail)
            self._orders[intent.order.id] = intent

    def state(self) -> AccountState | None:
        """The state as last committed, None where this account was never read."""
        with _faults():
            row = self._db.execute(
                "SELECT cursor, state FROM oanda_accounts WHERE account = ?", (self._account,)
            ).fetchone()
        return AccountState.from_json(*row) if row else None

    def since(self) -> int:
        """When this account was first used, ns; 0 where it never was."""
        with _faults():
            row = self._db.execute("SELECT since FROM oanda_accounts WHERE account = ?", (self._account,)).fetchone()
        return int(row[0]) if row else 0

    def intent(self, client_id: str) -> Intent | None:
        """The order of a client id, None where it is not ours."""
        if not client_id or client_id in self._orders:
            return self._orders.get(client_id)
        with _faults():
            row = self._db.execute(
                "SELECT intended, outcome, detail FROM oanda_orders WHERE id = ? AND account = ?",
                (client_id, self._account),
            ).fetchone()
        return Intent(Order(**json.loads(row[0])), Outcome(row[1]), row[2]) if row else None

    def order(self, client_id: str) -> Order | None:
        """The order alone."""
        intent = self.intent(client_id)
        return intent.order if intent else None

    def open(self) -> list[Intent]:
        """Orders that have not ended, oldest first."""
        return [intent for intent in self._orders.values() if intent.outcome not in ENDS]

    def intend(self, order: Order) -> None:
        """Put an order on disk, as SENDING.

        Raises:
            BadInput: its id was used before: it may have been sent before.
        """
        with self._transaction():
            try:
                self._db.execute(
                    "INSERT INTO oanda_orders VALUES (?, ?, ?, ?, '', '')",
                    (order.id, self._account, json.dumps(asdict(order)), Outcome.SENDING),
                )
            except sqlite3.IntegrityError:
                raise BadInput(f"the order id {order.id} was used before", mend="name each run differently") from None
        self._orders[order.id] = Intent(order, Outcome.SENDING, "")

    def commit(
        self,
        state: AccountState,
        read: Sequence[Message],
        events: tuple[Event, ...],
        record: Callable[[tuple[Event, ...]], None],
        now: int = 0,
        request_id: str = "",
    ) -> None:
        """Move everything at once: cursor and state, the transactions read, outcomes, and what `record` writes.

        Args:
            now: when the account was first used, if this is the first commit.
            request_id: of the failed write that the events come from.
        """
        moved = [intent for event in events if (intent := self._moved(event)) is not None]
        with self._transaction():
            self._db.execute(
                "INSERT INTO oanda_accounts VALUES (?, ?, ?, ?) ON CONFLICT (account) DO UPDATE SET "
                "cursor = excluded.cursor, state = excluded.state",
                (self._account, state.cursor, state.to_json(), now),
            )
            self._db.executemany(
                "INSERT OR IGNORE INTO oanda_transactions VALUES (?, ?, ?, ?)",
                [(self._account, int(m["id"]), str(m.get("type", "")), json.dumps(m, sort_keys=True)) for m in read],
            )
            self._db.executemany(
                "UPDATE oanda_orders SET outcome = ?, detail = ?, request = CASE ? WHEN '' THEN request ELSE ? END "
                "WHERE id = ?",
                [(i.outcome, i.detail, request_id, request_id, i.order.id) for i in moved],
            )
            record(events)
        for intent in moved:
            if intent.outcome in ENDS:
                self._orders.pop(intent.order.id, None)
            else:
                self._orders[intent.order.id] = intent

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

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with _faults():
            self._db.execute("BEGIN IMMEDIATE")
        try:
            with _faults():
                yield
                self._db.execute("COMMIT")
        except BaseException:
            with _faults():
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
            raise


@contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StorageFault(f"the order log failed: {error}") from error
