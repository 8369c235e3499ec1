"""The part of some recordings that a model has not seen: after what it learned from, and an embargo."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from broker.errors import BadInput
from broker.oanda.recording import PLAIN
from broker.rfc3339 import rfc3339
from broker.ticks import ReadOptions, open_ticks
from broker.ticks.synth import ENDING
from broker.types import Instrument, Quotes
from daemon.config import Config, bar_length
from daemon.environment import input_file
from daemon.study import Recording, recordings
from daemon.study import Request as Sets
from training.seen import Seen


@dataclass(frozen=True, slots=True)
class Stretch:
    """Quotes to validate on.

    Attributes:
        instrument, quotes: the first `warmup` bars only warm up. bar: their length, as in the config.
        first, last: times of the first bar that is decided on and of the last quote, ns. from_bars: made from bars.
    """

    instrument: Instrument
    quotes: Quotes
    bar: str
    first: int
    last: int
    from_bars: bool


def usable_files(files: Sequence[Path], seen: Seen) -> list[dict[str, Any]]:
    """Files that the user named, with their digests.

    Raises:
        BadInput: one can't be read, or was learned from.
    """
    documents = [input_file(path) for path in files]
    for document in documents:
        if document["sha256"] in seen.hashes:
            mend = "give ticks that came after those it was trained on"
            raise BadInput("the model learned from this file", where=document["path"], mend=mend)
    return documents


def recorded_files(folder: Path, instruments: Sequence[str], seen: Seen) -> list[dict[str, Any]]:
    """Finished recordings in a folder, of these instruments, that were not learned from.

    Raises:
        BadInput: there are none.
    """
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name[0] != "."]
    known = [path for path in paths if not path.name.endswith((PLAIN, ENDING))]
    known = [path for path in known if open_ticks(path, ReadOptions()).instrument.name in instruments]
    found = [document for document in map(input_file, known) if document["sha256"] not in seen.hashes]
    if not found:
        what = f"all {len(known)} recordings were learned from" if known else "no recordings"
        raise BadInput(what, where=str(folder), mend="give tick files, or record some: `ticks record`")
    return found


def stretches(
    files: Sequence[Path], options: ReadOptions, only: tuple[str, ...], config: Config, seen: Seen
) -> tuple[list[Stretch], list[str]]:
    """What is left of the recordings, one stretch an instrument, and what is to be said about them.

    Raises:
        BadInput: a file can't be read, or too little of an instrument is left.
    """
    sets = recordings(Sets(tuple(files), options, only, merge=True), config)
    caveats = []
    for found in sets:
        if found.from_bars:
            caveats.append(f"{found.instrument.name} is made from bars: four quotes a bar stand in for the real ones.")
        if len(found.quotes) and known_until(found, seen) == 0 and overlaps(found, seen):
            caveats.append(
                f"{found.instrument.name} has the dates of training data, but not their prices: it counts as unseen."
            )
    if not seen.complete:
        caveats.append("It is not known what all of the model's line learned from: the result may be in sample.")
    return [unseen(found, config, seen) for found in sets], caveats


def unseen(found: Recording, config: Config, seen: Seen) -> Stretch:
    """The part of a recording that may be decided on, with its warm-up.

    Raises:
        BadInput: none is left.
    """
    warmup, name = config.model.warmup_bars, found.instrument.name
    opened = found.quotes.time[found.starts]
    end = known_until(found, seen) if len(opened) else 0
    after = int(np.searchsorted(opened, end, side="right")) if end else 0
    first = max(after + warmup, past_embargo(found, end, after, config)) if end else warmup
    if first >= len(opened):
        left = max(len(opened) - after, 0)
        what = f"{left} bars of {name} are too few: {warmup} warm up"
        if end:
            what += f", and {config.validation.embargo_bars} after the training data of {rfc3339(end)} are embargoed"
        raise BadInput(what, where=found.name, mend="give later ticks, or more")
    lead = first - warmup
    quotes = found.part(lead, len(opened))
    return Stretch(found.instrument, quotes, found.bar, int(opened[first]), int(quotes.time[-1]), found.from_bars)


def past_embargo(found: Recording, end: int, after: int, config: Config) -> int:
    """The first bar that begins an embargo after `end`, by the clock, or by bars where they count quotes."""
    kind, size = bar_length(found.bar)
    embargo = config.validation.embargo_bars
    if kind == "tick":
        return after + embargo
    return int(np.searchsorted(found.quotes.time[found.starts], end + embargo * size, side="right"))


def known_until(found: Recording, seen: Seen) -> int:
    """Time up to which a recording counts as learned from, ns; 0: not at all."""
    windows = seen.windows.get(found.instrument.name, ())
    return max((window.known_until(found.quotes) for window in windows), default=0)


def overlaps(found: Recording, seen: Seen) -> bool:
    """Whether a recording shares its dates with what was learned from."""
    first, last = found.quotes.time[0], found.quotes.time[-1]
    windows = seen.windows.get(found.instrument.name, ())
    return any(window.first <= last and first <= window.last for window in windows)


def name_of(parts: Sequence[Stretch], config: Config) -> str:
    """Names the stretches by their content: the same quotes and bars, the same name."""
    digest = hashlib.sha256(repr((config.bar, config.model.warmup_bars)).encode())
    for part in parts:
        digest.update(f"\0{part.instrument.name}\0{part.bar}\0".encode())
        for column in (part.quotes.time, part.quotes.bid, part.quotes.ask):
            digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()[:16]
