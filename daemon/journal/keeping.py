"""Looks after the journal: closed days packed, old ones dropped, copies made. In small steps, so that nobody waits.

Everything but a copy is a job of the journal's one writer.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from broker.errors import StorageFault
from daemon.journal.chain import Record, packed

CHUNK = 64  # records packed together: more of them pack no tighter, and the packer's tables would stay in memory
STEP = 256  # rows dropped at once
PAGES = 256  # copied or given back at once


def pack_some(db: sqlite3.Connection) -> bool:
    """Pack the oldest records of closed days; whether there were any."""
    (first,) = db.execute("SELECT max(first) FROM journal_days").fetchone()
    rows = db.execute("SELECT * FROM journal_records WHERE seq < ? ORDER BY seq LIMIT ?", (first or 0, CHUNK))
    found = [Record._make(row) for row in rows]
    if found:
        span = found[0].seq, found[-1].seq
        db.execute("INSERT INTO journal_chunks VALUES (?, ?, ?)", (*span, packed(found)))
        db.execute("DELETE FROM journal_records WHERE seq BETWEEN ? AND ?", span)
    return bool(found)


def drop_some(db: sqlite3.Connection, before: int) -> bool:
    """Drop the oldest records of days before a day, and give their space back; whether there were any.

    The latest day always stays, and so does the state from which it is folded.
    """
    days = db.execute("SELECT day, first FROM journal_days ORDER BY day").fetchall()
    kept = [first for day, first in days if day >= before] or [first for _, first in days[-1:]]
    if not kept:
        return False
    end = kept[0]
    db.execute("DELETE FROM journal_days WHERE first < ?", (end,))
    db.execute("DELETE FROM journal_snapshots WHERE seq < ?", (end - 1,))
    gone = 0
    for table, column in (("journal_chunks", "last"), ("journal_records", "seq")):
        gone += db.execute(
            f"DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} WHERE {column} < ? ORDER BY rowid LIMIT ?)",
            (end, STEP),
        ).rowcount
    return gone > 0


def back_up(source: Path, target: Path) -> None:
    """Copy a journal while its writer goes on; the copy is there whole or not at all, readable by its owner alone.

    Raises:
        StorageFault: a disk failed.
    """
    aside = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        aside.unlink(missing_ok=True)
        os.close(os.open(aside, os.O_RDWR | os.O_CREAT, 0o600))
        origin = sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True)
        with closing(origin) as db, closing(sqlite3.connect(aside)) as copy:
            db.execute("BEGIN")  # the state of now: else it begins anew whenever the writer commits, and never ends
            db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            db.backup(copy, pages=PAGES)
            copy.execute("PRAGMA journal_mode = DELETE")
        aside.replace(target)
    except (sqlite3.Error, OSError) as error:
        aside.unlink(missing_ok=True)
        raise StorageFault(f"can't be copied to {target}: {error}", where=str(source)) from error
