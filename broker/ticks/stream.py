"""One instrument's quotes out of its files: merged by time, checked for order, cleaned."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from broker.ticks.file import TickFile
from broker.ticks.numbers import POINTS_INFINITE
from broker.ticks.options import ReadOptions
from broker.types import ENDLESS, Depth, Float64s, Int64s, Quotes

_NEVER = (1 << 63) - 1


class TickStream:
    """Clean quotes of one instrument, in batches that are never empty; iterating reads the files anew.

    Attributes:
        read: quotes read, dropped ones too.
        dropped: quotes left out: crossed, or with a price that is no positive finite number.
        swapped: crossed quotes whose sides were exchanged (`fix = "swap"`).
        skipped_lines: broken lines passed over.
    """

    def __init__(self, files: Sequence[TickFile], options: ReadOptions, ordered: bool) -> None:
        assert files, "a stream needs a file"
        assert ordered or len(files) == 1, "files can only be merged in order"
        assert len({file.instrument.name for file in files}) == 1, "a stream holds one instrument"
        for file in files:
            file.spread_points()
        self._files, self._options, self._ordered = tuple(files), options, ordered
        self.read = self.dropped = self.swapped = self.skipped_lines = 0

    @property
    def share_read(self) -> float:
        """How far the reading has come, 0 to 1, by the bytes of the files; 0 where that isn't known."""
        total = sum(file.path.stat().st_size for file in self._files)
        return sum(file.bytes_taken for file in self._files) / total if total else 0.0

    def __iter__(self) -> Iterator[Quotes]:
        """Clean quotes, at most `ReadOptions.batch` at once (several files: of each).

        Raises:
            BadInput: a broken line; a time below the one before in its file is one where `ordered`.
        """
        self.read = self.dropped = self.swapped = self.skipped_lines = 0
        quotes = self._files[0].quotes(self._ordered) if len(self._files) == 1 else merge(self._files)
        for raw in quotes:
            clean, dropped, swapped = cleaned(raw, self._options.fix)
            self.read += len(raw)
            self.dropped += dropped
            self.swapped += swapped
            self.skipped_lines = sum(file.skipped_lines for file in self._files)
            if len(clean):
                yield clean
        self.skipped_lines = sum(file.skipped_lines for file in self._files)


def stream(files: Sequence[TickFile], options: ReadOptions, ordered: bool = True) -> TickStream:
    """The clean quotes of one instrument's files, merged by time (equal times: in the order of the files).

    Args:
        ordered: a time below the one before in its file is a broken line; without it, one file is read as it is.

    Raises:
        BadInput: bid-only bars without `spread_pips`.
    """
    return TickStream(files, options, ordered)


def cleaned(quotes: Quotes, fix: str) -> tuple[Quotes, int, int]:
    """The valid quotes (rules: Valid quotes), and how many were dropped and how many swapped."""
    bid, ask = quotes.bid, quotes.ask
    bid_size, ask_size, depth = quotes.bid_size, quotes.ask_size, quotes.depth
    keep = (bid > 0) & (ask > 0) & (bid < POINTS_INFINITE) & (ask < POINTS_INFINITE)
    crossed = keep & (bid > ask)
    swapped = 0
    if fix == "swap" and crossed.any():
        swapped = int(crossed.sum())
        bid, ask = np.where(crossed, ask, bid), np.where(crossed, bid, ask)
        if bid_size is not None and ask_size is not None:
            bid_size, ask_size = np.where(crossed, ask_size, bid_size), np.where(crossed, bid_size, ask_size)
        if depth is not None:
            depth = _sides_swapped(depth, crossed)
    else:
        keep &= ~crossed
    if keep.all():
        return Quotes(quotes.time, bid, ask, bid_size, ask_size, depth), 0, swapped
    kept = _pick(Quotes(quotes.time, bid, ask, bid_size, ask_size, depth), keep)
    return kept, len(quotes) - len(kept), swapped


