"""Where experience waits while the store's disk fails: a small store in another place, or memory."""

import sqlite3
from collections import deque
from pathlib import Path

from broker.errors import StorageFault
from training.experience import Segment
from training.store_eviction import remove
from training.store_insert import Transaction, insert
from training.store_rows import Damaged
from training.store_scan import read_segment, segment_ids
from training.store_schema import connect

_UNBOUNDED = 2**62


class Spool:
    """Segments that wait, oldest first.

    Args:
        path: file of the spool, best on another disk; what it holds from an earlier process waits again. None: memory.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._db: sqlite3.Connection | None = None
        self._filed: deque[int] = deque()
        self._memory: deque[Segment] = deque()
        self.damaged = 0
        if path is not None and path.exists():
            self._filed.extend(segment_ids(self._open(path)))

    def __len__(self) -> int:
        return len(self._filed) + len(self._memory)

    @property
    def volatile(self) -> int:
        """Segments that wait in memory alone."""
        return len(self._memory)

    @property
    def place(self) -> str:
        """Where they wait, for a person."""
        return " and ".join([str(self._path)] * bool(self._filed) + ["memory"] * bool(self._memory))

    def add(self, segment: Segment) -> None:
        """Keep a segment: in the file, or where that fails too, in memory."""
        if self._path is not None and not self._memory:
            try:
                db = self._open(self._path)
                if insert(db, segment):
                    self._filed.append(segment_ids(db)[-1])
                return
            except (StorageFault, sqlite3.Error, OSError):
                pass  # memory is the last resort
        self._memory.append(segment)

    def first(self) -> Segment | None:
        """The oldest that waits; None where none does. A damaged one stays in the file and is passed over."""
        while self._filed and self._db is not None:
            try:
                return read_segment(self._db, self._filed[0])
            except Damaged:
                self.damaged += 1
                self._filed.popleft()
        return self._memory[0] if self._memory else None

    def drop_first(self) -> None:
        """Forget the oldest: it is stored. The file goes with its last segment."""
        if not self._filed or self._db is None:
            self._memory.popleft()
            return
        key = self._filed.popleft()
        if self._filed or self.damaged:
            with Transaction(self._db):
                row = self._db.execute("SELECT first_step, steps FROM segment WHERE id = ?", (key,)).fetchone()
                remove(self._db, key, *row)
            return
        self.close()
        if self._path is not None:
            for ending in ("", "-wal", "-shm"):
                self._path.with_name(self._path.name + ending).unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the file."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def _open(self, path: Path) -> sqlite3.Connection:
        if self._db is None:
            self._db = connect(path)
            with Transaction(self._db):
                self._db.execute("UPDATE half SET capacity = ?", (_UNBOUNDED,))
        return self._db
