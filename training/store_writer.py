"""Appends completed segments to the store, durably, and never drops one."""

import sqlite3
from pathlib import Path
from typing import NoReturn

from broker.errors import BadInput, StorageFault
from training.experience import Segment
from training.spool import Spool
from training.store_insert import Transaction, insert
from training.store_schema import connect


class ExperienceWriter:
    """The one process that appends and evicts; one thread at a time.

    When the disk fails, a segment is kept in the spool, StorageFault says so, and the next append tries it again
    before anything else.

    Args:
        path: the store; made where there is none.
        capacity: steps; each half of the store gets half of them.
        spool: file of the spool, best on another disk; what an earlier process left there is stored first. None:
            memory alone.

    Raises:
        BadInput: the file is something else or of a newer version, or the capacity is below 2.
        StorageFault: the disk failed.
    """

    def __init__(self, path: Path, capacity: int, spool: Path | None = None) -> None:
        if capacity < 2:
            raise BadInput(f"a capacity of {capacity} steps", where="store.capacity", mend="ask for 2 or more")
        self._path = path
        self._db = connect(path)
        self._spool = Spool(spool)
        try:
            with Transaction(self._db):
                self._db.execute("UPDATE half SET capacity = ?", (capacity // 2,))
            self._retry()
        except (sqlite3.Error, OSError) as error:
            self.abandon()
            self._fault(error)

    @property
    def pending(self) -> int:
        """Segments that couldn't be stored yet and wait in the spool."""
        return len(self._spool)

    def append(self, segment: Segment) -> bool:
        """Store a segment durably, evicting where its half is full.

        Returns:
            False where a segment of the same run and first decision was stored before (evicted since or not).

        Raises:
            BadInput: one of its steps belongs to another stored segment.
            StorageFault: the disk failed; the segment waits in the spool.
        """
        try:
            self._retry()
            return insert(self._db, segment)
        except (sqlite3.Error, OSError) as error:
            self._spool.add(segment)
            self._fault(error)

    def close(self) -> None:
        """Try what waits once more, and let go of the file.

        Raises:
            StorageFault: segments wait in memory alone, and are lost with it. Those in the spool's file aren't.
        """
        try:
            self._retry()
        except (sqlite3.Error, OSError) as error:
            if self._spool.volatile:
                self._fault(error)
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Let go of the files at once, whatever waits."""
        self._db.close()
        self._spool.close()

    def _retry(self) -> None:
        while (segment := self._spool.first()) is not None:
            insert(self._db, segment)
            self._spool.drop_first()

    def _fault(self, error: Exception) -> NoReturn:
        waiting = f"{self.pending} segments wait in {self._spool.place}" if self.pending else "nothing waits"
        raise StorageFault(f"can't write experience: {error}; {waiting}", where=str(self._path)) from error
