"""A tick file, opened: quotes in file order, as recorded."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from broker.errors import BadInput
from broker.rfc3339 import rfc3339
from broker.ticks.barfile import expand, smallest_step
from broker.ticks.numbers import to_floats, to_points
from broker.ticks.options import ReadOptions
from broker.ticks.rows import QUOTE_COLUMNS, BadLines, Rows, Source
from broker.ticks.sniff import recognise
from broker.types import Depth, Instrument, Int64s, Quotes


class TickFile:
    """One recognised tick file; iterating it reads it anew, as raw quotes in file order.

    Raw quotes are uncleaned: prices may be zero or negative, and what isn't a finite number is POINTS_NAN,
    POINTS_INFINITE or POINTS_MINUS_INFINITE (`broker.ticks.numbers`). A bar gives four quotes.

    Attributes:
        format: the reader's name: csv, parquet, truefx, histdata, bi5, dukascopy-csv, lean or oanda.
        source: `quotes` or `bars`.
        instrument: what it holds.
        bar_step: the smallest step between bars, ns; 0 for quotes.
        skipped_lines: broken lines passed over by the last iteration.
    """

    def __init__(self, source: Source, options: ReadOptions) -> None:
        self._source, self._options = source, options
        self.path = Path(source.path)
        self.format = source.format
        self.source = "bars" if source.is_bars else "quotes"
        self.instrument: Instrument = source.instrument
        self.skipped_lines = 0
        self.bar_step = smallest_step(source, options.batch) if source.is_bars else 0

    def __iter__(self) -> Iterator[Quotes]:
        """Raw quotes, at most `ReadOptions.batch` at once.

        Raises:
            BadInput: a broken line, or no quote in the file.
        """
        return self.quotes(ordered=False)

    @property
    def bytes_taken(self) -> int:
        """How far the reading at hand has come in the file as it lies on the disk; 0 for Parquet."""
        return self._source.packed.taken if self._source.packed else 0

    @property
    def needs_spread(self) -> bool:
        """Whether these are bars without an ask."""
        return self._source.is_bars and "open_ask" not in self._source.columns

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the file's number columns."""
        return self._source.columns

    @property
    def time_digits(self) -> int:
        """Decimals of the seconds in the file's times."""
        return self._source.time_digits

    def rows(self, ordered: bool = False) -> Iterator[Rows]:
        """Exact rows; with `ordered`, a time below the one before is a broken line (for a bar: not above it).

        Raises:
            BadInput: a broken line, or no row at all.
        """
        bad = BadLines(str(self.path), self._options.on_bad_line)
        step, last, empty = 1 if self._source.is_bars else 0, -(1 << 62), not self._source.may_be_empty
        self.skipped_lines = 0
        for rows in self._source.read(bad, self._batch):
            some = rows
            if ordered:
                some, last = _in_order(rows, last, step, bad)
            self.skipped_lines = bad.skipped
            if len(some):
                empty = False
                yield some
        self.skipped_lines = bad.skipped
        if empty:
            raise BadInput("no quotes in it", where=str(self.path))

    def quotes(self, ordered: bool, spread: int | None = None) -> Iterator[Quotes]:
        """Raw quotes in points, in file order; see `rows`.

        Args:
            spread: points from bid to ask of bid-only bars, over that of the options.

        Raises:
            BadInput: a broken line, no quote, or bid-only bars without `spread_pips`.
        """
        if spread is None:
            spread = self.spread_points()
        for rows in self.rows(ordered):
            if self._source.is_bars:
                yield expand(rows, self._source.columns, self.instrument.precision, self.bar_step, spread)
            else:
                yield self._quotes(rows)

    def spread_points(self) -> int:
        """What is added to the bid of bid-only bars, points; 0 for others.

        Raises:
            BadInput: it wasn't given, or is negative.
        """
        if not self.needs_spread:
            return 0
        pips = self._options.spread_pips
        if pips is None or not 0 <= pips < 1e6:
            raise BadInput(
                "these bars have no ask" if pips is None else f"{pips} is not a spread",
                where=str(self.path),
                mend="say the spread with --spread-pips, as in --spread-pips 1.5",
            )
        return round(pips * self.instrument.points_per_pip)

    @property
    def _batch(self) -> int:
        return max(self._options.batch // 4, 1) if self._source.is_bars else self._options.batch

    def _quotes(self, rows: Rows) -> Quotes:
        precision = self.instrument.precision
        bid, ask = (to_points(rows.mantissa[side], rows.digits[side], precision) for side in (0, 1))
        if self._source.columns == QUOTE_COLUMNS:
            return Quotes(rows.time, bid, ask)
        sizes = [to_floats(rows.mantissa[side], rows.digits[side]) for side in (2, 3)]
        return Quotes(rows.time, bid, ask, sizes[0], sizes[1], self._depth(rows.tiers))

    def _depth(self, tiers: Int64s | None) -> Depth | None:
        if tiers is None:
            return None
        numbers, digits = tiers[..., 0], tiers[..., 1].astype(np.uint8)
        price = to_points(numbers.ravel(), digits.ravel(), self.instrument.precision)
        return Depth(price.reshape(numbers.shape), tiers[..., 2])


def _in_order(rows: Rows, last: int, step: int, bad: BadLines) -> tuple[Rows, int]:
    """The rows that aren't before the latest kept one (at least `step` ns after it), and the new latest time."""
    latest = np.maximum.accumulate(np.append(np.int64(last), rows.time))
    keep = rows.time - step >= latest[:-1]
    last = int(latest[-1])
    if keep.all():
        return rows, last
    before = "is not after" if step else "is below"
    for place in (~keep).nonzero()[0]:
        bad.broken(int(rows.line[place]), f"the time {rfc3339(rows.time[place])} {before} the one before")
    return rows.take(keep), last


def open_ticks(path: str | Path, options: ReadOptions | None = None) -> TickFile:
    """Recognise a tick file by its content.

    Raises:
        BadInput: unreadable, of no known format, of another instrument, or lacking what the options would have to say.
    """
    chosen = options or ReadOptions()
    return TickFile(recognise(Path(path), chosen), chosen)
