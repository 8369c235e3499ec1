"""Rows as a file has them, before anything is rounded, cleaned or expanded."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from broker.errors import BadInput
from broker.ticks.numbers import Digits
from broker.ticks.packing import Packed
from broker.types import Instrument, Int64s

QUOTE_COLUMNS = ("bid", "ask")
SIZE_COLUMNS = ("bid_size", "ask_size")
BID_BAR_COLUMNS = ("open_bid", "high_bid", "low_bid", "close_bid")
ASK_BAR_COLUMNS = ("open_ask", "high_ask", "low_ask", "close_ask")


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows in file order.

    Attributes:
        time: int64 ns `[n]`.
        line: int64 `[n]`, where each row stands in its file, counted from 1: its line, record or row.
        mantissa, digits: exact numbers `[columns, n]` (see `numbers`), in the order of `Source.columns`.
        tiers: mantissa, digits and units of each price tier, `[n, 2, tiers, 3]` int64, bids before asks, the best
            first, 0 where a quote has fewer; None where the file has none.
    """

    time: Int64s
    line: Int64s
    mantissa: Int64s
    digits: Digits
    tiers: Int64s | None = None

    def __len__(self) -> int:
        return len(self.time)

    def take(self, keep: "slice | np.ndarray[tuple[int], np.dtype[np.bool_]]") -> "Rows":
        """The rows that a slice or mask `[n]` chooses."""
        tiers = None if self.tiers is None else self.tiers[keep]
        return Rows(self.time[keep], self.line[keep], self.mantissa[:, keep], self.digits[:, keep], tiers)

    def only(self, columns: int) -> "Rows":
        """The rows with their first number columns alone."""
        return Rows(self.time, self.line, self.mantissa[:columns], self.digits[:columns])


@dataclass(slots=True)
class BadLines:
    """What is done about broken lines: `fail` at the first, or `skip` and count.

    Attributes:
        skipped: broken lines passed over so far.
    """

    path: str
    policy: str = "fail"
    skipped: int = 0

    def broken(self, line: int, what: str) -> None:
        """Report a broken line.

        Raises:
            BadInput: under `fail`.
        """
        if self.policy == "skip":
            self.skipped += 1
            return
        raise BadInput(what, where=f"{self.path}:{line}", mend="mend the line, or pass over it with --on-bad-line skip")


@dataclass(frozen=True, slots=True)
class Source:
    """A recognised tick file: what it holds, and how to read it.

    Attributes:
        format: the reader's name, as `ticks info` prints it.
        columns: names of the number columns: those of quotes or of bars.
        read: opens the file anew and yields its rows, at most so many at once.
        time_digits: decimals of the seconds in the file's times, so that a copy looks alike.
        may_be_empty: no quote at all is no fault.
        bar_step: length of a bar by the file's name, ns; 0 where it doesn't say.
        packed: what the rows are read from; None for Parquet.
    """

    path: str
    format: str
    columns: tuple[str, ...]
    instrument: Instrument
    read: Callable[[BadLines, int], Iterator[Rows]]
    time_digits: int = 9
    may_be_empty: bool = False
    bar_step: int = 0
    packed: Packed | None = None

    @property
    def is_bars(self) -> bool:
        """Whether rows are bars, not quotes."""
        return self.columns[0] in BID_BAR_COLUMNS


def sliced(rows: Iterator[Rows], batch: int) -> Iterator[Rows]:
    """The same rows, at most `batch` at once."""
    for some in rows:
        for start in range(0, len(some), batch):
            yield some.take(slice(start, start + batch))
