"""A record cache that follows the store: what was appended comes in, what was evicted goes, in O(changes)."""

import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from training.experience import Segment, step_dtype
from training.quality import Half
from training.records import RecordCache
from training.store_eviction import EVICTED_KEPT
from training.store_rows import Damaged
from training.store_scan import read_segment, scan, snapshot

_SLACK = 1.25
_BLOCK = 4096


@dataclass(slots=True)
class Changes:
    """What following brought: (first slot, steps) of segments that came and went.

    Attributes:
        moved: slots aren't what they were; look at the cache afresh.
    """

    came: list[tuple[int, int]] = field(default_factory=list)
    went: list[tuple[int, int]] = field(default_factory=list)
    moved: bool = False


class Mirror:
    """The served segments of one feature set, in a record cache.

    Attributes:
        cache: the arrays. damaged: segments that can't be read, and why.
    """

    def __init__(self, db: sqlite3.Connection, feature_set: str, features: int, path: Path | None) -> None:
        self._db, self._feature_set, self._features, self._path = db, feature_set, features, path
        self.damaged: dict[int, str] = {}
        self._places: dict[int, tuple[int, int]] = {}
        self._segment = self._evicted = self._epoch = 0
        self.cache = self._open()

    def follow(self) -> Changes:
        """Bring the cache up to date.

        Raises:
            StorageFault: the disk can't hold the cache.
        """
        changes = Changes()
        if self._epoch != self._one("SELECT epoch FROM store") or self._behind():
            self._restart()
            changes.moved = True
        top = self._top("segment")
        while self._segment < top:
            block = min(self._segment + _BLOCK, top)
            for (key,) in scan(self._served, self._segment + 1, block, self._lose):
                self._come(key, changes)
            self._segment = block
        rows = self._db.execute("SELECT id, segment FROM evicted WHERE id > ? ORDER BY id", (self._evicted,)).fetchall()
        for number, key in rows:
            place = self._places.pop(key, None)
            if place is not None:
                self.cache.free(*place)
                changes.went.append(place)
            self._evicted = number
        return changes

    def close(self) -> None:
        """Vouch for the cache as it is."""
        state = {"segment": self._segment, "evicted": self._evicted, "check": self._check()}
        self.cache.close({**state, "damaged": {str(key): why for key, why in self.damaged.items()}})

    def _open(self) -> RecordCache:
        self._epoch = self._one("SELECT epoch FROM store")
        steps = self._one("SELECT max(sum(capacity), sum(steps)) FROM half")
        stamp = {"epoch": self._epoch, "feature_set": self._feature_set}
        cache = RecordCache(self._path, step_dtype(self._features), int(steps * _SLACK) + _BLOCK, stamp)
        state = cache.state
        self._segment, self._evicted = state.get("segment", 0), state.get("evicted", 0)
        self.damaged.clear()
        self.damaged.update({int(key): why for key, why in state.get("damaged", {}).items()})
        if state and (state["check"] != self._check() or self._behind()):
            cache.marks["id"] = 0
            cache.tail = self._segment = self._evicted = 0
        first = cache.live()
        first = first[cache.marks["before"][first] == 0]
        marks = cache.marks[first]
        self._places = dict(
            zip(marks["segment"].tolist(), zip(first.tolist(), (marks["after"] + 1).tolist(), strict=True), strict=True)
        )
        if not state:
            self._evicted = self._top("evicted")
        return cache

    def _restart(self) -> None:
        if self._path is not None:
            self._path.with_name(f"{self._path.name}.json").unlink(missing_ok=True)
        self.cache = self._open()

    def _come(self, key: int, changes: Changes) -> None:
        try:
            segment, opinions = self._read(key)
        except KeyError:
            return  # evicted meanwhile
        except Damaged as error:
            self.damaged[key] = str(error)
            return
        n = len(segment.steps)
        first, moved = self.cache.take(n)
        if moved:
            self._find_places()
            changes.moved = True
        self.cache.rows[first : first + n] = segment.steps
        self._mark(key, segment, opinions, first)
        self._places[key] = (first, n)
        changes.came.append((first, n))

    def _read(self, key: int) -> tuple[Segment, list[tuple[int, float, float]]]:
        """A segment, and (step, td_error, score) of its steps, as they are at one moment."""
        try:
            with snapshot(self._db):
                segment = read_segment(self._db, key)
                opinions = self._db.execute(
                    "SELECT score.* FROM score JOIN segment ON step BETWEEN first_step AND first_step + steps - 1"
                    " WHERE segment.id = ? ORDER BY step",
                    (key,),
                ).fetchall()
        except sqlite3.DatabaseError as error:
            raise Damaged(str(error)) from error
        if len(opinions) != len(segment.steps):
            raise Damaged("a step has no score")
        return segment, opinions

    def _mark(self, key: int, segment: Segment, opinions: list[tuple[int, float, float]], first: int) -> None:
        n = len(segment.steps)
        marks = self.cache.marks[first : first + n]
        marks["id"], marks["td_error"], marks["score"] = zip(*opinions, strict=True)
        marks["segment"] = key
        marks["reward"], marks["pip_pnl"] = segment.reward, segment.pips
        marks["session_expectancy"] = segment.session_expectancy
        marks["before"], marks["after"] = np.arange(n), np.arange(n)[::-1]
        marks["half"] = int(segment.half is Half.UNBIASED)
        marks["trade_complete"] = segment.trade is not None
        for name in ("position_change", "done"):
            marks[name] = segment.steps[name]

    def _find_places(self) -> None:
        """The slots of all segments, after they moved."""
        first = self.cache.live()
        marks = self.cache.marks[first]
        for slot, mark in zip(first.tolist(), marks, strict=True):
            if mark["before"] == 0:
                self._places[int(mark["segment"])] = (slot, int(mark["after"]) + 1)

    def _served(self, low: int, high: int) -> list[tuple[int]]:
        return self._db.execute(
            "SELECT standing.segment FROM standing JOIN segment ON segment.id = standing.segment"
            " WHERE standing.segment BETWEEN ? AND ? AND feature_set = ? ORDER BY standing.segment",
            (low, high, self._feature_set),
        ).fetchall()

    def _lose(self, key: int, why: str) -> None:
        self.damaged[key] = why

    def _behind(self) -> bool:
        """Whether the store forgot evictions that the cache hasn't seen, or is older than the cache."""
        return self._evicted < self._top("evicted") - EVICTED_KEPT or self._segment > self._top("segment")

    def _check(self) -> int | None:
        """Checksum of the newest segment followed, which tells another store from this one."""
        found: int | None = self._one("SELECT checksum FROM segment WHERE id = ?", self._segment)
        return found

    def _top(self, table: str) -> int:
        return self._one("SELECT seq FROM sqlite_sequence WHERE name = ?", table) or 0

    def _one(self, query: str, *values: Any) -> Any:
        row = self._db.execute(query, values).fetchone()
        return row[0] if row else None
