"""Who leaves the store: whole segments, lowest mean quality first in one half, oldest first in the other.

When a half can't take a new segment, one in fifty of its steps goes in one batch (more only where that doesn't make
room). Victims are found through an index, O(log n) each, and named in `evicted` so that caches can follow.
"""

import sqlite3
from collections.abc import Iterator

from training.quality import EVICTED_SHARE, Half

EVICTED_KEPT = 100_000
"""Evictions remembered: a cache further behind starts over."""

_ORDER = {Half.QUALITY: "standing.score, standing.segment", Half.UNBIASED: "standing.segment"}


def make_room(db: sqlite3.Connection, half: Half, needed: int) -> int:
    """Evict, within the caller's transaction, until `needed` more steps fit; a segment larger than its half is let in
    alone.

    Returns:
        Steps evicted.
    """
    capacity, steps = db.execute("SELECT capacity, steps FROM half WHERE name = ?", (half.value,)).fetchone()
    if steps + needed <= capacity:
        return 0
    return evict(db, half, max(-(-steps // EVICTED_SHARE), steps + needed - capacity))


def evict(db: sqlite3.Connection, half: Half, steps: int) -> int:
    """Evict whole segments in the half's order, within the caller's transaction, until `steps` steps are gone.

    Returns:
        Steps evicted.
    """
    victims, gone = [], 0
    for victim in _candidates(db, half):
        if gone >= steps:
            break
        victims.append(victim)
        gone += victim[4]
    for segment, run, first_seq, first_step, count, score in victims:
        remove(db, segment, first_step, count)
        db.execute(
            "INSERT OR REPLACE INTO evicted (segment, run, first_seq, steps, half, score) VALUES (?, ?, ?, ?, ?, ?)",
            (segment, run, first_seq, count, half.value, score),
        )
    db.execute(
        "UPDATE half SET steps = steps - ?1, segments = segments - ?2,"
        " evicted_steps = evicted_steps + ?1, evicted_segments = evicted_segments + ?2 WHERE name = ?3",
        (gone, len(victims), half.value),
    )
    db.execute("DELETE FROM evicted WHERE id <= (SELECT max(id) FROM evicted) - ?", (EVICTED_KEPT,))
    return gone


def remove(db: sqlite3.Connection, segment: int, first_step: int, count: int) -> None:
    """Delete a segment's rows; the caller keeps the counts."""
    steps = (first_step, first_step + count - 1)
    db.execute("DELETE FROM score WHERE step BETWEEN ? AND ?", steps)
    db.execute("DELETE FROM step WHERE id BETWEEN ? AND ?", steps)
    db.execute("DELETE FROM standing WHERE segment = ?", (segment,))
    db.execute("DELETE FROM segment WHERE id = ?", (segment,))


def _candidates(db: sqlite3.Connection, half: Half) -> Iterator[tuple[int, int, int, int, int, float]]:
    yield from db.execute(
        "SELECT segment.id, segment.run, segment.first_seq, segment.first_step, segment.steps, standing.score"
        " FROM standing CROSS JOIN segment ON segment.id = standing.segment"
        f" WHERE standing.half = ? ORDER BY {_ORDER[half]}",
        (half.value,),
    )
