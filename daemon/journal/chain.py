"""The journal's tables and its chain: each record's digest covers the one before it, so none can change unnoticed.

Records are numbered from 1 without gaps. A day holds the records from its first on; a closed day's are packed into
chunks, and keep their digests by what they are made of.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

import zstandard

from broker.errors import Fatal

QUOTES = "quotes"
START = b"micro-trader 1  "  # what the first record follows

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS journal_days (  -- the UTC days that a run was opened in
    day INTEGER PRIMARY KEY,    -- since the Unix epoch; 0 while nothing has told
    first INTEGER NOT NULL,     -- its first record
    before BLOB NOT NULL        -- digest of the record before that
) STRICT""",
    """CREATE TABLE IF NOT EXISTS journal_records (
    seq INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,         -- an event's name, or 'quotes': consecutive quotes and beats
    body BLOB NOT NULL,         -- canonical JSON, or packed quotes
    digest BLOB NOT NULL        -- BLAKE2b-128 of the digest before, seq, kind and body
) STRICT""",
    """CREATE TABLE IF NOT EXISTS journal_chunks (  -- records of closed days
    first INTEGER PRIMARY KEY,
    last INTEGER NOT NULL,
    body BLOB NOT NULL          -- zstd of a line of JSON, [[seq, kind, length, digest], ...], and the bodies
) STRICT""",
    """CREATE TABLE IF NOT EXISTS journal_snapshots (  -- states from which the records behind them can be folded
    seq INTEGER PRIMARY KEY,    -- the last record before
    digest BLOB NOT NULL,       -- of that record
    body BLOB NOT NULL          -- zstd of a tree (daemon/snapshot.py)
) STRICT""",
    """CREATE TABLE IF NOT EXISTS journal_mark (       -- the state of lately, for a start that can't fold
    one INTEGER PRIMARY KEY CHECK (one = 1),
    body BLOB NOT NULL          -- as of a snapshot
) STRICT""",
    """CREATE TABLE IF NOT EXISTS journal_cut (  -- records that a start found damaged, or after damage: never believed
    seq INTEGER NOT NULL, kind TEXT NOT NULL, body BLOB NOT NULL, digest BLOB NOT NULL
) STRICT""",
)


class Record(NamedTuple):
    """One record; `digest` as stored."""

    seq: int
    kind: str
    body: bytes
    digest: bytes


class Broken(Fatal):
    """A record is not what was written, or is missing; those before `seq` are whole."""

    def __init__(self, seq: int) -> None:
        self.seq = seq
        super().__init__(f"record {seq} of the journal is damaged or missing")


def digest_of(before: bytes, seq: int, kind: str, body: bytes) -> bytes:
    """Digest of a record.

    >>> digest_of(START, 1, "Beat", b'{"time":7}').hex()
    '556731e3d299b0b763aea47c78241238'
    """
    head = f"{seq} {kind}\n".encode()
    return hashlib.blake2b(before + head + body, digest_size=16).digest()


def records(db: sqlite3.Connection, first: int) -> Iterator[Record]:
    """The records from `first` on, as stored, in order."""
    for (chunk,) in db.execute("SELECT body FROM journal_chunks WHERE last >= ? ORDER BY first", (first,)):
        yield from (record for record in unpacked(chunk) if record.seq >= first)
    yield from map(Record._make, db.execute("SELECT * FROM journal_records WHERE seq >= ? ORDER BY seq", (first,)))


def verified(db: sqlite3.Connection, first: int, before: bytes) -> Iterator[Record]:
    """The same, each held to its digest.

    Raises:
        Broken: where the chain does.
    """
    seq = first
    try:
        for record in records(db, first):
            if record.seq != seq or record.digest != digest_of(before, *record[:3]):
                break
            yield record
            seq, before = seq + 1, record.digest
        else:
            return
    except (sqlite3.DatabaseError, zstandard.ZstdError, ValueError, TypeError) as error:
        raise Broken(seq) from error
    raise Broken(seq)


def packed(found: list[Record]) -> bytes:
    """Consecutive records as a chunk."""
    head = [[record.seq, record.kind, len(record.body), record.digest.hex()] for record in found]
    raw = json.dumps(head).encode() + b"\n" + b"".join(record.body for record in found)
    return zstandard.ZstdCompressor(level=9).compress(raw)


def unpacked(chunk: bytes) -> Iterator[Record]:
    """The records of a chunk.

    Raises:
        ZstdError, ValueError, TypeError: it is damaged.
    """
    head, _, bodies = zstandard.ZstdDecompressor().decompress(chunk).partition(b"\n")
    at = 0
    for seq, kind, length, digest in json.loads(head):
        yield Record(seq, kind, bodies[at : at + length], bytes.fromhex(digest))
        at += length
