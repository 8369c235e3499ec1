"""The record cache: the store's steps in memory-mapped arrays, made for drawing. It is disposable.

Two arrays share their slots: `rows`, the steps as recorded, and `marks`, what changes or is asked for without the
row. A segment's steps lie side by side. Room is taken at the end; once the end is reached, what is live moves
together. The arrays are believed at the next opening only where the cache was closed in order and still belongs to
the same state of the store; otherwise it starts empty.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from broker.errors import StorageFault
from broker.types import Int64s
from training.experience import Records
from training.gather import Bytes
from training.store_schema import sync_file

MARKS = np.dtype(
    [
        ("id", np.int64),  # of the step; 0: the slot is free
        ("segment", np.int64),
        ("reward", np.float64),
        ("pip_pnl", np.float64),
        ("session_expectancy", np.float64),
        ("td_error", np.float64),
        ("score", np.float64),
        ("before", np.int32),  # steps of its segment before this one
        ("after", np.int32),  # and after
        ("half", np.uint8),  # 0 quality, 1 unbiased
        ("trade_complete", np.bool_),
        ("position_change", np.bool_),
        ("done", np.bool_),
    ],
    align=True,
)


class RecordCache:
    """Arrays of `capacity` slots.

    Args:
        path: base name of its files; None: in memory.
        dtype: of a row, aligned.
        capacity: slots.
        stamp: what the contents depend on; a cache with another stamp starts empty.

    Attributes:
        rows: `[capacity]` of `dtype`. marks: `[capacity]` of MARKS.
        tail: slots in use, free ones between them included.
        state: what the owner asked to be kept at `close`, or nothing where the cache starts empty.

    Raises:
        StorageFault: the disk can't hold it.
    """

    def __init__(self, path: Path | None, dtype: np.dtype[np.void], capacity: int, stamp: Mapping[str, Any]) -> None:
        self._head = path.with_name(f"{path.name}.json") if path else None
        self._stamp = {**stamp, "capacity": capacity, "row": repr(dtype), "marks": repr(MARKS)}
        head = self._take_head()
        kept = head.get("stamp") == self._stamp and all(
            _size(path, name) == capacity * kind.itemsize for name, kind in (("rows", dtype), ("marks", MARKS))
        )
        self.rows = _array(path, "rows", dtype, capacity, kept)
        self.marks = _array(path, "marks", MARKS, capacity, kept)
        self.tail: int = head["tail"] if kept else 0
        self.state: dict[str, Any] = head["state"] if kept else {}

    def take(self, n: int) -> tuple[int, bool]:
        """Room for n slots side by side.

        Returns:
            The first of them, and whether live slots had to move to make room.

        Raises:
            StorageFault: more is live than the cache was made for.
        """
        moved = self.tail + n > len(self.marks)
        if moved:
            self.tail = int(_compact(self.rows.view(np.uint8), self.rows.itemsize, self.marks, self.tail))
        if self.tail + n > len(self.marks):
            raise StorageFault(f"the record cache of {len(self.marks)} steps is full")
        first = self.tail
        self.tail += n
        return first, moved

    def free(self, first: int, n: int) -> None:
        """Give slots back."""
        self.marks["id"][first : first + n] = 0

    def live(self) -> Int64s:
        """Slots in use, ascending."""
        return np.flatnonzero(self.marks["id"][: self.tail])

    def close(self, state: Mapping[str, Any]) -> None:
        """Make the arrays durable and vouch for them.

        Args:
            state: handed back at the next opening.
        """
        if self._head is None:
            return
        for array in (self.rows, self.marks):
            if isinstance(array.base, np.memmap):
                array.base.flush()
        aside = self._head.with_name(f"{self._head.name}.part")
        aside.write_text(json.dumps({"stamp": self._stamp, "tail": self.tail, "state": dict(state)}))
        sync_file(aside)
        os.replace(aside, self._head)

    def _take_head(self) -> dict[str, Any]:
        """The head of a cache closed in order; it is gone while the cache is open, so a crash leaves none."""
        if self._head is None or not self._head.exists():
            return {}
        try:
            head = json.loads(self._head.read_text())
        except ValueError:
            head = {}
        self._head.unlink()
        return head if isinstance(head, dict) else {}


def _size(path: Path | None, name: str) -> int:
    file = path.with_name(f"{path.name}.{name}") if path else None
    return file.stat().st_size if file and file.exists() else -1


def _array(path: Path | None, name: str, dtype: np.dtype[np.void], capacity: int, kept: bool) -> Records:
    if path is None:
        return np.zeros(capacity, dtype)
    file = path.with_name(f"{path.name}.{name}")
    try:
        if not kept:
            with file.open("wb") as handle:  # a sparse file would end the process on a full disk
                os.posix_fallocate(handle.fileno(), 0, capacity * dtype.itemsize)
        return np.memmap(file, dtype, "r+", shape=(capacity,)).view(np.ndarray)  # the subclass is slow to index
    except OSError as error:
        raise StorageFault(f"no room for the record cache: {error}", where=str(file)) from error


@njit(cache=True, nogil=True, error_model="numpy")
def _compact(raw: Bytes, itemsize: int, marks: npt.NDArray[np.void], tail: int) -> int:
    """Move the live slots together, in order; returns how many."""
    kept = 0
    for slot in range(tail):
        if marks[slot].id == 0:
            continue
        if kept != slot:
            marks[kept] = marks[slot]
            raw[kept * itemsize : (kept + 1) * itemsize] = raw[slot * itemsize : (slot + 1) * itemsize]
        kept += 1
    for slot in range(kept, tail):
        marks[slot].id = 0
    return kept
