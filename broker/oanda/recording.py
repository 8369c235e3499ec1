"""The price stream on disk: a file for each instrument and UTC day, the lines as they came, yesterday's compressed.

`EUR_USD-2026-01-02.oanda.jsonl` grows by whole lines; when the feed's clock enters the next day it becomes
`.jsonl.zst`. Heartbeats go into every file. A line that the feed passed over is kept inside a `DROPPED` line, and a
gap is a `GAP` line: readers of tick files pass over both, so that a recording replays as the feed was heard.

With a clock, a hidden `.oanda.received` beside it has a line for each of its lines: when that was received, ns, or 0
where a crash lost it.
"""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from operator import call
from pathlib import Path
from typing import BinaryIO

import zstandard

from broker.errors import StorageFault
from broker.rfc3339 import rfc3339
from broker.types import DAY

PLAIN, RECEIVED, PACKED = ".oanda.jsonl", ".oanda.received", ".zst"
HIDDEN = "."  # so that `replay ticks/*` takes tick files alone
_BLOCK = 1 << 20


class Recorder:
    """A `Tape` (feed.py) that writes files into a folder.

    Lines are buffered until `flush`; a crash loses at most what came since, and half a line at a file's end is cut off
    when it is opened again.

    Args:
        folder: made if it is not there.
        instruments: all that the stream shows.
        aside: runs a job that takes long (compressing a day), at once or in another thread.
        now: the machine's clock, ns, to keep when each line was received; None keeps the lines alone.

    Raises:
        StorageFault: from every method: the disk failed or is full.
    """

    def __init__(
        self,
        folder: Path,
        instruments: Iterable[str],
        aside: Callable[[Callable[[], object]], object] = call,
        now: Callable[[], int] | None = None,
    ) -> None:
        self._folder, self._aside, self._now = folder, aside, now
        self._instruments = tuple(instruments)
        self._files: dict[str, tuple[int, list[BinaryIO]]] = {}  # day, lines, and when they were received
        self.lines = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _fault(folder, error) from error

    def keep(self, line: bytes, time: int, instrument: str) -> None:
        """Write a line as it came, into its instrument's file, or into all."""
        self.lines += 1
        for name in (instrument,) if instrument else self._instruments:
            self._write(name, time // DAY, line + b"\n")

    def drop(self, line: bytes, time: int, instrument: str, why: str) -> None:
        """Write a line that was passed over, wrapped."""
        wrapped = {"type": "DROPPED", "reason": why, "line": line.decode("utf-8", "backslashreplace")}
        self._mark(wrapped, time, instrument)

    def gap(self, start: int, end: int) -> None:
        """Write when lines are missing."""
        self._mark({"type": "GAP", "from": rfc3339(start), "to": rfc3339(end)}, end, "")

    def flush(self) -> None:
        """Hand what was written to the system."""
        for name, (_, files) in self._files.items():
            try:
                for file in files:
                    file.flush()
            except OSError as error:
                raise _fault(self._folder / name, error) from error

    def close(self) -> None:
        """Flush and close; the day's files stay plain, to be continued."""
        self.flush()
        while self._files:
            for file in self._files.popitem()[1][1]:
                file.close()

    def _mark(self, said: dict[str, str], time: int, instrument: str) -> None:
        line = json.dumps(said).encode() + b"\n"
        for name in (instrument,) if instrument else self._instruments:
            self._write(name, time // DAY, line)

    def _write(self, name: str, day: int, line: bytes) -> None:
        if not day:
            return  # nothing has told the time yet: there is no day to file it under
        try:
            opened = self._files.get(name)
            if opened is None or opened[0] < day:
                opened = self._open(name, day)
            opened[1][0].write(line)
            if self._now is not None:
                opened[1][1].write(b"%d\n" % self._now())
        except OSError as error:
            raise _fault(self._folder / name, error) from error

    def _open(self, name: str, day: int) -> tuple[int, list[BinaryIO]]:
        for file in self._files.pop(name, (0, []))[1]:
            file.close()
        today = f"{name}-{rfc3339(day * DAY)[:10]}"
        for before, kind in ((HIDDEN, RECEIVED), ("", PLAIN)):
            for old in sorted(self._folder.glob(f"{before}{name}-????-??-??{kind}")):
                if old.name != before + today + kind:
                    self._aside(partial(pack, old))
        path = self._folder / (today + PLAIN)
        files: list[BinaryIO] = [path.open("ab")]
        if (whole := _whole_lines(path)) < files[0].tell():
            files[0].truncate(whole)
        if self._now is not None:
            files.append((self._folder / (HIDDEN + today + RECEIVED)).open("ab"))
            _align(path, files[1])
        self._files[name] = day, files
        return self._files[name]


def _align(path: Path, received: BinaryIO) -> None:
    """Give each line its time again: what is too much is cut off, what is lost is 0."""
    lines = sum(block.count(b"\n") for block in _blocks(path))
    times = Path(received.name)
    known = b"".join(_blocks(times)).splitlines(keepends=True)[:lines]
    received.truncate(0)
    received.write(b"".join(known) + b"0\n" * (lines - len(known)))


def pack(path: Path) -> Path:
    """Compress a finished day; the packed file appears whole, and only then is the plain one removed.

    Raises:
        StorageFault: the disk failed or is full; the plain file is still there.
    """
    packed = path.with_name(path.name + PACKED)
    part = packed.with_name(f".{packed.name}.part")
    try:
        if not (packed.exists() and _same(packed, path)):  # else we were interrupted between the last two steps
            with part.open("wb") as target:
                if packed.exists():  # the day went on after it was packed: Zstandard's frames may follow each other
                    with packed.open("rb") as former:
                        shutil.copyfileobj(former, target)
                with zstandard.ZstdCompressor(level=6, write_checksum=True).stream_writer(target) as writer:
                    for block in _blocks(path):
                        writer.write(block)
            part.replace(packed)
        path.unlink()
    except (OSError, zstandard.ZstdError) as error:
        part.unlink(missing_ok=True)
        raise _fault(path, error) from error
    return packed


def _blocks(path: Path) -> Iterator[bytes]:
    """The whole lines of a file, in blocks."""
    left = _whole_lines(path)
    with path.open("rb") as file:
        while block := file.read(min(_BLOCK, left)):
            left -= len(block)
            yield block


def _same(packed: Path, path: Path) -> bool:
    """Whether the packed file holds the plain one's lines, and nothing else."""
    with packed.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as reader:
        return all(reader.read(len(block)) == block for block in _blocks(path)) and not reader.read(1)


def _whole_lines(path: Path) -> int:
    """Bytes of a file up to the end of its last whole line."""
    with path.open("rb") as file:
        end = file.seek(0, 2)
        while end:
            start = max(0, end - _BLOCK)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
    return 0


def _fault(path: Path, error: Exception) -> StorageFault:
    said = error.strerror if isinstance(error, OSError) else None
    return StorageFault(f"the recording failed: {said or error}", where=str(path))