def _sides_swapped(depth: Depth, which: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> Depth:
    """The tiers, of some quotes the bids as asks and the asks as bids."""
    chosen = which[:, None, None]
    return Depth(*(np.where(chosen, column[:, ::-1], column) for column in (depth.price, depth.units)))


@dataclass(slots=True)
class _Lane:
    """One file of a merge: what of it is read and not yet handed on."""

    file: TickFile
    start: int
    batches: Iterator[Quotes] | None = None
    held: Quotes | None = None
    over: bool = False

    def fill(self) -> None:
        """Hold something, unless the file is over."""
        if self.batches is None:
            self.batches = self.file.quotes(ordered=True)
        while not self.over and (self.held is None or not len(self.held)):
            self.more()

    def more(self) -> None:
        """Read one batch more."""
        assert self.batches is not None
        batch = next(self.batches, None)
        if batch is None:
            self.over = True
        elif self.held is None or not len(self.held):
            self.held = batch
        else:
            self.held = _joined([self.held, batch])

    @property
    def done(self) -> bool:
        return self.over and (self.held is None or not len(self.held))

    @property
    def horizon(self) -> int:
        """Quotes before this time are all held."""
        if self.batches is None:
            return self.start
        return _NEVER if self.over or self.held is None else int(self.held.time[-1])


def merge(files: Sequence[TickFile]) -> Iterator[Quotes]:
    """Raw quotes of ordered files by time; equal times in the order of the files. Reads a file only once it is due."""
    lanes = [lane for lane in (_Lane(file, _first_time(file)) for file in files) if lane.start < _NEVER]
    while lanes := [lane for lane in lanes if not lane.done]:
        horizon = min(lane.horizon for lane in lanes)
        open_lanes = [lane for lane in lanes if lane.batches is not None]
        due = [lane.held for lane in open_lanes if lane.held is not None and lane.held.time[0] < horizon]
        if due or horizon == _NEVER:
            yield _sorted(_cut(open_lanes, horizon))
        else:
            for lane in lanes:
                if lane.horizon == horizon:
                    _advance(lane)


def _advance(lane: _Lane) -> None:
    if lane.batches is None:
        lane.fill()
    else:
        lane.more()


def _cut(lanes: list[_Lane], horizon: int) -> list[Quotes]:
    """Take from each lane what lies before the horizon, in the order of the files."""
    parts = []
    for lane in lanes:
        held = lane.held
        if held is None:
            continue
        end = len(held) if horizon == _NEVER else int(np.searchsorted(held.time, horizon, "left"))
        parts.append(_pick(held, slice(0, end)))
        lane.held = _pick(held, slice(end, None))
        lane.fill()
    return [part for part in parts if len(part)]


def _first_time(file: TickFile) -> int:
    with closing(file.quotes(ordered=False)) as batches:  # type: ignore[type-var]
        first = next(batches, None)
    return _NEVER if first is None else int(first.time[0])


def _sorted(parts: list[Quotes]) -> Quotes:
    joined = _joined(parts)
    if len(parts) == 1:
        return joined
    order = np.argsort(joined.time, kind="stable")
    return _pick(joined, order)


def _pick(quotes: Quotes, which: "slice | np.ndarray[tuple[int], np.dtype[np.int64 | np.bool_]]") -> Quotes:
    bid_size, ask_size = (None if size is None else size[which] for size in (quotes.bid_size, quotes.ask_size))
    depth = None if quotes.depth is None else quotes.depth.take(which)
    return Quotes(quotes.time[which], quotes.bid[which], quotes.ask[which], bid_size, ask_size, depth)


def _joined(parts: list[Quotes]) -> Quotes:
    """The parts, one after another; sizes only where any part has them, NaN where a part has none."""
    if len(parts) == 1:
        return parts[0]
    sized = any(part.bid_size is not None for part in parts)

    def sizes(name: str) -> Float64s | None:
        if not sized:
            return None
        columns = (getattr(part, name) for part in parts)
        return np.concatenate(
            [np.full(len(p), np.nan) if c is None else c for c, p in zip(columns, parts, strict=True)]
        )

    def column(name: str) -> Int64s:
        return np.concatenate([getattr(part, name) for part in parts])

    return Quotes(
        column("time"), column("bid"), column("ask"), sizes("bid_size"), sizes("ask_size"), _joined_depth(parts)
    )


def _joined_depth(parts: list[Quotes]) -> Depth | None:
    """The tiers of all parts, where any has them; of a part without, all that is wanted at its quotes."""
    if all(part.depth is None for part in parts):
        return None
    depths = [
        part.depth or Depth(np.stack((part.bid, part.ask), 1)[..., None], np.full((len(part), 2, 1), ENDLESS))
        for part in parts
    ]
    most = max(depth.price.shape[2] for depth in depths)

    def column(name: str) -> Int64s:
        columns = (getattr(depth, name) for depth in depths)
        return np.concatenate([np.pad(c, ((0, 0), (0, 0), (0, most - c.shape[2]))) for c in columns])

    return Depth(column("price"), column("units"))
