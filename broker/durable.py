"""One writer of one SQLite file: jobs in order, in groups, and a promise that what was handed in is on disk.

Whoever must not wait hands in a job and goes on; whoever must not act before it is safe awaits `durable`. A job that
fails takes everything after it along, and so does whoever fails between jobs that belong together: nothing is believed
that came later, and every later call says why.
"""

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from broker.errors import BadInput, StorageFault

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], object]
"""Writes inside a transaction that it neither begins nor ends."""

GROUP_S = 0.05
MOST_WAITING = 100_000  # jobs; a disk that falls so far behind has failed
_BUSY_S = 60.0
_FULL = 2  # PRAGMA synchronous


class Writer(Protocol):
    """Where what must survive goes. All but `ask` return without touching the disk (`Inline` aside).

    Each raises StorageFault once the disk has failed, or what a block of `together` failed with.
    """

    def put(self, job: Job) -> None:
        """Hand in a job; it runs after all before it."""
        ...

    def together(self) -> AbstractContextManager[None]:
        """What is put inside shares one transaction. A block that fails leaves nothing, and nothing may follow it."""
        ...

    def at_commit(self, job: Job) -> None:
        """From now on, end each transaction with this job."""
        ...

    def ask(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Run a job, wait until it is on disk, and return its result: for starts and ends, never in between."""
        ...

    async def durable(self) -> None:
        """Return once all that was handed in before is on disk."""
        ...

    async def failure(self) -> None:
        """Never return; raise when the disk fails, or a block did."""
        ...


def connect(path: Path) -> sqlite3.Connection:
    """Open a database that keeps what it confirms: WAL, synchronous FULL, readable by its owner alone.

    Raises:
        StorageFault: it can't be opened or written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA journal_size_limit = 67108864")
            db.execute("PRAGMA user_version").fetchone()
        except sqlite3.Error:
            db.close()
            raise
    except OSError as error:
        raise StorageFault(f"can't be opened: {error.strerror}", where=str(path)) from error
    except sqlite3.Error as error:
        raise StorageFault(f"can't be opened: {error}", where=str(path)) from error
    return db


class Inline:
    """A writer that writes at once, in the caller's thread: for tests, virtual time and tools.

    Raises:
        BadInput: the database would not keep what it confirms.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db, self._name = db, _checked_name(db)
        self._last: tuple[Job, ...] = ()
        self._fault: Exception | None = None

    def put(self, job: Job) -> None:
        """Write it."""
        with self.together():
            job(self._db)

    @contextmanager
    def together(self) -> Iterator[None]:
        """One transaction."""
        if self._fault is not None:
            raise self._fault
        if self._db.in_transaction:
            yield
            return
        try:
            with _transaction(self._db):
                yield
                for job in self._last:
                    job(self._db)
        except sqlite3.Error as error:
            self._fault = _fault(self._name, error)
            raise self._fault from error
        except Exception as error:
            self._fault = error
            raise

    def at_commit(self, job: Job) -> None:
        """Run it before each COMMIT."""
        self._last = (*self._last, job)

    def ask(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Run it."""
        with self.together():
            return query(self._db)

    async def durable(self) -> None:
        """Everything is."""
        if self._fault is not None:
            raise self._fault

    async def failure(self) -> None:
        """Whoever puts is told at once."""
        await asyncio.Event().wait()


class Threaded:
    """A writer with a thread of its own: jobs wait at most `group_s` for company, and not at all for someone waiting.

    Args:
        db: as `connect` opens it; from now on the thread's alone.
        group_s: seconds.

    Raises:
        BadInput: the database would not keep what it confirms.
    """

    def __init__(self, db: sqlite3.Connection, group_s: float = GROUP_S) -> None:
        self._db, self._name, self._group_s = db, _checked_name(db), group_s
        self._ready = threading.Condition()  # guards all below
        self._jobs: list[Job] = []
        self._last: tuple[Job, ...] = ()
        self._taken = 0  # jobs handed in so far
        self._settled = 0  # of these, on disk
        self._waiting: list[tuple[int, Future[None]]] = []
        self._fault: Exception | None = None
        self._closing = False
        self._bundle: list[Job] | None = None
        self._watching: list[Future[None]] = []
        self._thread = threading.Thread(target=self._work, name="writer", daemon=True)
        self._thread.start()

    def put(self, job: Job) -> None:
        """Hand in a job."""
        if self._bundle is not None:
            self._bundle.append(job)
            return
        with self._ready:
            if self._fault is None and len(self._jobs) >= MOST_WAITING:
                self._fault = StorageFault(f"the disk is {MOST_WAITING} writes behind", where=self._name)
            if self._fault is not None:
                raise self._fault
            self._jobs.append(job)
            self._taken += 1
            if len(self._jobs) == 1:
                self._ready.notify()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Jobs put inside are handed in as one; where the block fails, none of them, and none after it."""
        if self._bundle is not None:
            yield
            return
        bundle: list[Job] = []
        self._bundle = bundle
        try:
            yield
        except Exception as error:
            self._end_with(error)
            raise
        finally:
            self._bundle = None
        self.put(lambda db: [job(db) for job in bundle])

    def at_commit(self, job: Job) -> None:
        """Run it before each COMMIT."""
        self._last = (*self._last, job)

    def ask(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Wait for an answer."""
        found: list[T] = []
        self.put(lambda db: found.append(query(db)))
        self._settling().result()
        return found[0]

    def wait(self) -> None:
        """Wait for the disk, in a thread that may."""
        self._settling().result()

    async def durable(self) -> None:
        """Wait for the disk."""
        waiter = self._settling()
        if not waiter.done():
            await asyncio.wrap_future(waiter)
        elif (fault := waiter.exception()) is not None:
            raise fault

    async def failure(self) -> None:
        """Wait for a fault."""
        watcher: Future[None] = Future()
        with self._ready:
            if self._fault is not None:
                raise self._fault
            self._watching.append(watcher)
        await asyncio.wrap_future(watcher)

    def close(self) -> None:
        """Write what was handed in, and let go of the file.

        Raises:
            StorageFault: it could not be written.
        """
        with self._ready:
            self._closing = True
            self._ready.notify()
        self._thread.join()
        self._db.close()
        if isinstance(self._fault, StorageFault):
            raise self._fault

    def _settling(self) -> Future[None]:
        """Done once all that was handed in so far is on disk."""
        waiter: Future[None] = Future()
        with self._ready:
            if self._fault is not None:
                waiter.set_exception(self._fault)
            elif self._settled == self._taken:
                waiter.set_result(None)
            else:
                self._waiting.append((self._taken, waiter))
                self._ready.notify()
        return waiter

    def _work(self) -> None:
        while (jobs := self._group()) is not None:
            try:
                with _transaction(self._db):
                    for job in (*jobs, *self._last):
                        job(self._db)
            except Exception as error:  # noqa: BLE001 - the thread's outermost frame: all who wait must hear of it
                self._fail(error)
                return
            self._settle(len(jobs))

    def _group(self) -> list[Job] | None:
        """The next jobs, None when there will be none."""
        with self._ready:
            self._ready.wait_for(lambda: self._jobs or self._closing)
            if not self._jobs:
                return None
            self._ready.wait_for(lambda: self._waiting or self._closing, self._group_s)
            jobs, self._jobs = self._jobs, []
            return jobs

    def _settle(self, jobs: int) -> None:
        with self._ready:
            self._settled += jobs
            done = [waiter for taken, waiter in self._waiting if taken <= self._settled]
            self._waiting = [(taken, waiter) for taken, waiter in self._waiting if taken > self._settled]
        for waiter in done:
            if waiter.set_running_or_notify_cancel():
                waiter.set_result(None)

    def _fail(self, error: Exception) -> None:
        fault = _fault(self._name, error)
        fault.__cause__ = error
        with self._ready:
            left = [waiter for _, waiter in self._waiting]
            self._jobs, self._waiting = [], []
            self._end_with(fault, *left)

    def _end_with(self, fault: Exception, *left: Future[None]) -> None:
        """Take nothing more, and tell who watches and who is left waiting."""
        with self._ready:  # it may be held already
            self._fault = fault
            told, self._watching = [*left, *self._watching], []
        for waiter in told:
            if waiter.set_running_or_notify_cancel():
                waiter.set_exception(fault)


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _checked_name(db: sqlite3.Connection) -> str:
    """The file's name.

    Raises:
        BadInput: it would not keep what it confirms.
    """
    if db.execute("PRAGMA synchronous").fetchone()[0] < _FULL:
        raise BadInput("the database could lose what it has confirmed", mend="open it with synchronous = FULL")
    return str(db.execute("PRAGMA database_list").fetchone()[2]) or "the database in memory"


def _fault(name: str, error: Exception) -> StorageFault:
    what = str(error) if isinstance(error, sqlite3.Error | OSError) else repr(error)
    return StorageFault(f"can't be written: {what}", where=name)
