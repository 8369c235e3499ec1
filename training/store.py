"""The experience store's three faces; SQLite is the only truth, and each face has one process that uses it.

- `Writer`: who runs the session appends completed segments (store_writer.ExperienceWriter).
- `Reader`: trainer and validator draw from a record cache (store_reader.ExperienceReader).
- `Maintenance`: a person looks after the file (store_maintenance.ExperienceMaintenance).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from broker.types import Float64s, Int64s
from training.experience import Segment
from training.gather import Columns
from training.quality import Half


class Writer(Protocol):
    """Appends segments; never drops one."""

    @property
    def pending(self) -> int:
        """Segments that couldn't be stored yet and wait in the spool."""
        ...

    def append(self, segment: Segment) -> bool:
        """Store a segment durably; False where it is stored already.

        Raises:
            StorageFault: the disk failed; the segment waits and is tried again with the next one.
        """
        ...

    def close(self) -> None:
        """Try what waits once more, and let go of the file."""
        ...


@dataclass(frozen=True, slots=True)
class Batch:
    """Steps drawn from the store, each with its successors.

    Attributes:
        slots: `[n, 1 + unroll]` int64 places in the cache; where the segment is over, its last step's.
        ids: `[n, 1 + unroll]` int64 ids of the steps; they tell whether a slot still holds what was drawn.
        valid: `[n, 1 + unroll]` bool; False where the segment is over.
        columns: `[n, 1 + unroll, ...]` by name: those of experience.step_dtype, and records.MARKS.
        probability: `[n]` share of its half's weight that each drawn step had.
    """

    slots: Int64s
    ids: Int64s
    valid: Any
    columns: Columns
    probability: Float64s


class Reader(Protocol):
    """Draws steps by quality or uniformly, and learns how wrong the learner was about them."""

    def refresh(self) -> int:
        """Follow the store; returns how many segments came."""
        ...

    def sample(self, half: Half, n: int, unroll: int = 0) -> Batch:
        """Up to n different steps of a half, each with up to `unroll` successors."""
        ...

    def learned(self, slots: Int64s, ids: Int64s, td_errors: Float64s) -> int:
        """Score steps again by new TD errors; returns how many were still there."""
        ...

    def flush(self) -> int:
        """Write new scores back to the store; returns how many."""
        ...

    def close(self) -> None:
        """Flush, and let go of the files."""
        ...


class Maintenance(Protocol):
    """What `micro-trader store` does."""

    def stats(self) -> dict[str, Any]:
        """Figures of the store, in a moment."""
        ...

    def verify(self) -> dict[str, Any]:
        """Check every row; what is damaged is named and no longer served."""
        ...

    def backup(self, target: Path) -> None:
        """A consistent copy, while others go on."""
        ...

    def prune(self, keep: int | None = None) -> int:
        """Evict down to `keep` steps; returns how many steps went."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...
