"""What the store holds, as pieces of tape: decisions of one instrument in one run that follow one another.

Our orders do not move the price, so a remembered piece answers every action from every position, as a tape does. The
two halves are kept apart: a piece never goes on in the other half, where what followed is there or gone by how it
turned out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from broker.instruments import instrument
from broker.types import Float64s
from strategy.features import FeatureSet
from training.quality import Half
from training.seen import Window, window_of
from training.store import Batch
from training.store_reader import ExperienceReader
from training.tape import Tape, labels
from training.targets import FLAT, Bools, Ints, Prices

HELD_OUT = 0.25
"""Share of what is remembered, the latest, that is never learned from where there is no tape to hold out."""
EVER, NEVER = -(2**63), 2**63 - 1
Columns = Mapping[str, npt.NDArray[Any]]
Spans = Mapping[str, tuple[int, int]]
"""First and last time, ns, by instrument."""


@dataclass(frozen=True, slots=True)
class Memory:
    """n remembered decisions, piece after piece.

    Attributes:
        tape: the pieces one after the other. last: `[n] int64`, index of the last decision of each one's piece.
        position: `[n] int64` that was held: 0 short, 1 flat, 2 long.
        slots, ids: `[n] int64`, the steps in the reader.
    """

    tape: Tape
    last: Ints
    position: Ints
    slots: Ints
    ids: Ints

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Stored:
    """A store at one moment, as a learner sees it.

    Attributes:
        reader: what is not to be learned from is left out of its draws.
        generator: of its draws.
        known: to be learned from, by half.
        held: decisions of the unbiased half that are held out; none where tapes are.
        left_out: steps that are not learned from. windows: what is stored of each instrument.
        revision: digest of what is known and held out.
    """

    reader: ExperienceReader
    generator: np.random.Generator
    known: Mapping[Half, Memory]
    held: Tape
    left_out: int
    windows: Mapping[str, Window]
    revision: str


def open_store(path: Path, features: FeatureSet, outcomes: int, seed: int, held_out: Spans) -> Stored:
    """Read the steps of a feature set.

    Args:
        path: the store. outcomes: of the market. seed: of the draws.
        held_out: times that are not to be learned from; empty: the last quarter of what is stored.

    Raises:
        BadInput: there is no store. StorageFault: the disk failed.
    """
    generator = np.random.Generator(np.random.PCG64([seed, 1]))
    reader = ExperienceReader(path, features.name, features.size, generator)
    origins = reader.origins()
    known: dict[Half, Memory] = {}
    windows = _windows(reader, origins, held_out)
    cut = NEVER if held_out else _last_quarter(reader)
    held = recollect(reader.steps(Half.UNBIASED), origins, outcomes, {}, since=cut)
    left_out = 0
    for half in Half:
        steps = reader.steps(half)
        known[half] = recollect(steps, origins, outcomes, held_out, before=cut)
        gone = np.setdiff1d(steps.slots[:, 0], known[half].slots)
        reader.leave_out(half, gone)
        left_out += len(gone)
    digest = sha256(b"|".join(memory.ids.tobytes() for memory in (*known.values(), held))).hexdigest()
    return Stored(reader, generator, known, held.tape, left_out, windows, digest)


def recollect(
    steps: Batch,
    origins: Mapping[int, tuple[str, str]],
    outcomes: int,
    without: Spans,
    since: int = EVER,
    before: int = NEVER,
) -> Memory:
    """Steps as pieces of tape; those whose next bar is not known are left out.

    Args:
        steps: without successors. origins: run and instrument of each segment.
        without: spans of time to leave out. since, before: limits of time, ns.
    """
    column: Columns = {name: values[:, 0] for name, values in steps.columns.items()}
    segments, which = np.unique(column["segment"], return_inverse=True)
    _, run = np.unique([origins[key][0] for key in segments.tolist()], return_inverse=True)
    names, market = np.unique([origins[key][1] for key in segments.tolist()], return_inverse=True)
    run, market, time = run[which], market[which], column["time"].astype(np.int64)
    kept = np.isfinite(column["change"].astype(np.float64)) & (since <= time) & (time < before)
    for code, name in enumerate(names.tolist()):
        first, last = without.get(name, (1, 0))
        kept &= ~((market == code) & (first <= time) & (time <= last))
    order = np.lexsort((column["seq"], market, run))
    order = order[kept[order]]
    per_pip = np.array([instrument(name).points_per_pip for name in names.tolist()], np.float64)[market[order]]
    column = {name: values[order] for name, values in column.items()}
    return Memory(
        _tape(column, per_pip, outcomes),
        _last(_joined(column, per_pip, run[order], market[order])),
        column["position"].astype(np.int64) + FLAT,
        steps.slots[order, 0],
        steps.ids[order, 0],
    )


def _tape(column: Columns, per_pip: Float64s, outcomes: int) -> Tape:
    half_spread = (column["ask"] - column["bid"]) / per_pip / 2.0
    prices = Prices(column["change"].copy(), half_spread, column["sigma"].copy())
    label = labels(prices.change, np.nan_to_num(column["deviation"]), outcomes)
    return Tape(column["features"].copy(), prices, label, column["time"].copy())


def _joined(column: Columns, per_pip: Float64s, run: Ints, market: Ints) -> Bools:
    """`[n - 1]`: whether a step is the next decision after the one before it.

    It is where it belongs to the same segment, or to a segment of the same run and instrument with no decision between,
    and the mid has moved by just what the step before says.
    """
    mid = (column["bid"] + column["ask"]) / 2.0
    same = (np.diff(run) == 0) & (np.diff(market) == 0)
    near = (np.diff(column["segment"]) == 0) | (np.diff(column["seq"]) == 1)
    moved = np.abs(np.diff(mid) - column["change"][:-1] * per_pip[:-1]) < 0.25
    found: Bools = same & near & moved
    return found


def _last(joined: Bools) -> Ints:
    """`[n]`: index of the last decision of each one's piece.

    >>> _last(np.array([True, False, True])).tolist()
    [1, 1, 3, 3]
    """
    ends = np.flatnonzero(np.append(~joined, True))
    return ends[np.searchsorted(ends, np.arange(len(joined) + 1))]


def _windows(reader: ExperienceReader, origins: Mapping[int, tuple[str, str]], without: Spans) -> dict[str, Window]:
    """What a reader's steps show of each instrument, those of the spans apart."""
    columns = [reader.steps(half).columns for half in Half]
    segment, time, bid, ask = (
        np.concatenate([column[name][:, 0] for column in columns]) for name in ("segment", "time", "bid", "ask")
    )
    names = np.array([origins[key][1] for key in segment.tolist()])
    found = {}
    for name in np.unique(names).tolist():
        first, last = without.get(name, (1, 0))
        some = np.flatnonzero((names == name) & ~((first <= time) & (time <= last)))
        some = some[np.argsort(time[some], kind="stable")]
        if len(some):
            found[name] = window_of(time[some], bid[some] + ask[some])
    return found


def _last_quarter(reader: ExperienceReader) -> int:
    """Time, ns, from which on what the unbiased half holds is held out."""
    times = np.sort(reader.steps(Half.UNBIASED).columns["time"][:, 0])
    return int(times[round((len(times) - 1) * (1.0 - HELD_OUT))]) if len(times) else NEVER
