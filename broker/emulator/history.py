"""Recorded quotes of several instruments in one order, and what of them has been shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from broker.ticks import ReadOptions, open_ticks, stream
from broker.types import Instrument, Int64s

_LOOP_PAUSE = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Shown:
    """Quotes of one instrument, oldest first: `time` ns, `bid` and `ask` points, each `[n]` int64."""

    time: Int64s
    bid: Int64s
    ask: Int64s


@dataclass(slots=True)
class _Extra:
    """Quotes of an instrument that came by hand or in an earlier round of a loop."""

    time: list[int] = field(default_factory=list)
    bid: list[int] = field(default_factory=list)
    ask: list[int] = field(default_factory=list)


class History:
    """All quotes of the tick files, merged by time (equal times: in the order of the instruments).

    Attributes:
        names: instruments with ticks.
        time, which, bid, ask: `[n]` int64; `which` is an index into `names`.
        next: index of the first quote not shown yet.
        shift: ns added to the recorded times (a loop's later rounds).
    """

    def __init__(self, quotes: Mapping[str, Shown]) -> None:
        self.names = tuple(quotes)
        columns = [np.concatenate([getattr(one, name) for one in quotes.values()]) for name in ("time", "bid", "ask")]
        which = np.concatenate([np.full(len(one.time), place, np.int64) for place, one in enumerate(quotes.values())])
        order = np.argsort(columns[0], kind="stable")
        self.time, self.bid, self.ask = (column[order] for column in columns)
        self.which = which[order]
        self.next, self.shift = 0, 0
        self._extras: dict[str, list[_Extra]] = {}

    def __len__(self) -> int:
        return len(self.time)

    @property
    def start(self) -> int:
        """Time of the first quote, ns."""
        return int(self.time[0])

    @property
    def end(self) -> int:
        """Time of the last quote of this round, ns."""
        return int(self.time[-1]) + self.shift

    @property
    def is_over(self) -> bool:
        """Whether every quote was shown."""
        return self.next >= len(self.time)

    def next_time(self) -> int:
        """Time of the next quote, ns."""
        return int(self.time[self.next]) + self.shift

    def seek(self, time: int) -> None:
        """Go on after `time`, as if all before had been shown."""
        self.next = int(np.searchsorted(self.time, time - self.shift, side="right"))

    def rewind(self) -> None:
        """Begin another round, later by the recording's length and a second."""
        for name in self.names:
            shown = self._recorded(name)
            extra = _Extra(shown.time.tolist(), shown.bid.tolist(), shown.ask.tolist())
            self._extras[name] = [*self._extras.get(name, [])[-1:], extra]
        self.shift += int(self.time[-1] - self.time[0]) + _LOOP_PAUSE
        self.next = 0

    def add(self, name: str, time: int, bid: int, ask: int) -> None:
        """Remember a quote that is in no file."""
        rounds = self._extras.setdefault(name, [])
        if not rounds:
            rounds.append(_Extra())
        rounds[-1].time.append(time)
        rounds[-1].bid.append(bid)
        rounds[-1].ask.append(ask)

    def shown(self, name: str) -> Shown:
        """What has been shown of an instrument, oldest first (of a loop, the last two rounds)."""
        parts = [
            Shown(*(np.array(column, np.int64) for column in (extra.time, extra.bid, extra.ask)))
            for extra in self._extras.get(name, [])
        ]
        if name in self.names:
            parts.append(self._recorded(name))
        if not parts:
            return Shown(*(np.zeros(0, np.int64) for _ in range(3)))
        columns = ("time", "bid", "ask")
        time, bid, ask = (np.concatenate([getattr(part, column) for part in parts]) for column in columns)
        order = np.argsort(time, kind="stable")
        return Shown(time[order], bid[order], ask[order])

    def _recorded(self, name: str) -> Shown:
        mine = self.which[: self.next] == self.names.index(name)
        return Shown(
            self.time[: self.next][mine] + self.shift, self.bid[: self.next][mine], self.ask[: self.next][mine]
        )


def load_history(paths: Sequence[Path], options: ReadOptions) -> tuple[History, dict[str, Instrument]]:
    """Read tick files (several of one instrument merge), and say what they hold.

    Raises:
        BadInput: a file can't be read.
    """
    files = [open_ticks(path, options) for path in paths]
    instruments = {file.instrument.name: file.instrument for file in files}
    quotes: dict[str, Shown] = {}
    for name in instruments:
        batches = list(stream([file for file in files if file.instrument.name == name], options))
        columns = ([getattr(batch, column) for batch in batches] for column in ("time", "bid", "ask"))
        quotes[name] = Shown(*(np.concatenate([np.zeros(0, np.int64), *column]) for column in columns))
    return History(quotes), instruments
