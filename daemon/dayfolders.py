"""The folders of a service: the files of a run for each UTC day, by the time of what is written into them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from broker.rfc3339 import rfc3339
from broker.types import DAY, Bar, Cancel, Fill, Instrument, Order, Trade
from daemon.bookkeeping import Bookkeeper
from daemon.runfiles import DECISIONS
from daemon.runfolder import RunFolder
from daemon.summary import Counts, Latency, Run, summarise
from strategy.plugin import Choice, Observation


@dataclass(slots=True)
class Quotes:
    """Quotes of a day: how many came, how many of them were not traded on, and the times of the first and the last."""

    read: int = 0
    dropped: int = 0
    first: int | None = None
    last: int | None = None


@dataclass(slots=True)
class _Day:
    number: int
    folder: RunFolder
    books: Bookkeeper
    quotes: Quotes
    started: float


class DayFolders:
    """A sink whose rows go to `<root>/<day>`; the day before is completed when a row of another one comes.

    Args:
        root: where the folders are made. A day's second run makes a folder of its own: `2026-01-02-02`.
        instruments: those traded. commission_pips: of a completed trade.
        described: what is run, but for `out`.
        config: as TOML. environment: the document of environment.json.
        latency: of the decisions.
        aside: runs what takes long (completing a day), at once or in another thread.
        page: makes the report of a day that is over, from its finished folder; the last day's is made here.

    Attributes:
        again: rows go to the last folder of their day, which is written anew: the journal tells them again.

    Every method raises StorageFault where the disk is full or fails.
    """

    def __init__(
        self,
        root: Path,
        instruments: Sequence[Instrument],
        commission_pips: float,
        described: Run,
        config: str,
        environment: Mapping[str, Any],
        latency: Latency,
        aside: Callable[[Callable[[], object]], object],
        page: Callable[[Path], object],
    ) -> None:
        self._root, self._instruments, self._commission = root, instruments, commission_pips
        self.described, self.config = described, config
        self._environment, self._latency, self._aside, self._page = environment, latency, aside, page
        self._day: _Day | None = None
        self.again = False
        self.trades = self.decisions = 0

    @property
    def path(self) -> Path | None:
        """The folder of the day, None before its first row."""
        return self._day.folder.path if self._day else None

    def several(self, first: int, last: int, count: int) -> None:
        """Valid quotes came, from a time to a time."""
        quotes = self._at(first).quotes
        quotes.read += count
        quotes.first = first if quotes.first is None else quotes.first
        quotes.last = last

    def quoted(self, time: int, dropped: bool) -> None:
        """A quote came."""
        quotes = self._at(time).quotes
        quotes.read += 1
        quotes.dropped += dropped
        quotes.first = time if quotes.first is None else quotes.first
        quotes.last = time

    def decided(self, seen: Observation, choice: Choice, target: int, veto: str | None, model: str) -> None:
        """Log a decision."""
        self.decisions += 1
        self._at(seen.time).books.decided(seen, choice, target, veto, model)

    def ordered(self, order: Order, end: Fill | Cancel) -> None:
        """Log an order's end."""
        self._at(end.time).books.ordered(order, end)

    def traded(self, trade: Trade, fill: Fill) -> None:
        """Log a completed trade."""
        self.trades += 1
        self._at(fill.time).books.traded(trade, fill)

    def barred(self, instrument: Instrument, bar: Bar, open_pips: float) -> None:
        """Count a bar; those of a warm-up belong to no day."""
        if self._day is not None:
            self._at(bar.end).books.barred(instrument, bar, open_pips)

    def flush(self) -> None:
        """Hand what was written to the system."""
        if self._day is not None:
            self._day.folder.flush()

    def finish(self) -> None:
        """Complete the day that is open."""
        if self._day is not None:
            self._complete(self._day)
            self._day = None

    def abandon(self) -> None:
        """Close the day that is open without a summary."""
        if self._day is not None:
            self._day.folder.__exit__(None, None, None)
            self._day = None

    def _at(self, time: int) -> _Day:
        """The day of a time; one that is over takes what comes late into the day that is open."""
        day, number = self._day, time // DAY
        if day is not None and number <= day.number:
            return day
        if day is not None:
            self._aside(lambda: self._leave(day))
        folder = RunFolder.create(self._path(rfc3339(number * DAY)[:10]))
        books = Bookkeeper(folder, self._instruments, self._commission)
        self._day = _Day(number, folder, books, Quotes(), perf_counter())
        return self._day

    def _path(self, name: str) -> Path:
        """A folder that is not there yet, or the last that is."""
        last = path = self._root / name
        n = 1
        while (path / DECISIONS).exists():
            n += 1
            last, path = path, self._root / f"{name}-{n:02}"
        return last if self.again else path

    def _leave(self, day: _Day) -> None:
        self._complete(day, page=False)
        self._page(day.folder.path)

    def _complete(self, day: _Day, page: bool = True) -> None:
        with day.folder:
            described = replace(self.described, out=str(day.folder.path))
            summary = summarise(day.books.trades, self._counts(day), described)
            day.folder.finish(summary, self.config, self._environment, page)

    def _counts(self, day: _Day) -> Counts:
        books, quotes = day.books, day.quotes
        return Counts(
            ticks=quotes.read,
            dropped=quotes.dropped,
            skipped_lines=0,
            bars=books.bars,
            decisions=books.decisions,
            orders=books.orders,
            first=quotes.first,
            last=quotes.last,
            seconds=perf_counter() - day.started,
            max_drawdown_mtm_pips=books.drawdown.largest,
            costs=books.costs,
            latency=self._latency,
            decision_log_sha256=day.folder.decision_log_sha256,
        )
