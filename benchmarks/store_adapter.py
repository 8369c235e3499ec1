"""The store as an adapter of a side-by-side replay benchmark: open, add, sample, update, close, version.

`Cache` is what the learner draws from (record cache and tree of sums) with commits off: what cpprb and torchrl do.
`Durable` is the whole store: `add` commits a trade to disk, `update` scores by TD error as the learner does; it takes
the benchmark's observations as features and leaves out what it has no column for.
"""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from training.experience import Segment, step_dtype
from training.gather import Gather
from training.quality import Half
from training.records import MARKS, RecordCache
from training.sampler import SumTree
from training.store_reader import ExperienceReader
from training.store_writer import ExperienceWriter

Columns = dict[str, Any]


class Cache:
    """Record cache and sampler: columns of any kind, weights as given; the oldest make room."""

    add_batch = 20

    def open(self, capacity: int, path: str, seed: int) -> None:
        """Make room for `capacity` steps in the folder `path`."""
        self._capacity, self._path, self._rng = capacity, path, np.random.default_rng(seed)
        self._tree = SumTree(capacity)
        self._next = 0
        self._cache: RecordCache | None = None

    def add(self, batch: Columns, weights: Any) -> None:
        """Store `n` steps."""
        n = len(weights)
        if self._cache is None:
            fields = [(name, column.dtype, column.shape[1:]) for name, column in batch.items()]
            dtype = np.dtype(fields, align=True)
            self._cache = RecordCache(self._base(), dtype, self._capacity, {})
            self._gather = Gather(dtype)
        first = self._next if self._next + n <= self._capacity else 0
        rows = self._cache.rows[first : first + n]
        for name, column in batch.items():
            rows[name] = column
        self._tree.assign(np.arange(first, first + n), np.asarray(weights, np.float64))
        self._next = first + n

    def sample(self, n: int) -> tuple[Any, Columns]:
        """Slots of n different steps drawn by weight, and their columns."""
        slots = self._tree.draw(n, self._rng)
        assert self._cache is not None
        return slots, self._gather(self._cache.rows, slots)

    def update(self, ids: Any, weights: Any) -> None:
        """New weights."""
        self._tree.assign(ids, weights)

    def close(self) -> None:
        """Nothing to do: the cache is disposable."""

    def version(self) -> str:
        """Versions that matter."""
        return f"numpy {np.__version__} numba {version('numba')}"

    def _base(self) -> Path | None:
        return Path(self._path) / "cache"


class RamCache(Cache):
    """The same in anonymous memory, as the peers keep it."""

    def _base(self) -> Path | None:
        return None


class Durable:
    """The whole store, a commit to disk for each `add`."""

    add_batch = 20

    def open(self, capacity: int, path: str, seed: int) -> None:
        """Make a store in the folder `path`."""
        self._path, self._seed, self._seq = Path(path) / "experience.db", seed, 0
        self._writer = ExperienceWriter(self._path, 2 * capacity)
        self._reader: ExperienceReader | None = None

    def add(self, batch: Columns, weights: Any) -> None:
        """Commit n steps as segments of 20."""
        for first in range(0, len(weights), self.add_batch):
            part = {name: column[first : first + self.add_batch] for name, column in batch.items()}
            n = len(part["obs"])
            steps = np.zeros(n, step_dtype(294))
            steps["seq"] = np.arange(self._seq, self._seq + n)
            steps["features"][:, :288] = part["obs"].reshape(n, 288)
            steps["features"][:, 288:] = part["aux"]
            steps["searched"] = True
            for name in ("policy", "value", "action"):
                steps[name] = part[name]
            steps["outcome"] = part["probs"]
            pips = float(part["pnl"][0])
            models = ("bench",) * n
            self._writer.append(Segment("bench", "EUR_USD", "bench", steps, models, pips, pips, "day", 0.5, None))
            self._seq += n

    def sample(self, n: int) -> tuple[Any, Columns]:
        """Steps of the quality half."""
        if self._reader is None:
            self._reader = ExperienceReader(
                self._path, "bench", 294, np.random.default_rng(self._seed), self._path.with_name("cache")
            )
        batch = self._reader.sample(Half.QUALITY, n)
        return (batch.slots[:, 0], batch.ids[:, 0]), batch.columns

    def update(self, ids: Any, weights: Any) -> None:
        """TD errors for what was drawn."""
        assert self._reader is not None
        self._reader.learned(*ids, weights)

    def close(self) -> None:
        """Write the scores back."""
        if self._reader is not None:
            self._reader.close()
        self._writer.close()

    def version(self) -> str:
        """Versions that matter."""
        return f"numpy {np.__version__} numba {version('numba')}; marks {MARKS.itemsize} bytes"
