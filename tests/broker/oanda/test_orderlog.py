"""What must survive a crash does: intents before they leave, the cursor with its effect, all or nothing."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from broker.durable import Inline
from broker.errors import BadInput, StorageFault
from broker.oanda import Accepted, Ended, Event, Filled, OrderLog, Outcome
from broker.oanda.orderlog import ENDED_KEPT, Intent
from broker.oanda.state import AccountState, OpenTrade, Pending
from broker.types import Cancel
from tests.broker.oanda.desk import ACCOUNT, Desk
from tests.broker.oanda.rig import EUR_USD, database, entry, leave, rig
from tests.broker.oanda.virtual import run

STATE = AccountState(9, trades={5: OpenTrade(5, EUR_USD, -7, 138000, "mt-test-1", 6, 139000)}, doubtful=True)
STATE.pending[6] = Pending(6, "STOP_LOSS", EUR_USD, "", 5)

WRITER = """
import os, signal, sqlite3, sys
from broker.durable import Inline
from broker.oanda import OrderLog
from tests.broker.oanda.rig import database, entry
from pathlib import Path
disk = Inline(database(Path(sys.argv[1])))
log = OrderLog(disk, sys.argv[2])
log.intend(entry(1))
if sys.argv[3] == "intent":
    os.kill(os.getpid(), signal.SIGKILL)
from broker.oanda import Accepted
from broker.oanda.state import AccountState
def die(events):
    disk.put(lambda db: db.execute("CREATE TABLE IF NOT EXISTS effect (n INTEGER)"))
    disk.put(lambda db: db.execute("INSERT INTO effect VALUES (1)"))
    os.kill(os.getpid(), signal.SIGKILL)
log.commit(AccountState(7), [{"id": "7"}], (Accepted(7, "mt-test-1"),), die)
"""


def nothing(_: tuple[Event, ...]) -> None:
    """Records nothing."""


def killed(path: Path, root: Path, where: str) -> OrderLog:
    """The log that a process left when it was killed there."""
    command = [sys.executable, "-c", WRITER, str(path), ACCOUNT, where]
    done = subprocess.run(command, cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, check=False)
    assert done.returncode == -signal.SIGKILL
    return opened(database(path))


def opened(db: sqlite3.Connection, account: str = ACCOUNT) -> OrderLog:
    """A log that writes at once."""
    return OrderLog(Inline(db), account)


def test_an_intent_outlives_kill_9(tmp_path: Path, root: Path) -> None:
    """R8: killed between the intent and the POST, the order is there, SENDING, and its id can't be used again."""
    log = killed(tmp_path / "journal.db", root, "intent")
    assert log.open() == [Intent(entry(1), Outcome.SENDING, "")]
    with pytest.raises(BadInput, match="used before"):
        log.intend(entry(1))


def test_cursor_and_effect_are_one(tmp_path: Path, root: Path) -> None:
    """R5: killed inside the transaction, neither the cursor nor the effect nor the outcome is there."""
    log = killed(tmp_path / "journal.db", root, "commit")
    assert log.state() is None
    assert log.open()[0].outcome is Outcome.SENDING
    tables = {row[0] for row in database(tmp_path / "journal.db").execute("SELECT name FROM sqlite_master")}
    assert "effect" not in tables


def test_a_killed_order_is_resolved_after_the_restart(tmp_path: Path, root: Path) -> None:
    """kill -9 between intent and POST: at the next start it is UNKNOWN, then never arrived; nothing is sent."""
    path = tmp_path / "journal.db"
    killed(path, root, "intent")

    async def main() -> None:
        async with rig(Desk(), database(path)) as made:
            intent = made.log.intent("mt-test-1")
            assert intent is not None
            assert (intent.outcome, intent.detail) == (Outcome.CANCELLED, "never_arrived")
            assert made.desk.posted == []
            made.account.submit(entry(2))
            await made.until(lambda: made.heard.of(Filled))

    run(main)


def test_a_restart_finds_the_state() -> None:
    """State, cursor and first use are read back as they were written."""
    db = database()
    log = opened(db)
    assert (log.state(), log.since()) == (None, 0)
    log.commit(STATE, [], (), nothing, now=123)
    log.commit(STATE, [{"id": "9", "type": "X"}], (), nothing, now=456)
    again = opened(db)
    assert (again.state(), again.since()) == (STATE, 123)
    assert opened(db, "another").state() is None


def test_a_failing_listener_undoes_everything() -> None:
    """If what goes with the events can't be written, nothing was, and nothing is ever again."""

    def fail(_: tuple[Event, ...]) -> None:
        raise sqlite3.OperationalError("disk full")

    db = database()
    log = opened(db)
    log.intend(entry(1))
    with pytest.raises(StorageFault, match="disk full"):
        log.commit(STATE, [{"id": "9"}], (Accepted(9, "mt-test-1"),), fail)
    with pytest.raises(StorageFault, match="disk full"):
        log.commit(STATE, [], (), nothing)
    again = opened(db)
    assert again.state() is None
    assert again.open()[0].outcome is Outcome.SENDING


def test_an_end_is_final_but_for_a_fill() -> None:
    """A late cancel changes nothing; a late fill does: it happened."""
    log = opened(database())
    log.intend(entry(1))
    for reason in ("never_arrived", "another"):
        log.commit(STATE, [], (Ended(0, Cancel("mt-test-1", 0, EUR_USD, "cancelled", reason)),), nothing)
    assert log.intent("mt-test-1") == Intent(entry(1), Outcome.CANCELLED, "never_arrived")
    assert log.open() == []
    assert log.intent("") is None


def test_orders_are_forgotten_once_nothing_can_come_of_them() -> None:
    """Memory stays flat: of ended orders the youngest are known, and those whose trades are open; at a restart too."""
    db = database()
    log = opened(db)
    state = AccountState(1, trades={5: OpenTrade(5, EUR_USD, -7, 138000, "mt-test-1")})
    for n in range(1, ENDED_KEPT + 100):
        log.intend(entry(n))
        log.commit(state, [], (Ended(0, Cancel(f"mt-test-{n}", 0, EUR_USD, "cancelled", "")),), nothing)
    for known in (log, opened(db)):
        assert known.intent("mt-test-1") is not None
        assert known.intent("mt-test-2") is None
        assert known.intent(f"mt-test-{ENDED_KEPT}") is not None
        assert len(known._ended) <= ENDED_KEPT + 1
    with pytest.raises(StorageFault, match="UNIQUE"):
        log.intend(entry(2))


def test_a_database_that_forgets_is_refused() -> None:
    """synchronous = OFF confirms what a power cut takes back."""
    db = sqlite3.connect(":memory:")
    db.execute("PRAGMA synchronous = OFF")
    with pytest.raises(BadInput, match="synchronous = FULL"):
        opened(db)


def test_an_order_of_the_last_moment_is_left_to_the_next_start() -> None:
    """While the account is ending an exit can't leave: it stays on record, hides no other failure, and is resolved."""

    async def main() -> None:
        desk, db = Desk(), database()
        async with rig(desk, db) as made:
            made.account.submit(entry(100))
            await made.until(lambda: made.account.position(EUR_USD) == 1000)
            running = next(task for task in asyncio.all_tasks() if task.get_coro().__qualname__ == "Account.run")  # type: ignore[union-attr]
            running.cancel()
            numbers = range(20)
            for n in numbers:
                made.account.submit(leave(n, -10))
                await asyncio.sleep(0)
            assert running.cancelled()
        async with rig(desk, db) as made:
            await made.until(lambda: not made.log.open())
            assert len(desk.posted) < 1 + len(numbers)

    run(main)
