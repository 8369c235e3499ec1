"""What a model has seen of a market, kept in its manifest, so that nobody tests it on that.

A training window is kept as its first and last time and some marks: prices at times spread over it. Quotes that
overlap it are of the same market where they moved as the marks did, whatever file or vendor they come from.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from broker.types import MINUTE, Float64s, Int64s, Quotes
from training.model_folders import ModelFolders

MOST_MARKS, FEWEST_MARKS = 128, 8
COMPARED = 24
"""Marks at which two recordings are compared: few, so that they lie further apart than the quotes of a coarse one."""
ALIKE = 0.6
"""Correlation of the moves from mark to mark from which on two recordings are of one market."""


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of an instrument's quotes that was learned from.

    Attributes:
        first, last: ns. times, mids: `[marks] int64`, ns and bid + ask in points.
    """

    first: int
    last: int
    times: Int64s
    mids: Int64s

    def document(self) -> dict[str, Any]:
        """As a manifest holds it."""
        marks = {"times": self.times.tolist(), "mids": self.mids.tolist()}
        return {"first": self.first, "last": self.last, **marks}

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Window":
        """From a manifest."""
        times, mids = (np.array(document[name], np.int64) for name in ("times", "mids"))
        return cls(int(document["first"]), int(document["last"]), times, mids)

    def likeness(self, quotes: Quotes) -> float | None:
        """Correlation of the quotes' moves with the window's, where they overlap; None: they hardly do."""
        inside = np.flatnonzero((self.times >= quotes.time[0]) & (self.times <= quotes.time[-1]))
        if len(inside) < FEWEST_MARKS:
            return None
        inside = inside[spread_over(len(inside), COMPARED)]
        place = np.searchsorted(quotes.time, self.times[inside], side="right") - 1
        theirs, ours = np.diff(quotes.bid[place] + quotes.ask[place]), np.diff(self.mids[inside])
        return correlation(theirs.astype(np.float64), ours.astype(np.float64))

    def known_until(self, quotes: Quotes) -> int:
        """Time up to which the quotes count as known, ns; 0 where they are of another market."""
        alike = self.likeness(quotes)
        return self.last if alike is None or alike >= ALIKE else 0


def window_of(times: Int64s, mids: Int64s) -> Window:
    """The window of quotes `[n >= 1]` in order of time: ns, bid + ask in points."""
    marks = spread_over(len(times), MOST_MARKS)
    return Window(int(times[0]), int(times[-1]), times[marks], mids[marks])


def joined(one: Window, other: Window) -> Window:
    """One window over two of an instrument, and over what lies between."""
    times, mids = np.concatenate([one.times, other.times]), np.concatenate([one.mids, other.mids])
    order = np.argsort(times, kind="stable")
    order = order[spread_over(len(order), MOST_MARKS)]
    return Window(min(one.first, other.first), max(one.last, other.last), times[order], mids[order])


class Watch:
    """Sees quotes pass on their way to a tape, and remembers their window."""

    def __init__(self) -> None:
        self._first = self._last = 0
        self._times: list[Int64s] = []
        self._mids: list[Int64s] = []

    def passing(self, quotes: Iterable[Quotes]) -> Iterator[Quotes]:
        """The same batches, seen."""
        for batch in quotes:
            if len(batch):
                self._first = self._first if self._times else int(batch.time[0])
                self._last = int(batch.time[-1])
                ends = np.flatnonzero(np.diff(batch.time // MINUTE, append=-1))
                self._times.append(batch.time[ends])
                self._mids.append(batch.bid[ends] + batch.ask[ends])
            yield batch

    def window(self) -> Window | None:
        """What passed; None: nothing."""
        if not self._times:
            return None
        times, mids = np.concatenate(self._times), np.concatenate(self._mids)
        ends = np.flatnonzero(np.diff(times // MINUTE, append=-1))  # a batch may have ended inside a minute
        chosen = ends[spread_over(len(ends), MOST_MARKS)]
        return Window(self._first, self._last, times[chosen], mids[chosen])


@dataclass(frozen=True, slots=True)
class Seen:
    """What a model and those that it grew from learned from.

    Attributes:
        hashes: SHA-256 of tick files. windows: by instrument.
        complete: nobody of the line is gone, and each says what it saw.
    """

    hashes: frozenset[str]
    windows: Mapping[str, tuple[Window, ...]]
    complete: bool


def seen_by(manifest: Mapping[str, Any], folders: ModelFolders) -> Seen:
    """Follow a model's line of parents."""
    hashes: set[str] = set()
    windows: dict[str, tuple[Window, ...]] = {}
    known = set(folders.ids())
    complete = True
    while True:
        data = manifest.get("data") or {}
        learned = manifest.get("status") != "untrained"
        complete = complete and (not learned or "windows" in data)
        hashes |= set(data.get("sha256", ()))
        for instrument, document in data.get("windows", {}).items():
            windows[instrument] = (*windows.get(instrument, ()), Window.of(document))
        parent = manifest.get("parent")
        if parent is None:
            return Seen(frozenset(hashes), windows, complete)
        if parent not in known:
            return Seen(frozenset(hashes), windows, False)
        known.discard(parent)
        manifest = folders.manifest(parent)


def spread_over(count: int, most: int) -> Int64s:
    """At most `most` of the numbers 0 to `count` - 1, evenly, both ends among them.

    >>> spread_over(9, 3).tolist(), spread_over(2, 3).tolist()
    ([0, 4, 8], [0, 1])
    """
    return np.unique(np.linspace(0, count - 1, most).astype(np.int64))


def correlation(a: Float64s, b: Float64s) -> float:
    """Pearson's; 1 where one of them never moves.

    >>> correlation(np.array([1.0, -1.0]), np.array([-2.0, 2.0])).__round__(6)
    -1.0
    """
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 0.0 else 1.0
