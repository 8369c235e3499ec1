"""Reading segments out of the store, past damage: what can't be read is named, the rest is served."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from training.experience import Segment
from training.store_rows import SEGMENT_COLUMNS, STEP_COLUMNS, Damaged, segment_of

_T = TypeVar("_T")
_SEGMENT = (
    f"SELECT run.name, segment.first_step, {', '.join(f'segment.{name}' for name in SEGMENT_COLUMNS)}, segment.checksum"
    " FROM segment JOIN run ON run.id = segment.run WHERE segment.id = ?"
)
_STEPS = (
    f"SELECT source.model, {', '.join(f'step.{name}' for name in STEP_COLUMNS)}"
    " FROM step JOIN source ON source.id = step.source WHERE step.id BETWEEN ? AND ? ORDER BY step.id"
)


def read_segment(db: sqlite3.Connection, key: int) -> Segment:
    """A segment with all its steps.

    Raises:
        Damaged: its rows aren't what was written, or can't be read.
        KeyError: there is none (it may have been evicted).
    """
    try:
        row = db.execute(_SEGMENT, (key,)).fetchone()
        if row is None:
            raise KeyError(key)
        run, first, *values, checksum = row
        steps = db.execute(_STEPS, (first, first + values[1] - 1)).fetchall()
    except (sqlite3.DatabaseError, OverflowError, TypeError) as error:
        raise Damaged(f"can't be read: {error}") from error
    return segment_of(run, values, checksum, steps)


@contextmanager
def snapshot(db: sqlite3.Connection) -> Iterator[None]:
    """What is read inside is of one moment, whatever others write."""
    db.execute("BEGIN")
    try:
        yield
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")  # nothing was written; a commit may fail on a damaged file


def segment_ids(db: sqlite3.Connection) -> list[int]:
    """Ids of all segments, oldest first, those in quarantine too; ids that damage hides are left out."""
    top = _top(db)
    return [key for (key,) in scan(lambda low, high: _between(db, low, high), 0, top)]


def scan(
    read: Callable[[int, int], Sequence[tuple[Any, ...]]],
    low: int,
    high: int,
    lost: Callable[[int, str], None] | None = None,
) -> Iterator[tuple[Any, ...]]:
    """Rows with ids in [low, high], read in one piece, or in ever smaller ones around what can't be read.

    Args:
        lost: told each id that can't be read, and why.
    """
    try:
        rows = read(low, high)
    except sqlite3.DatabaseError as error:
        if low == high:
            if lost is not None:
                lost(low, str(error))
            return
        middle = (low + high) // 2
        yield from scan(read, low, middle, lost)
        yield from scan(read, middle + 1, high, lost)
        return
    yield from rows


def _between(db: sqlite3.Connection, low: int, high: int) -> list[tuple[int]]:
    return db.execute("SELECT id FROM segment NOT INDEXED WHERE id BETWEEN ? AND ? ORDER BY id", (low, high)).fetchall()


def _top(db: sqlite3.Connection) -> int:
    found = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'segment'").fetchone()
    return int(found[0]) if found else 0
