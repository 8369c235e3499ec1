"""The record cache: slots side by side, kept over a close in order, made anew after anything else."""

from pathlib import Path

import numpy as np
import pytest

from broker.errors import StorageFault
from training.records import RecordCache

DTYPE = np.dtype([("x", "<f8"), ("n", "<i8")], align=True)
STAMP = {"epoch": "one", "set": "made"}


def fill(cache: RecordCache, n: int, value: float) -> tuple[int, bool]:
    """Take n slots and mark them as in use, as the reader does."""
    first, moved = cache.take(n)
    cache.marks["id"][first : first + n] = np.arange(1, n + 1)
    cache.rows["x"][first : first + n] = value
    return first, moved


def test_slots_come_back_after_a_close_in_order(tmp_path: Path) -> None:
    """What was live is live again; after a crash, or under another stamp, the cache begins empty."""
    base = tmp_path / "cache"
    cache = RecordCache(base, DTYPE, 100, STAMP)
    first, _ = fill(cache, 10, 1.0)
    fill(cache, 5, 2.0)
    cache.free(first, 3)
    live = cache.live().tolist()
    assert len(live) == 12
    cache.close({"seen": 7})
    again = RecordCache(base, DTYPE, 100, STAMP)
    assert (again.live().tolist(), again.state) == (live, {"seen": 7})
    assert again.rows["x"][live].tolist() == [1.0] * 7 + [2.0] * 5
    del again  # never closed: as after a crash
    fresh = RecordCache(base, DTYPE, 100, STAMP)
    assert (fresh.live().tolist(), fresh.state) == ([], {})
    fill(fresh, 4, 3.0)
    fresh.close({})
    assert RecordCache(base, DTYPE, 100, {**STAMP, "epoch": "two"}).live().tolist() == []


def test_freed_room_is_found_by_moving_the_rest_together() -> None:
    """When the tail is reached, live slots move together in their order, and the caller is told; then it is full."""
    cache = RecordCache(None, DTYPE, 10, STAMP)
    a, _ = fill(cache, 4, 1.0)
    b, _ = fill(cache, 4, 2.0)
    cache.free(a, 4)
    assert cache.live().tolist() == list(range(b, b + 4))
    first, moved = fill(cache, 6, 3.0)
    assert (first, moved) == (4, True)
    assert cache.rows["x"].tolist() == [2.0] * 4 + [3.0] * 6
    with pytest.raises(StorageFault, match="full"):
        cache.take(1)
