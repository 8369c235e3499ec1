"""Reads the journal: its end at a start, with what is damaged cut off, and any day as events."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import zstandard

from broker.errors import BadInput
from daemon.events import Input, Output
from daemon.journal.chain import QUOTES, SCHEMA, Broken, Record, records, verified
from daemon.journal.encoding import decode
from daemon.journal.quotes import Group, unpack
from daemon.journal.writing import End
from daemon.snapshot import unpack as unpacked_snapshot

Event = Group | Input | Output


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the desk knew after record `seq`, whose digest is `digest`."""

    seq: int
    digest: bytes
    memory: Any


@dataclass(frozen=True, slots=True)
class Found:
    """What a start finds.

    Attributes:
        end: where the journal goes on.
        cut: records that were cut off because they, or one before them, were damaged.
        snapshot: the latest that is whole, or None.
    """

    end: End
    cut: int
    snapshot: Snapshot | None


def resume(db: sqlite3.Connection) -> Found:
    """Find the journal's end, and cut off what is not whole; inside a transaction of its one writer.

    Everything after the latest whole snapshot is held to the chain, or after the day's start where there is none.
    """
    for statement in SCHEMA:
        db.execute(statement)
    day = db.execute("SELECT day, first, before FROM journal_days ORDER BY day DESC LIMIT 1").fetchone()
    if day is None:
        return Found(End(), _cut(db, 1), None)
    snapshot = latest(db)
    seq, digest = (snapshot.seq, snapshot.digest) if snapshot else (day[1] - 1, day[2])
    cut = 0
    try:
        for record in verified(db, seq + 1, digest):
            seq, digest = record.seq, record.digest
    except Broken as broken:
        cut = _cut(db, broken.seq)
    day = db.execute("SELECT max(day) FROM journal_days").fetchone()
    return Found(End(seq, digest, -1 if day[0] is None else day[0]), cut, snapshot)


def latest(db: sqlite3.Connection, before: int | None = None) -> Snapshot | None:
    """The latest whole snapshot, of a record before `before` where that is given."""
    bound = before if before is not None else 1 << 62
    rows = db.execute("SELECT * FROM journal_snapshots WHERE seq < ? ORDER BY seq DESC", (bound,))
    for seq, digest, body in rows:
        record = next(records(db, seq), None)
        if record is None or record.seq != seq or record.digest != digest:
            continue
        try:
            return Snapshot(seq, digest, unpacked_snapshot(zstandard.ZstdDecompressor().decompress(body)))
        except (zstandard.ZstdError, BadInput):
            continue
    return None


def events(db: sqlite3.Connection, first: int, before: bytes, end: int | None = None) -> Iterator[tuple[int, Event]]:
    """Events of the records from `first` on (and before `end`), each with its record's number.

    Raises:
        Broken: the chain does not hold.
    """
    for record in verified(db, first, before):
        if end is not None and record.seq >= end:
            return
        yield record.seq, understood(record)


def understood(record: Record) -> Event:
    """What a record says.

    Raises:
        ValueError: it is of a kind or shape that this version does not know.
    """
    return unpack(record.body) if record.kind == QUOTES else decode(record.kind, record.body)


def _cut(db: sqlite3.Connection, seq: int) -> int:
    """Move what starts at `seq` out of the journal; how many records."""
    db.execute("INSERT INTO journal_cut SELECT * FROM journal_records WHERE seq >= ?", (seq,))
    gone = db.execute("DELETE FROM journal_records WHERE seq >= ?", (seq,)).rowcount
    db.execute("DELETE FROM journal_snapshots WHERE seq >= ?", (seq,))
    db.execute("DELETE FROM journal_days WHERE first >= ?", (seq,))
    return int(gone)
