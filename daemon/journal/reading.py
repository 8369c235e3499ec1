"""Reads the journal: its end at a start, with what is damaged cut off, and any day as events."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import zstandard

from broker.errors import BadInput
from daemon.events import Input, Output
from daemon.journal.chain import QUOTES, SCHEMA, START, Broken, Record, records, verified
from daemon.journal.encoding import decode
from daemon.journal.quotes import Group, unpack
from daemon.journal.writing import End
from daemon.snapshot import unpack as unpacked_snapshot

Event = Group | Input | Output


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state after record `seq`, whose digest is `digest`."""

    seq: int
    digest: bytes
    tree: Any


@dataclass(frozen=True, slots=True)
class Found:
    """What a start finds.

    Attributes:
        end: where the journal goes on.
        cut: records that were cut off because they, or one before them, were damaged.
        snapshot: the latest that is whole, from which all behind it can be folded, or None.
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
    first = db.execute("SELECT first, before FROM journal_days ORDER BY day DESC LIMIT 1").fetchone()
    snapshot = latest(db)
    if snapshot is not None:
        seq, digest = snapshot.seq, snapshot.digest
    else:
        seq, digest = (first[0] - 1, first[1]) if first else (0, START)
    cut = 0
    try:
        for record in verified(db, seq + 1, digest):
            seq, digest = record.seq, record.digest
    except Broken as broken:
        cut = _cut(db, broken.seq)
    (day,) = db.execute("SELECT coalesce(max(day), -1) FROM journal_days").fetchone()
    return Found(End(seq, digest, day), cut, snapshot)


def latest(db: sqlite3.Connection, until: int = 1 << 62) -> Snapshot | None:
    """The latest whole snapshot, of record `until` or one before it."""
    rows = db.execute("SELECT * FROM journal_snapshots WHERE seq <= ? ORDER BY seq DESC", (until,))
    for seq, digest, body in rows.fetchall():
        try:
            if digest == _digest_at(db, seq):
                return Snapshot(seq, digest, unpacked_snapshot(zstandard.ZstdDecompressor().decompress(body)))
        except (zstandard.ZstdError, BadInput, ValueError, TypeError):
            continue
    return None


def marked(db: sqlite3.Connection) -> Any:
    """The tree that was marked last, None where there is no whole one."""
    row = db.execute("SELECT body FROM journal_mark").fetchone()
    try:
        return unpacked_snapshot(zstandard.ZstdDecompressor().decompress(row[0])) if row else None
    except (zstandard.ZstdError, BadInput):
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


def _digest_at(db: sqlite3.Connection, seq: int) -> bytes | None:
    """The digest of a record, as the day behind it or the record itself tells; None where neither does."""
    if (day := db.execute("SELECT before FROM journal_days WHERE first = ?", (seq + 1,)).fetchone()) is not None:
        return bytes(day[0])
    record = next(records(db, seq), None) if seq else Record(0, "", b"", START)
    return record.digest if record is not None and record.seq == seq else None


def _cut(db: sqlite3.Connection, seq: int) -> int:
    """Move what starts at `seq` out of the journal; how many records."""
    db.execute("INSERT INTO journal_cut SELECT * FROM journal_records WHERE seq >= ?", (seq,))
    gone = db.execute("DELETE FROM journal_records WHERE seq >= ?", (seq,)).rowcount
    db.execute("DELETE FROM journal_snapshots WHERE seq >= ?", (seq,))
    db.execute("DELETE FROM journal_days WHERE first >= ?", (seq,))
    return int(gone)
