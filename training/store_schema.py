"""The experience store's tables, and how a file gets to this version of them.

The text below is kept in the file itself, comments included: `sqlite3 experience.db .schema` is its manual.
"""

import os
import sqlite3
from pathlib import Path

from broker.errors import BadInput, StorageFault

APPLICATION_ID = 0x4D545845  # "MTXE"
BUSY_MS = 60_000

_TABLES = """
CREATE TABLE store (              -- one row
  one INTEGER PRIMARY KEY CHECK (one = 1),
  epoch INTEGER NOT NULL,         -- grows when rows change in any way but append and eviction: caches start over
  next_step INTEGER NOT NULL      -- id of the next step; ids are never used again
) STRICT;
CREATE TABLE half (               -- a segment belongs to one by a hash of its id, before its outcome is known
  name TEXT PRIMARY KEY CHECK (name IN ('quality', 'unbiased')),
  capacity INTEGER NOT NULL,      -- steps
  steps INTEGER NOT NULL,
  segments INTEGER NOT NULL,
  evicted_steps INTEGER NOT NULL,
  evicted_segments INTEGER NOT NULL
) STRICT;
CREATE TABLE run (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE source (             -- what a step was seen and decided by
  id INTEGER PRIMARY KEY,
  feature_set TEXT NOT NULL,
  model TEXT NOT NULL,
  UNIQUE (feature_set, model)
) STRICT;
CREATE TABLE segment (            -- a completed trade with all its decisions, or decisions made while flat
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  run INTEGER NOT NULL REFERENCES run,
  first_seq INTEGER NOT NULL,     -- seq of its first decision; (run, first_seq) names the segment
  first_step INTEGER NOT NULL,    -- its steps are first_step .. first_step + steps - 1
  steps INTEGER NOT NULL CHECK (steps > 0),
  half TEXT NOT NULL REFERENCES half,
  instrument TEXT NOT NULL,
  feature_set TEXT NOT NULL,
  session TEXT NOT NULL,          -- UTC day or episode
  pips REAL NOT NULL,             -- pip_pnl and reward of every one of its steps (equal partners)
  reward REAL NOT NULL,
  session_expectancy REAL NOT NULL,
  side INTEGER,                   -- from here on as in trades.csv; NULL: flat
  units INTEGER,
  open_time INTEGER,              -- ns UTC
  open_price INTEGER,             -- points
  close_time INTEGER,
  close_price INTEGER,
  pnl TEXT,                       -- exact decimal
  currency TEXT,
  dd_sum REAL,
  bars INTEGER,
  model TEXT,
  exit_reason TEXT,
  stop_price INTEGER,
  take_profit_price INTEGER,
  checksum INTEGER NOT NULL,      -- CRC-32
  UNIQUE (run, first_seq)
) STRICT;
CREATE TABLE step (               -- one decision
  id INTEGER PRIMARY KEY,
  segment INTEGER NOT NULL REFERENCES segment,
  run INTEGER NOT NULL REFERENCES run,
  source INTEGER NOT NULL REFERENCES source,
  seq INTEGER NOT NULL,           -- number of the decision in its run
  time INTEGER NOT NULL,          -- ns UTC
  bid INTEGER NOT NULL,           -- points
  ask INTEGER NOT NULL,
  sigma REAL NOT NULL,            -- pips
  spread REAL NOT NULL,
  change REAL,                    -- pips the mid close moved to the next bar
  deviation REAL,                 -- pips, s of the market outcome
  value REAL,                     -- root value
  open_pips REAL NOT NULL,
  bars_held INTEGER NOT NULL,
  action INTEGER NOT NULL,        -- 0 HOLD 1 BUY 2 SELL 3 CLOSE, as it took effect (vetoed: HOLD)
  chosen INTEGER NOT NULL,        -- as the strategy chose
  position INTEGER NOT NULL,      -- side before the decision
  legal INTEGER NOT NULL,         -- bit a: action a was legal
  position_change INTEGER NOT NULL,
  done INTEGER NOT NULL,          -- last step of its session or episode
  search BLOB,                    -- float32, little-endian: policy[4] visits[4] q[4] outcome[3]; NULL without a search
  features BLOB NOT NULL,         -- float32, little-endian: the feature set's row, un-normalised
  checksum INTEGER NOT NULL,      -- CRC-32
  UNIQUE (run, seq)
) STRICT;
CREATE TABLE score (              -- the learner's opinion of a step
  step INTEGER PRIMARY KEY,
  td_error REAL NOT NULL,
  score REAL NOT NULL
) STRICT;
CREATE TABLE standing (           -- what is served: mean score of a segment's steps, for eviction
  segment INTEGER PRIMARY KEY,
  half TEXT NOT NULL,
  score REAL NOT NULL
) STRICT;
CREATE INDEX standing_by_score ON standing (half, score, segment);
CREATE INDEX standing_by_age ON standing (half, segment);
CREATE TABLE evicted (            -- the latest evictions, in order; a segment named here isn't stored again
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  segment INTEGER NOT NULL,
  run INTEGER NOT NULL,
  first_seq INTEGER NOT NULL,
  steps INTEGER NOT NULL,
  half TEXT NOT NULL,
  score REAL NOT NULL,
  UNIQUE (run, first_seq)
) STRICT;
INSERT INTO store VALUES (1, 1, 1);
INSERT INTO half VALUES ('quality', 25000, 0, 0, 0, 0), ('unbiased', 25000, 0, 0, 0, 0);
"""

