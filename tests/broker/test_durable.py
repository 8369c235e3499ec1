"""What was handed in and waited for is on disk, in order; a disk that fails stops everything that comes after."""

import asyncio
import os
import resource
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from broker.durable import MOST_WAITING, Inline, Job, Threaded, Writer, connect
from broker.errors import BadInput, StorageFault

SLOW_S = 60.0
KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from broker.durable import Threaded, connect
disk = Threaded(connect(Path(sys.argv[1])), 60.0)
disk.ask(lambda db: db.execute("CREATE TABLE seen (n INTEGER)"))
async def main():
    for n in range(100):
        disk.put(lambda db, n=n: db.execute("INSERT INTO seen VALUES (?)", (n,)))
        if n == 70:
            await disk.durable()
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""


def note(n: int) -> Job:
    """A job that notes a number."""
    return lambda db: db.execute("INSERT INTO seen VALUES (?)", (n,))


def seen(db: sqlite3.Connection) -> list[int]:
    """The numbers noted."""
    return [row[0] for row in db.execute("SELECT n FROM seen ORDER BY rowid")]


def broken(db: sqlite3.Connection) -> None:
    """A job whose disk is full."""
    raise sqlite3.OperationalError("database or disk is full")


@pytest.fixture(params=["inline", "threaded"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Writer]:
    """Each kind of writer, over a table."""
    with closing(connect(tmp_path / "journal.db")) as db:
        db.execute("CREATE TABLE seen (n INTEGER)")
        if request.param == "inline":
            yield Inline(db)
            return
        threaded = Threaded(db, SLOW_S)
        yield threaded
        try:
            threaded.close()
        except StorageFault:
            assert "fault" in request.node.name


def test_jobs_run_in_order(disk: Writer, tmp_path: Path) -> None:
    """First in, first written; once `durable` returns, another connection sees all of it."""

    async def main() -> None:
        for n in range(500):
            disk.put(note(n))
        await disk.durable()
        with closing(sqlite3.connect(tmp_path / "journal.db")) as db:
            assert seen(db) == list(range(500))
        await disk.durable()

    asyncio.run(main())


def test_together_is_all_or_nothing(disk: Writer) -> None:
    """What is put inside shares a transaction."""
    with disk.together(), disk.together():
        disk.put(note(1))
        disk.put(note(2))
    assert disk.ask(seen) == [1, 2]


async def test_nothing_follows_a_block_that_failed(disk: Writer, tmp_path: Path) -> None:
    """Who failed inside knows more than is written: what comes next would not follow from what is on disk."""
    with disk.together():
        disk.put(note(1))
    watching = asyncio.create_task(disk.failure())
    await asyncio.sleep(0)
    with pytest.raises(KeyError), disk.together():  # noqa: PT012 - the block is what is tested
        disk.put(note(2))
        raise KeyError("why")
    for refused in (lambda: disk.put(note(3)), lambda: disk.ask(seen)):
        with pytest.raises(KeyError, match="why"):
            refused()
    with pytest.raises(KeyError, match="why"):
        await disk.durable()
    if isinstance(disk, Threaded):
        with pytest.raises(KeyError, match="why"):
            await watching
        disk.close()
    watching.cancel()
    with closing(sqlite3.connect(tmp_path / "journal.db")) as db:
        assert seen(db) == [1]


def test_each_transaction_ends_as_asked(disk: Writer) -> None:
    """A job for the end runs once in each transaction, after its jobs."""
    disk.at_commit(note(0))
    with disk.together():
        disk.put(note(1))
        disk.put(note(2))
    assert disk.ask(seen)[:3] in ([1, 2, 0], [1, 2])
    assert disk.ask(seen)[-1] == 0


def test_a_fault_is_final(disk: Writer) -> None:
    """Once a write failed, nothing is written or promised again: who believed it would be wrong."""

    async def main() -> None:
        disk.put(note(1))
        await disk.durable()
        calls: list[Callable[[], object]] = [lambda: disk.put(broken), lambda: disk.put(note(2))]
        for call in calls:
            try:
                call()
            except StorageFault:
                assert isinstance(disk, Inline)
        for _ in range(2):
            with pytest.raises(StorageFault, match=r"journal\.db: can't be written: database or disk is full"):
                await disk.durable()
        for refused in (lambda: disk.put(note(3)), lambda: disk.ask(seen)):
            with pytest.raises(StorageFault, match="full"):
                refused()

    asyncio.run(main())


async def test_a_fault_is_told_to_who_waits(tmp_path: Path) -> None:
    """`failure` wakes whoever minds the service, even where nobody writes any more; a bug in a job counts as one."""
    disk = Threaded(connect(tmp_path / "journal.db"), 0.0)
    watching = [asyncio.create_task(disk.failure()) for _ in range(2)]
    await asyncio.sleep(0)
    watching[0].cancel()
    disk.put(lambda db: {}[1])
    with pytest.raises(StorageFault, match="KeyError"):
        await watching[1]
    with pytest.raises(StorageFault, match="KeyError"):
        await disk.failure()
    with pytest.raises(StorageFault, match="KeyError"):
        disk.close()


async def test_who_waits_for_a_full_disk_is_told(tmp_path: Path) -> None:
    """A real limit on the file's size, met in the middle: what was confirmed before is there, and no more."""
    disk = Threaded(connect(tmp_path / "journal.db"))
    disk.ask(lambda db: db.execute("CREATE TABLE seen (n INTEGER, fill BLOB)"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        confirmed = 0
        with pytest.raises(StorageFault):  # noqa: PT012 - which of the two raises depends on the thread
            for n in range(1000):
                disk.put(lambda db, n=n: db.execute("INSERT INTO seen VALUES (?, zeroblob(10000))", (n,)))
                await disk.durable()
                confirmed = n + 1
        with pytest.raises(StorageFault):
            disk.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    with closing(sqlite3.connect(tmp_path / "journal.db")) as db:
        assert seen(db) == list(range(confirmed))
        assert 0 < confirmed < 1000


async def test_a_waiter_may_give_up(tmp_path: Path) -> None:
    """A cancelled `durable` harms nobody else."""
    gate = threading.Event()
    disk = Threaded(connect(tmp_path / "journal.db"))
    disk.put(lambda db: gate.wait(10))
    waiting = [asyncio.create_task(disk.durable()) for _ in range(2)]
    await asyncio.sleep(0.01)
    waiting[0].cancel()
    gate.set()
    await waiting[1]
    with pytest.raises(asyncio.CancelledError):
        await waiting[0]
    await disk.durable()
    disk.close()


def test_a_disk_that_falls_behind_has_failed(tmp_path: Path) -> None:
    """The queue has a bound: memory may not grow while a disk hangs."""
    gate, started = threading.Event(), threading.Event()
    disk = Threaded(connect(tmp_path / "journal.db"), 0.0)
    disk.put(lambda db: (started.set(), gate.wait(10)))
    assert started.wait(10)
    for _ in range(MOST_WAITING):
        disk.put(lambda db: None)
    with pytest.raises(StorageFault, match="behind"):
        disk.put(lambda db: None)
    gate.set()
    with pytest.raises(StorageFault, match="behind"):
        disk.close()


def test_kill_9_leaves_a_prefix_with_all_that_was_confirmed(tmp_path: Path, root: Path) -> None:
    """Killed at once: what `durable` confirmed is there, in order, and nothing in part."""
    path = tmp_path / "journal.db"
    command = [sys.executable, "-c", KILLED, str(path)]
    done = subprocess.run(command, cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, check=False)
    assert done.returncode == -signal.SIGKILL
    with closing(sqlite3.connect(path)) as db:
        kept = seen(db)
    assert kept == list(range(len(kept)))
    assert len(kept) >= 71


def test_closing_writes_what_waits(tmp_path: Path) -> None:
    """A normal end loses nothing that was handed in."""
    path = tmp_path / "state" / "journal.db"
    disk = Threaded(connect(path), SLOW_S)
    disk.put(lambda db: db.execute("CREATE TABLE seen (n INTEGER)"))
    disk.put(note(1))
    disk.close()
    with closing(sqlite3.connect(path)) as db:
        assert seen(db) == [1]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_forgets_is_refused() -> None:
    """synchronous = OFF confirms what a power cut takes back."""
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute("PRAGMA synchronous = OFF")
        for kind in (Inline, Threaded):
            with pytest.raises(BadInput, match="synchronous = FULL"):
                kind(db)


def test_a_database_that_cannot_be_opened_says_so(tmp_path: Path) -> None:
    """A folder where the file should be, and a file that is no database."""
    (tmp_path / "text").write_text("no database, but long enough to be looked at by somebody who believes it")
    for path in (tmp_path, tmp_path / "text"):
        with pytest.raises(StorageFault, match="can't be opened"):
            connect(path)
