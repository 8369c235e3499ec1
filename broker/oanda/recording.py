"""The price stream on disk: a file for each instrument and UTC day, the lines as they came, yesterday's compressed.

`EUR_USD-2026-01-02.oanda.jsonl` grows by whole lines; when the feed's clock enters the next day it becomes
`.jsonl.zst`. Heartbeats go into every file. A line that the feed passed over is kept inside a `DROPPED` line, and a
gap is a `GAP` line: readers of tick files pass over both, so that a recording replays as the feed was heard.
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

PLAIN, PACKED = ".oanda.jsonl", ".oanda.jsonl.zst"
_BLOCK = 1 << 20


class Recorder:
    """A `Tape` (feed.py) that writes files into a folder.

    Lines are buffered until `flush`; a crash loses at most what came since, and half a line at a file's end is cut off
    when it is opened again.

    Args:
        folder: made if it is not there.
        instruments: all that the stream shows.
        aside: runs a job that takes long (compressing a day), at once or in another thread.

    Raises:
        StorageFault: from every method: the disk failed or is full.
    """

    def __init__(
        self, folder: Path, instruments: Iterable[str], aside: Callable[[Callable[[], object]], object] = call
    ) -> None:
        self._folder, self._aside = folder, aside
        self._instruments = tuple(instruments)
        self._files: dict[str, tuple[int, BinaryIO]] = {}
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
        for name, (_, file) in self._files.items():
            try:
                file.flush()
            except OSError as error:
                raise _fault(self._folder / name, error) from error

    def close(self) -> None:
        """Flush and close; the day's files stay plain, to be continued."""
        self.flush()
        while self._files:
            self._files.popitem()[1][1].close()

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
            opened[1].write(line)
        except OSError as error:
            raise _fault(self._folder / name, error) from error

    def _open(self, name: str, day: int) -> tuple[int, BinaryIO]:
        if before := self._files.pop(name, None):
            before[1].close()
        date = rfc3339(day * DAY)[:10]
        path = self._folder / f"{name}-{date}{PLAIN}"
        for old in sorted(self._folder.glob(f"{name}-????-??-??{PLAIN}")):
            if old != path:
                self._aside(partial(pack, old))
        file = path.open("ab")
        whole = _whole_lines(path)
        if whole < file.tell():
            file.truncate(whole)
        self._files[name] = day, file
        return self._files[name]


def pack(path: Path) -> Path:
    """Compress a finished day; the packed file appears whole, and only then is the plain one removed.

    Raises:
        StorageFault: the disk failed or is full; the plain file is still there.
    """
    packed = path.with_name(path.name.removesuffix(PLAIN) + PACKED)
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
