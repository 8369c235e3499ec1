"""Looking after the experience store: figures, verification, backup, pruning."""

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np

from broker.errors import BadInput, StorageFault
from training.quality import Half, mean_score
from training.store_eviction import evict, remove
from training.store_insert import Transaction
from training.store_rows import Damaged
from training.store_scan import read_segment, scan, segment_ids, snapshot
from training.store_schema import SCHEMA_VERSION, connect, copy_database

_SCORE_BLOCK = 65_536


class ExperienceMaintenance:
    """A person's hands on the store. `prune` and what `verify` finds change it; the rest only reads.

    Raises:
        BadInput: there is no store.
        StorageFault: the disk failed.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise BadInput("no experience store", where=str(path), mend="store some: `replay --store`, or `run`")
        self._path = path
        self.db = connect(path)

    def stats(self) -> dict[str, Any]:
        """Figures of the store.

        Returns:
            `size` and `capacity` in steps, `trades`, `segments`, `evicted` (segments), `evicted_steps`,
            `quality{min, p50, max}` of the steps served (null without any), `halves`, `quarantined` (segments),
            `schema_version`, `integrity` (`ok`, or the first thing wrong with the file).

        Raises:
            StorageFault: the file can't be read.
        """
        try:
            halves = {
                name: dict(zip(("capacity", "steps", "segments", "evicted", "evicted_steps"), row, strict=True))
                for name, *row in self.db.execute(
                    "SELECT name, capacity, steps, segments, evicted_segments, evicted_steps FROM half ORDER BY name"
                )
            }
            trades = self._one("SELECT count(*) FROM standing JOIN segment ON id = segment WHERE side IS NOT NULL")
            low, middle, high = self._score_range()
            return {
                "size": sum(half["steps"] for half in halves.values()),
                "capacity": sum(half["capacity"] for half in halves.values()),
                "trades": trades,
                "segments": sum(half["segments"] for half in halves.values()),
                "evicted": sum(half["evicted"] for half in halves.values()),
                "evicted_steps": sum(half["evicted_steps"] for half in halves.values()),
                "quality": {"min": low, "p50": middle, "max": high},
                "halves": halves,
                "quarantined": self._one("SELECT count(*) FROM quarantine"),
                "schema_version": SCHEMA_VERSION,
                "integrity": self._one("PRAGMA quick_check(1)"),
            }
        except sqlite3.DatabaseError as error:
            raise StorageFault(f"can't be read: {error}", where=str(self._path)) from error

    def verify(self) -> dict[str, Any]:
        """Check the file and the checksum of every row; what is damaged is put in quarantine: kept, but not served.

        Returns:
            `integrity` (`ok` or `damaged`), `segments` checked, `quarantined` (rows of `segment` and `reason`, earlier
            ones too), `file` (what SQLite says about the file), `rescored` (segments whose scores were made again).

        Raises:
            StorageFault: damage was found, and the disk failed as it was noted.
        """
        found = dict(self._quarantine())
        keys = sorted({*segment_ids(self.db), *self._standing()} - found.keys())
        rescored = []
        damaged = {}
        for key in keys:
            try:
                if self._rescore(key):
                    rescored.append(key)
            except (Damaged, KeyError) as error:
                damaged[key] = error.what if isinstance(error, Damaged) else "its row is gone"
        if damaged:
            self._set_aside(damaged)
        found.update(damaged)
        file = self._file_check()
        return {
            "integrity": "damaged" if found or file != ["ok"] else "ok",
            "segments": len(keys),
            "quarantined": [{"segment": key, "reason": why} for key, why in sorted(found.items())],
            "file": file,
            "rescored": rescored,
        }

    def backup(self, target: Path) -> None:
        """A consistent copy, while others go on; whole or not there.

        Raises:
            BadInput: the target is there already.
            StorageFault: the disk failed.
        """
        if target.exists():
            raise BadInput("there is something already", where=str(target), mend="name a new file")
        try:
            copy_database(self.db, target)
        except (sqlite3.Error, OSError) as error:
            raise StorageFault(f"can't back up: {error}", where=str(target)) from error

    def prune(self, keep: int | None = None) -> int:
        """Evict down to `keep` steps (None: the capacity), drop what is in quarantine, and give back the room.

        Returns:
            Steps evicted.

        Raises:
            StorageFault: the disk failed.
        """
        gone = 0
        try:
            for half in Half:
                with Transaction(self.db):
                    row = self.db.execute("SELECT steps, capacity FROM half WHERE name = ?", (half.value,)).fetchone()
                    gone += evict(self.db, half, row[0] - (row[1] if keep is None else keep // 2))
            for key, _ in self._quarantine():
                with Transaction(self.db):
                    row = self.db.execute("SELECT first_step, steps FROM segment WHERE id = ?", (key,)).fetchone()
                    remove(self.db, key, *(row or (0, 0)))
                    self.db.execute("DELETE FROM quarantine WHERE segment = ?", (key,))
            self.db.execute("VACUUM")
            self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.DatabaseError as error:
            raise StorageFault(f"can't prune: {error}", where=str(self._path)) from error
        return gone

    def close(self) -> None:
        """Let go of the file."""
        self.db.close()

    def _rescore(self, key: int) -> bool:
        """Check a segment's rows, and make its scores again where they aren't what its TD errors say."""
        try:
            with snapshot(self.db):
                if self._one("SELECT 1 FROM standing WHERE segment = ?", key) is None:
                    return False  # evicted meanwhile
                segment = read_segment(self.db, key)
                first = self._one("SELECT first_step FROM segment WHERE id = ?", key)
                rows = self.db.execute(
                    "SELECT td_error, score FROM score WHERE step BETWEEN ? AND ? ORDER BY step",
                    (first, first + len(segment.steps) - 1),
                ).fetchall()
        except sqlite3.DatabaseError as error:
            raise Damaged(str(error)) from error
        errors = np.array([row[0] for row in rows], np.float64)
        if len(rows) == len(segment.steps) and [row[1] for row in rows] == segment.scores(errors).tolist():
            return False
        self._score_anew(key, first, segment.scores(np.zeros(len(segment.steps))).tolist())
        return True

    def _score_anew(self, key: int, first: int, scores: list[float]) -> None:
        try:
            with Transaction(self.db):
                self.db.executemany(
                    "INSERT OR REPLACE INTO score VALUES (?, 0.0, ?)", [(first + i, s) for i, s in enumerate(scores)]
                )
                self.db.execute("UPDATE standing SET score = ? WHERE segment = ?", (mean_score(scores), key))
                self._change_epoch()
        except sqlite3.DatabaseError as error:
            raise Damaged(f"its scores can't be written: {error}") from error

    def _set_aside(self, damaged: dict[int, str]) -> None:
        try:
            with Transaction(self.db):
                for key, why in damaged.items():
                    self.db.execute("INSERT OR REPLACE INTO quarantine VALUES (?, ?)", (key, why))
                    self.db.execute("DELETE FROM standing WHERE segment = ?", (key,))
                self.db.execute(
                    "UPDATE half SET segments = (SELECT count(*) FROM standing WHERE half = name), steps ="
                    " (SELECT coalesce(sum(steps), 0) FROM standing JOIN segment ON id = segment"
                    " WHERE standing.half = name)"
                )
                self._change_epoch()
        except sqlite3.DatabaseError as error:
            named = ", ".join(f"segment {key}: {why}" for key, why in damaged.items())
            raise StorageFault(f"damaged, and can't be written ({error}): {named}", where=str(self._path)) from error

    def _change_epoch(self) -> None:
        self.db.execute("UPDATE store SET epoch = epoch + 1")

    def _quarantine(self) -> list[tuple[int, str]]:
        return self.db.execute("SELECT segment, reason FROM quarantine").fetchall()

    def _standing(self) -> list[int]:
        top = self._one("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'segment'")
        query = "SELECT segment FROM standing WHERE segment BETWEEN ? AND ?"
        return [key for (key,) in scan(lambda low, high: self.db.execute(query, (low, high)).fetchall(), 0, top)]

    def _file_check(self) -> list[str]:
        try:
            return [line for (line,) in self.db.execute("PRAGMA integrity_check")]
        except sqlite3.DatabaseError as error:
            return [str(error)]

    def _score_range(self) -> tuple[float, float, float] | tuple[None, None, None]:
        """Lowest, median and highest score of the steps served."""
        query = (
            "SELECT score.score FROM standing JOIN segment ON segment.id = standing.segment"
            " JOIN score ON step BETWEEN first_step AND first_step + steps - 1"
        )
        cursor, blocks = self.db.execute(query), []
        while rows := cursor.fetchmany(_SCORE_BLOCK):
            blocks.append(np.array(rows, np.float64).ravel())
        if not blocks:
            return None, None, None
        scores = np.concatenate(blocks)
        return float(scores.min()), float(np.median(scores)), float(scores.max())

    def _one(self, query: str, *values: Any) -> Any:
        row = self.db.execute(query, values).fetchone()
        return row[0] if row else None
