"""Putting a segment into a store: one transaction, whole or not at all, once."""

import sqlite3
from types import TracebackType

import numpy as np

from broker.errors import BadInput
from broker.types import Float64s
from training.experience import Segment
from training.quality import mean_score
from training.store_eviction import make_room
from training.store_rows import SEGMENT_COLUMNS, STEP_COLUMNS, Rows, rows_of

_INSERT_SEGMENT = (
    f"INSERT INTO segment (run, first_step, {', '.join(SEGMENT_COLUMNS)}, checksum)"
    f" VALUES (?, ?, {', '.join('?' * len(SEGMENT_COLUMNS))}, ?)"
)
_INSERT_STEP = (
    f"INSERT INTO step (id, segment, run, source, {', '.join(STEP_COLUMNS)})"
    f" VALUES (?, ?, ?, ?, {', '.join('?' * len(STEP_COLUMNS))})"
)


class Transaction:
    """A write transaction: committed at the end of the `with` block, rolled back by any exception."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")


def insert(db: sqlite3.Connection, segment: Segment, td_errors: Float64s | None = None) -> bool:
    """Make room where its half is full, and store a segment with its scores.

    Args:
        td_errors: `[n]`; None: 0, nothing learned yet.

    Returns:
        False where a segment of the same run and first decision was stored before (evicted since or not).

    Raises:
        BadInput: one of its steps belongs to another stored segment.
    """
    rows = rows_of(segment)
    errors = np.zeros(len(rows.steps)) if td_errors is None else td_errors
    opinions = list(zip(errors.tolist(), segment.scores(errors).tolist(), strict=True))
    with Transaction(db):
        run = _id_of(db, "run", name=segment.run)
        if _known(db, run, segment.first_seq):
            return False
        make_room(db, segment.half, len(rows.steps))
        try:
            _insert_rows(db, run, segment, rows, opinions)
        except sqlite3.IntegrityError as error:
            raise BadInput(
                f"a decision from {segment.first_seq} on is stored in another segment already",
                where=f"run {segment.run}",
                mend="give each run a name of its own",
            ) from error
    return True


def _insert_rows(
    db: sqlite3.Connection, run: int, segment: Segment, rows: Rows, opinions: list[tuple[float, float]]
) -> None:
    first, count = int(db.execute("SELECT next_step FROM store").fetchone()[0]), len(rows.steps)
    key = db.execute(_INSERT_SEGMENT, (run, first, *rows.segment, rows.checksum)).lastrowid
    sources = {m: _id_of(db, "source", feature_set=segment.feature_set, model=m) for m in set(segment.models)}
    db.executemany(
        _INSERT_STEP,
        [(first + i, key, run, sources[segment.models[i]], *step) for i, step in enumerate(rows.steps)],
    )
    db.executemany("INSERT INTO score VALUES (?, ?, ?)", [(first + i, *opinion) for i, opinion in enumerate(opinions)])
    mean = mean_score(score for _, score in opinions)
    db.execute("INSERT INTO standing VALUES (?, ?, ?)", (key, segment.half.value, mean))
    db.execute("UPDATE store SET next_step = ?", (first + count,))
    db.execute("UPDATE half SET steps = steps + ?, segments = segments + 1 WHERE name = ?", (count, segment.half.value))


def _known(db: sqlite3.Connection, run: int, first_seq: int) -> bool:
    return any(
        db.execute(f"SELECT 1 FROM {table} WHERE run = ? AND first_seq = ?", (run, first_seq)).fetchone()
        for table in ("segment", "evicted")
    )


def _id_of(db: sqlite3.Connection, table: str, **names: str) -> int:
    values = tuple(names.values())
    found = db.execute(f"SELECT id FROM {table} WHERE {' AND '.join(f'{n} = ?' for n in names)}", values).fetchone()
    if found is None:
        marks = ", ".join("?" * len(names))
        return int(db.execute(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})", values).lastrowid or 0)
    return int(found[0])
