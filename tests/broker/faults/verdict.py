"""What must be true once the wire has calmed: the emulator's transactions against the client's order log.

Written from the transactions alone, with nothing of the client's own folding.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

Json = dict[str, Any]
ENDS = {"filled", "cancelled", "rejected"}


@dataclass(frozen=True, slots=True)
class Books:
    """What the client has on disk.

    Attributes:
        cursor, state: how far its log is read, and the account as it has it then.
        orders: outcome of each order by its id.
        heard: transactions that were told as fills, in order.
        sent: for each time an order left: its id, and how long either stream had been silent, in seconds.
    """

    cursor: int
    state: Json
    orders: dict[str, str]
    heard: list[int]
    sent: list[tuple[str, float]]


def tally(db: sqlite3.Connection, log: Sequence[Json]) -> Counter[str]:
    """What a run was about: transactions, orders by their end, events by their kind."""
    return tally_orders(db, log) + Counter(f"told {kind}" for (kind,) in db.execute("SELECT kind FROM heard"))


def tally_orders(db: sqlite3.Connection, log: Sequence[Json]) -> Counter[str]:
    """The part of it that any client's order log can show."""
    counts = Counter({"runs": 1, "transactions": len(log)})
    counts.update({"fills": sum(said["type"] == "ORDER_FILL" for said in log)})
    counts.update(f"orders {outcome}" for (outcome,) in db.execute("SELECT outcome FROM oanda_orders"))
    never = db.execute("SELECT count(*) FROM oanda_orders WHERE detail = 'never_arrived'").fetchone()[0]
    return counts + Counter({"of these never_arrived": never})


def read_books(db: sqlite3.Connection) -> Books:
    """The books of a client that is not running, or is at rest."""
    cursor, state, orders = read_log(db)
    heard = [row[0] for row in db.execute("SELECT fill FROM heard WHERE kind = 'Filled' ORDER BY n")]
    sent = db.execute("SELECT id, silent_s FROM sent WHERE opens").fetchall()
    return Books(cursor, state, orders, heard, sent)


def read_log(db: sqlite3.Connection) -> tuple[int, Json, dict[str, str]]:
    """What every client's order log has: cursor, state, and orders with their outcomes."""
    cursor, state = db.execute("SELECT cursor, state FROM oanda_accounts").fetchone()
    return cursor, json.loads(state), dict(db.execute("SELECT id, outcome FROM oanda_orders").fetchall())


def check_books(books: Books, log: Sequence[Json], limit: int, silence: float) -> None:
    """Nothing doubled, forgotten, lost or counted twice; the ledger is the account; no entry left in silence.

    Args:
        log: the emulator's transactions.
        limit: units that our own orders may hold.
        silence: seconds after which a stream counts as dead.
    """
    check_account(books, log, limit)
    assert books.cursor == len(log), "the log was not read to its end"
    heard = [int(said["id"]) for said in log if said["type"] == "ORDER_FILL"]
    assert books.heard == heard, "a fill was lost, or counted twice"
    stale = [(id_, silent) for id_, silent in books.sent if silent > silence]
    assert stale == [], "an entry left while a stream was stale"


def check_account(books: Books, log: Sequence[Json], limit: int) -> None:
    """The part of it that any client's order log can show."""
    check_orders(books, log)
    check_ledger(books.state, log)
    assert exposure(log) <= limit, f"{exposure(log)} units were held"


def check_orders(books: Books, log: Sequence[Json]) -> None:
    """Each order reached the account at most once, has ended, and ended as the account says."""
    reached = {
        said["id"]: said["clientExtensions"]["id"]
        for said in log
        if said["type"] in ("MARKET_ORDER", "MARKET_ORDER_REJECT") and "clientExtensions" in said
    }
    doubled = [name for name, times in Counter(reached.values()).items() if times > 1]
    assert doubled == [], "an order was doubled"
    resent = [name for name, times in Counter(name for name, _ in books.sent).items() if times > 1]
    assert resent == [], "an order was sent again"
    assert set(reached.values()) <= books.orders.keys(), "an order of ours is not on record"
    assert {name: end for name, end in books.orders.items() if end not in ENDS} == {}, "an order was forgotten"
    fills = [said["orderID"] for said in log if said["type"] == "ORDER_FILL"]
    filled = {reached[order] for order in fills if order in reached}
    assert {name for name, end in books.orders.items() if end == "filled"} == filled, "an outcome is not the account's"


def check_ledger(state: Json, log: Sequence[Json]) -> None:
    """Open trades, their stops and the balance are the account's."""
    trades: dict[str, int] = {}
    stops: dict[str, str] = {}
    for said in log:
        if opened := said.get("tradeOpened"):
            trades[opened["tradeID"]] = int(opened["units"])
        for part in [*said.get("tradesClosed", ()), *filter(None, [said.get("tradeReduced")])]:
            trades[part["tradeID"]] += int(part["units"])
        if said["type"] == "STOP_LOSS_ORDER":
            stops[said["id"]] = said["tradeID"]
        if said["type"] in ("ORDER_CANCEL", "ORDER_FILL"):
            stops.pop(said["orderID"], None)
    theirs = {trade: units for trade, units in trades.items() if units}
    assert {str(trade["id"]): trade["units"] for trade in state["trades"]} == theirs, "the ledger is not the account's"
    held = {str(trade["id"]): str(trade["stop_id"]) for trade in state["trades"] if trade["stop_id"]}
    assert held == {trade: stop for stop, trade in stops.items() if trade in theirs}, "the stops are not the account's"
    ours = {str(trade["id"]) for trade in state["trades"] if trade["client_id"]}
    assert ours <= held.keys(), "a trade of ours has no stop"
    balance = next(said["accountBalance"] for said in reversed(log) if "accountBalance" in said)
    assert Decimal(state["balance"]) == Decimal(balance), "the balance is not the account's"


def exposure(log: Sequence[Json]) -> int:
    """The most units that were ever held, less what others had traded by then."""
    ours = {said["id"] for said in log if said["type"] == "MARKET_ORDER" and "clientExtensions" in said}
    held = foreign = most = 0
    for said in log:
        if said["type"] == "ORDER_FILL":
            held += int(said["units"])
            if said["reason"] == "MARKET_ORDER" and said["orderID"] not in ours:
                foreign += abs(int(said["units"]))
            most = max(most, abs(held) - foreign)
    return most
