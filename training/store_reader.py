"""Draws experience for the learner from a record cache that follows the store, and writes its opinions back.

The reader's transactions are short, so it never holds up the writer. A commit of scores doesn't wait for the disk: a
power cut may lose the last opinions, never an experience.
"""

import sqlite3
from pathlib import Path

import numpy as np
import numpy.typing as npt
from numba import njit

from broker.errors import BadInput, StorageFault
from broker.types import Float64s, Int64s
from training.experience import step_dtype
from training.gather import Gather
from training.quality import Half, compiled_score, mean_score
from training.records import MARKS, RecordCache
from training.sampler import SumTree
from training.store import Batch
from training.store_follow import Mirror
from training.store_insert import Transaction
from training.store_schema import connect


class ExperienceReader:
    """Steps of one feature set, drawn by quality or uniformly; one thread at a time.

    Args:
        path: the store. feature_set: whose steps. features: inputs in a row of that set.
        rng: what the draws come from.
        cache: base name of the record cache's files, of one process only; None: in memory.

    Raises:
        BadInput: there is no store.
        StorageFault: the disk failed.
    """

    def __init__(
        self, path: Path, feature_set: str, features: int, rng: np.random.Generator, cache: Path | None = None
    ) -> None:
        if not path.exists():
            raise BadInput("no experience store", where=str(path), mend="store some: `replay --store`, or `run`")
        self._path, self._rng = path, rng
        self._db = connect(path, full_sync=False)
        self._mirror = Mirror(self._db, feature_set, features, cache)
        self._gathers = (Gather(step_dtype(features)), Gather(MARKS))
        self._dirty: set[int] = set()
        self._trees = self._grow_trees()
        self.refresh()

    @property
    def damaged(self) -> dict[int, str]:
        """Segments that couldn't be read, and why. They aren't served."""
        return dict(self._mirror.damaged)

    def size(self, half: Half) -> int:
        """Steps of a half that can be drawn."""
        return int(np.count_nonzero(self._trees[half].weights))

    def refresh(self) -> int:
        """Follow the store; returns how many segments came. Slots of earlier batches may be reused from now on.

        Raises:
            StorageFault: the store can't be read, or the disk can't hold the cache.
        """
        try:
            self.flush()  # slots are about to change
            changes = self._mirror.follow()
        except sqlite3.Error as error:
            raise StorageFault(f"can't follow the experience store: {error}", where=str(self._path)) from error
        if changes.moved:
            self._trees = self._grow_trees()
            return len(changes.came)
        for first, n in changes.went:
            slots = np.arange(first, first + n)
            for tree in self._trees.values():
                tree.assign(slots, np.zeros(n))
        for first, n in changes.came:
            if self._cache.marks["id"][first]:  # not gone again
                unbiased = self._cache.marks["half"][first]
                weights = np.ones(n) if unbiased else self._cache.marks["score"][first : first + n].copy()
                self._trees[_HALVES[unbiased]].assign(np.arange(first, first + n), weights)
        return len(changes.came)

    def sample(self, half: Half, n: int, unroll: int = 0) -> Batch:
        """Up to n different steps of a half, each with up to `unroll` successors of its segment.

        By quality, a draw is proportional to the score; in the unbiased half all steps are alike.

        Raises:
            BadInput: the half has no step.
        """
        drawn = self._trees[half].draw(n, self._rng)
        if len(drawn) == 0:
            raise BadInput(f"the {half} half has no experience", where=str(self._path))
        return self._batch(half, drawn, unroll)

    def steps(self, half: Half) -> Batch:
        """All steps of a half that can be drawn."""
        return self._batch(half, np.flatnonzero(self._trees[half].weights), 0)

    def leave_out(self, half: Half, slots: Int64s) -> None:
        """Draw these steps of a half no more, until the next `refresh`."""
        self._trees[half].assign(slots, np.zeros(len(slots)))

    def feature_sets(self) -> list[str]:
        """Whatever feature sets the store has steps of; "" is none."""
        return [name for (name,) in self._db.execute("SELECT DISTINCT feature_set FROM segment ORDER BY 1")]

    def origins(self) -> dict[int, tuple[str, str]]:
        """Run and instrument of each segment, by its id.

        Raises:
            StorageFault: the store can't be read.
        """
        query = "SELECT segment.id, run.name, instrument FROM segment JOIN run ON run.id = run"
        try:
            return {key: (run, instrument) for key, run, instrument in self._db.execute(query)}
        except sqlite3.Error as error:
            raise StorageFault(f"can't read the experience store: {error}", where=str(self._path)) from error

    def _batch(self, half: Half, drawn: Int64s, unroll: int) -> Batch:
        tree = self._trees[half]
        after = self._cache.marks["after"][drawn]
        ahead = np.arange(unroll + 1)
        valid = ahead <= after[:, None]
        slots = drawn[:, None] + np.minimum(ahead, after[:, None])
        columns = {
            name: column.reshape((*slots.shape, *column.shape[1:]))
            for gather, source in zip(self._gathers, (self._cache.rows, self._cache.marks), strict=True)
            for name, column in gather(source, slots.ravel()).items()
        }
        ids: Int64s = columns["id"].astype(np.int64, copy=False)
        return Batch(slots, ids, valid, columns, tree.weights[drawn] / tree.total)

    def learned(self, slots: Int64s, ids: Int64s, td_errors: Float64s) -> int:
        """Score steps again by new TD errors `[n]` (finite).

        Args:
            slots, ids: `[n]` of a batch; where a slot no longer holds that step, nothing happens.

        Returns:
            How many steps were still there.

        Raises:
            BadInput: an error is not finite; then nothing has changed.
        """
        if not np.all(np.isfinite(td_errors)):
            raise BadInput("a TD error is not finite")
        slots = np.ascontiguousarray(slots, np.int64)
        weights = np.empty(len(slots))
        kept = np.empty(len(slots), np.int64)
        count, drawn_by_score = _learn(
            self._cache.marks,
            slots,
            np.ascontiguousarray(ids),
            np.ascontiguousarray(td_errors, np.float64),
            kept,
            weights,
        )
        self._trees[Half.QUALITY].assign(kept[:drawn_by_score], weights[:drawn_by_score])
        self._dirty.update(slots[ids == self._cache.marks["id"][slots]].tolist())
        return int(count)

    def flush(self) -> int:
        """Write new scores, and what they make of their segments, back to the store; returns how many.

        Raises:
            StorageFault: the disk failed; they stay for the next flush.
        """
        if not self._dirty:
            return 0
        slots = np.array(sorted(self._dirty), np.int64)
        marks = self._cache.marks
        changed = marks[slots]
        opinions = list(
            zip(changed["td_error"].tolist(), changed["score"].tolist(), changed["id"].tolist(), strict=True)
        )
        firsts = np.unique(slots - changed["before"]).tolist()
        means = [
            (
                mean_score(marks["score"][first : first + marks["after"][first] + 1].tolist()),
                int(marks["segment"][first]),
            )
            for first in firsts
        ]
        try:
            with Transaction(self._db):
                self._db.executemany("UPDATE score SET td_error = ?, score = ? WHERE step = ?", opinions)
                self._db.executemany("UPDATE standing SET score = ? WHERE segment = ?", means)
        except sqlite3.Error as error:
            raise StorageFault(f"can't write scores: {error}", where=str(self._path)) from error
        self._dirty.clear()
        return len(opinions)

    def abandon(self) -> None:
        """Let go of the files at once; scores that were not flushed are forgotten."""
        self._db.close()

    def close(self) -> None:
        """Flush, vouch for the cache, and let go of the files.

        Raises:
            StorageFault: the disk failed; the cache will be made anew.
        """
        try:
            self.flush()
            self._mirror.close()
        finally:
            self._db.close()

    @property
    def _cache(self) -> RecordCache:
        return self._mirror.cache

    def _grow_trees(self) -> dict[Half, SumTree]:
        marks = self._cache.marks[: self._cache.tail]
        live, unbiased = marks["id"] != 0, marks["half"] != 0
        trees = {half: SumTree(len(self._cache.marks)) for half in _HALVES}
        trees[Half.QUALITY].fill(np.where(live & ~unbiased, marks["score"], 0.0))
        trees[Half.UNBIASED].fill((live & unbiased).astype(np.float64))
        return trees


_HALVES = (Half.QUALITY, Half.UNBIASED)


@njit(cache=True, nogil=True, error_model="numpy")
def _learn(
    marks: npt.NDArray[np.void], slots: Int64s, ids: Int64s, td_errors: Float64s, kept: Int64s, weights: Float64s
) -> tuple[int, int]:
    """Score again what is still there; `kept` and `weights` take the slots drawn by score and their new weights."""
    count, by_score = 0, 0
    for i in range(len(slots)):
        mark = marks[slots[i]]
        if mark.id != ids[i] or ids[i] == 0:
            continue
        mark.td_error = td_errors[i]
        mark.score = compiled_score(
            mark.pip_pnl,
            mark.trade_complete,
            mark.position_change,
            mark.done,
            mark.td_error,
            mark.reward,
            mark.session_expectancy,
        )
        count += 1
        if mark.half == 0:
            kept[by_score], weights[by_score] = slots[i], mark.score
            by_score += 1
    return count, by_score