_QUARANTINE = """
CREATE TABLE quarantine (         -- segments that `store verify` found damaged: kept, not served, until `store prune`
  segment INTEGER PRIMARY KEY,
  reason TEXT NOT NULL
) STRICT;
CREATE VIEW experience AS         -- steps as a person reads them
  SELECT step.id, run.name AS run, step.seq,
         strftime('%Y-%m-%dT%H:%M:%SZ', step.time / 1000000000, 'unixepoch') AS time, segment.instrument,
         CASE step.action WHEN 0 THEN 'HOLD' WHEN 1 THEN 'BUY' WHEN 2 THEN 'SELL' ELSE 'CLOSE' END AS action,
         step.position, iif(segment.side IS NULL, 'flat', 'trade') AS kind, segment.half,
         segment.pips AS pip_pnl, segment.reward, step.value, score.td_error, score.score,
         source.model, source.feature_set, step.segment
  FROM step JOIN segment ON segment.id = step.segment JOIN run ON run.id = step.run
       JOIN source ON source.id = step.source JOIN score ON score.step = step.id;
"""

MIGRATIONS: tuple[str, ...] = (_TABLES, _QUARANTINE)
"""MIGRATIONS[v] takes a file from version v to v + 1; version 0 is an empty file."""

SCHEMA_VERSION = len(MIGRATIONS)


def connect(path: Path, *, full_sync: bool = True) -> sqlite3.Connection:
    """Open a store, new or of any older version, in autocommit mode; one thread at a time may use it.

    Args:
        path: the file; made where there is none. An older one is copied to `<name>.v<N>.bak` before it is changed.
        full_sync: a commit waits for the disk. Without, it survives a crash of the process, not of the machine.

    Raises:
        BadInput: it is something else, or of a newer version.
        StorageFault: the disk failed, or another process holds it too long.
    """
    try:
        db = sqlite3.connect(path, timeout=BUSY_MS / 1000, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise StorageFault(f"can't open the experience store: {error}", where=str(path)) from error
    try:
        version = _known_version(db, path)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(f"PRAGMA synchronous = {'FULL' if full_sync else 'NORMAL'}")
        db.execute("PRAGMA cache_size = -16384")
        db.execute("PRAGMA journal_size_limit = 67108864")
        if version < SCHEMA_VERSION:
            _migrate(db, path)
    except sqlite3.Error as error:
        db.close()
        raise StorageFault(f"can't open the experience store: {error}", where=str(path)) from error
    except BaseException:
        db.close()
        raise
    return db


def _known_version(db: sqlite3.Connection, path: Path) -> int:
    """The file's version.

    Raises:
        BadInput: no store, or a newer one.
    """
    try:
        application, version, objects = db.execute(
            "SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM pragma_user_version),"
            " (SELECT count(*) FROM sqlite_schema)"
        ).fetchone()
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_NOTADB:
            raise BadInput("not an experience store", where=str(path), mend="move it away") from error
        raise
    if objects and application != APPLICATION_ID:
        raise BadInput("a database, but not an experience store", where=str(path), mend="move it away")
    if version > SCHEMA_VERSION:
        raise BadInput(
            f"written by a newer version (schema {version}, this program knows {SCHEMA_VERSION})",
            where=str(path),
            mend="update the program, or use the backup made before the file was migrated",
        )
    return int(version)


def _migrate(db: sqlite3.Connection, path: Path) -> None:
    """Bring the file to this version, in one transaction, after a backup where it held anything."""
    db.execute("BEGIN IMMEDIATE")  # two openers at once: the second finds the work done
    try:
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        if 0 < version < SCHEMA_VERSION:
            _keep(path, path.with_name(f"{path.name}.v{version}.bak"))
        for script in MIGRATIONS[version:]:
            for statement in _statements(script):
                db.execute(statement)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def _statements(script: str) -> list[str]:
    found, part = [], ""
    for line in script.splitlines(keepends=True):
        part += line
        if sqlite3.complete_statement(part):
            found.append(part.strip())
            part = ""
    return found


def _keep(path: Path, backup: Path) -> None:
    if not backup.exists():
        source = sqlite3.connect(path)
        try:
            copy_database(source, backup)
        finally:
            source.close()


def copy_database(source: sqlite3.Connection, target: Path) -> None:
    """A consistent copy of an open database, whole or not there: written aside, synced, renamed."""
    aside = target.with_name(f".{target.name}.part")
    aside.unlink(missing_ok=True)
    copy = sqlite3.connect(aside)
    try:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")
    finally:
        copy.close()
    sync_file(aside)
    os.replace(aside, target)
    sync_file(target.parent)


def sync_file(path: Path) -> None:
    """Make a file's bytes, or a folder's names, durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
