"""Writes the journal: inputs before they are applied, outputs before they are acted on.

Handing in an event costs a queue's push; the writing thread encodes it. Consecutive quotes and beats share a record,
which is written anew, longer, with each group commit until something else comes or it is full.
"""

import sqlite3
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import zstandard

from broker.durable import Writer, connect
from broker.types import DAY
from daemon.events import Beat, Input, Opened, Output, Quoted
from daemon.journal.chain import QUOTES, START, digest_of
from daemon.journal.encoding import encode
from daemon.journal.quotes import Packer
from daemon.snapshot import pack

HEAP = 4 << 20  # bytes that SQLite keeps in this process
GROUP = 256  # quotes in a record: about two KiB, half a page
UNKNOWN = 0  # the day, while no event has told it


@dataclass(frozen=True, slots=True)
class End:
    """Where a journal ends: its last record, that one's digest, and the day it is in. The start of an empty one."""

    seq: int = 0
    digest: bytes = START
    day: int = -1


def opened(path: Path) -> sqlite3.Connection:
    """A journal's file for its one writer, as `broker.durable.connect` opens it.

    From then on SQLite keeps at most `HEAP` in this process, the experience store's included, whose writer looks at
    few of those that it would keep.

    Raises:
        StorageFault: it can't be opened or written.
    """
    db = connect(path)
    db.execute(f"PRAGMA soft_heap_limit = {HEAP}")
    return db


class DiskJournal:
    """The journal in a database (`daemon.events.Journal`).

    Args:
        disk: the one writer. end: where it goes on.
    """

    def __init__(self, disk: Writer, end: End) -> None:
        self._disk = disk
        self._end = end  # from here on, the writing thread's alone
        self._open = Packer()
        self._dirty = False
        disk.at_commit(self._flush)

    @property
    def records(self) -> int:
        """How many there are."""
        return self._end.seq

    def take(self, event: Input) -> None:
        """An input that is about to be applied."""
        if isinstance(event, Quoted | Beat):
            self._disk.put(partial(self._quote, event))
        else:
            self._disk.put(partial(self._event, event))

    def put(self, output: Output) -> None:
        """An output of the input taken last."""
        self._disk.put(partial(self._event, output))

    def remember(self, tree: Any) -> None:
        """Keep the state that follows from everything so far: what comes next can be folded from here."""
        self._disk.put(partial(self._snapshot, pack(tree)))

    def mark(self, tree: Any) -> None:
        """Keep the state as it stands now, in the place of the one before."""
        self._disk.put(partial(_mark, pack(tree)))

    def together(self) -> AbstractContextManager[None]:
        """What is taken and put inside is on record whole, or not at all."""
        return self._disk.together()

    async def durable(self) -> None:
        """Return once everything so far is on disk.

        Raises:
            StorageFault: it never will be.
        """
        await self._disk.durable()

    # In the writing thread.

    def _quote(self, event: Quoted | Beat, db: sqlite3.Connection) -> None:
        if len(self._open) == GROUP or not self._open.takes(event):
            self._seal(db)
        self._open.add(event)
        self._dirty = True

    def _event(self, event: Input | Output, db: sqlite3.Connection) -> None:
        self._seal(db)
        if self._end.seq == 0 or isinstance(event, Opened):
            self._enter(db, getattr(event, "time", 0) // DAY)
        self._end = self._write(db, type(event).__name__, encode(event))

    def _enter(self, db: sqlite3.Connection, day: int) -> None:
        """A day begins with the next record, unless it has begun, or a later one."""
        end = self._end
        if end.seq and end.day == UNKNOWN and day > UNKNOWN:
            db.execute("UPDATE journal_days SET day = ? WHERE day = ?", (day, UNKNOWN))
        elif end.seq == 0 or day > end.day:
            db.execute("INSERT INTO journal_days VALUES (?, ?, ?)", (day, end.seq + 1, end.digest))
        self._end = End(end.seq, end.digest, max(day, end.day))

    def _snapshot(self, snapshot: bytes, db: sqlite3.Connection) -> None:
        self._seal(db)
        body = zstandard.ZstdCompressor(level=3).compress(snapshot)
        row = (self._end.seq, self._end.digest, body)
        db.execute("INSERT OR REPLACE INTO journal_snapshots VALUES (?, ?, ?)", row)

    def _flush(self, db: sqlite3.Connection) -> None:
        """Write the quotes that wait, in a record that may still grow."""
        if self._dirty:
            self._write(db, QUOTES, self._open.packed())
            self._dirty = False

    def _seal(self, db: sqlite3.Connection) -> None:
        """End the record of quotes."""
        if len(self._open):
            self._end = self._write(db, QUOTES, self._open.packed())
            self._open, self._dirty = Packer(), False

    def _write(self, db: sqlite3.Connection, kind: str, body: bytes) -> End:
        """Write the next record; where the journal ends with it."""
        seq = self._end.seq + 1
        digest = digest_of(self._end.digest, seq, kind, body)
        db.execute("INSERT OR REPLACE INTO journal_records VALUES (?, ?, ?, ?)", (seq, kind, body, digest))
        return End(seq, digest, self._end.day)


def _mark(tree: bytes, db: sqlite3.Connection) -> None:
    body = zstandard.ZstdCompressor(level=3).compress(tree)
    db.execute("INSERT OR REPLACE INTO journal_mark VALUES (1, ?)", (body,))
