"""The tick files of a replay: opened, grouped by instrument, and fed to the session at the pace asked for."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from time import monotonic_ns, sleep

from broker.errors import BadInput
from broker.ticks import ReadOptions, TickFile, TickStream, open_ticks
from broker.types import SECOND, Instrument, Quotes
from daemon.config import bar_length


def open_by_instrument(
    files: Sequence[Path], options: ReadOptions, only: Sequence[str]
) -> dict[Instrument, list[TickFile]]:
    """The files, opened and grouped, in the order in which instruments were named or first appear.

    Raises:
        BadInput: a file can't be read, or is of an instrument that was not named.
    """
    if len(only) == 1:
        options = replace(options, instrument=only[0])
    groups: dict[Instrument, list[TickFile]] = {}
    for path in files:
        file = open_ticks(path, options)
        if only and file.instrument.name not in only:
            mend = f"name it: --instrument {','.join((*only, file.instrument.name))}"
            raise BadInput(f"holds {file.instrument.name}, which was not named", where=str(path), mend=mend)
        groups.setdefault(file.instrument, []).append(file)
    if only:
        groups = dict(sorted(groups.items(), key=lambda item: only.index(item[0].name)))
    return groups


def refuse_short_bars(groups: dict[Instrument, list[TickFile]], bar: str) -> None:
    """A decision interval must not be shorter than the bars that stand in for quotes.

    Raises:
        BadInput: it is, or it counts quotes.
    """
    kind, size = bar_length(bar)
    for file in (file for files in groups.values() for file in files if file.source == "bars"):
        if kind == "tick" or size < file.bar_step:
            step = file.bar_step // SECOND
            named = next(f"{step // n}{unit}" for n, unit in ((3600, "h"), (60, "m"), (1, "s")) if step % n == 0)
            raise BadInput(
                f"a file of {named} bars can't serve decisions every {bar}", where=str(file.path), mend=f"--bar {named}"
            )


class Feed:
    """One instrument's clean quotes, watched as they pass."""

    def __init__(self, source: TickStream) -> None:
        self.source = source
        self.first: int | None = None
        self.last: int | None = None

    def batches(self, told: Callable[[int], None]) -> Iterator[Quotes]:
        """The quotes, in batches, whose lengths are told as they pass."""
        for quotes in self.source:
            if self.first is None:
                self.first = int(quotes.time[0])
            self.last = int(quotes.time[-1])
            told(len(quotes))
            yield quotes


def pacer(speed: float) -> Callable[[int], None] | None:
    """Waits so that event time runs at `speed` times wall time; None for no waiting."""
    if speed <= 0:
        return None
    origin: list[int] = []

    def pace(time: int) -> None:
        if not origin:
            origin.extend((time, monotonic_ns()))
        ahead = (time - origin[0]) / speed - (monotonic_ns() - origin[1])
        if ahead > 0:
            sleep(ahead / SECOND)

    return pace
