"""Reads lines of comma-separated fields: compiled for the usual shape, strict Python for every other line.

The compiled reader takes only lines that the strict one takes too, with the same result; a line it stops at is left to
the strict one, which accepts it or says what is wrong with it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numba import njit

from broker.errors import BadInput
from broker.ticks.clocks import MILLIS, MILLISECOND, UTC_ZONE, Zone, parse_time, scan_time
from broker.ticks.numbers import Digits, parse_number
from broker.ticks.packing import Packed
from broker.ticks.rows import BadLines, Rows
from broker.types import Int64s

IGNORED, TIME, LITERAL = -1, -2, -3  # what a field is, where it's no number column
LONGEST_LINE = 1 << 20
_ALIKE_LINES = 100  # so many lines of equal decimals make a shorter last one suspicious
_BOM = b"\xef\xbb\xbf"
_NO_LIMIT = (1 << 63) // MILLISECOND


@dataclass(frozen=True, slots=True)
class Layout:
    """How a line is laid out.

    Attributes:
        columns: names of the number columns.
        fields: what each field is, in order: an index into `columns`, or IGNORED (but a number), TIME or LITERAL.
        clock: the kind of time field (see `clocks`).
        header: lines before the first row.
        literal: the text that every LITERAL field has.
        base: ns added to each time; with `limit`, times are ms below it.
        zone: the clock that the times were read from.
    """

    columns: tuple[str, ...]
    fields: tuple[int, ...]
    clock: int
    header: int = 0
    literal: str = ""
    base: int = 0
    limit: int = _NO_LIMIT
    zone: Zone = UTC_ZONE

    def parse(self, line: str) -> tuple[int, list[tuple[int, int]]]:
        """Time and numbers of one line, in the order of `columns`.

        Raises:
            ValueError: what is wrong with the line.
        """
        texts = line.split(",")
        if len(texts) != len(self.fields):
            raise ValueError(f"{len(texts)} fields instead of {len(self.fields)}")
        time, numbers = 0, [(0, 0)] * len(self.columns)
        for kind, text in zip(self.fields, texts, strict=True):
            if kind == TIME:
                time = parse_time(text.strip(" \t"), self.clock)
                if self.clock == MILLIS and time >= self.limit * MILLISECOND:
                    raise ValueError(f"the time {text!r} is not within a day")
                time += self.base
            elif kind == LITERAL:
                if text != self.literal:
                    raise ValueError(f"{text[:40]!r} instead of {self.literal!r}")
            else:
                number = parse_number(text)
                if kind != IGNORED:
                    numbers[kind] = number
        return time, numbers


@dataclass(slots=True)
class _Batch:
    """Columns being filled: `[capacity]` each, the first `count` of them done."""

    time: Int64s
    line: Int64s
    mantissa: Int64s
    digits: Digits
    count: int = 0

    @classmethod
    def empty(cls, columns: int, capacity: int) -> "_Batch":
        return cls(
            np.empty(capacity, np.int64),
            np.empty(capacity, np.int64),
            np.empty((columns, capacity), np.int64),
            np.empty((columns, capacity), np.uint8),
        )

    @property
    def full(self) -> bool:
        return self.count == len(self.time)

    def append(self, line: int, time: int, numbers: list[tuple[int, int]]) -> None:
        self.time[self.count], self.line[self.count] = time, line
        for column, number in enumerate(numbers):
            self.mantissa[column, self.count], self.digits[column, self.count] = number
        self.count += 1

    def rows(self, zone: Zone) -> Rows:
        rows = Rows(self.time, self.line, self.mantissa, self.digits).take(slice(0, self.count))
        return Rows(zone.to_utc(rows.time), rows.line, rows.mantissa, rows.digits)


@njit(cache=True, nogil=True, error_model="numpy")
def _scan_lines(  # type: ignore[no-untyped-def]
    buffer, at, line, fields, literal, clock, base, limit, time, lines, mantissa, digits, row
):
    """Fill rows from whole lines `buffer[at:]` until they are full, read, or unusual: `(at, line, row)` of the next."""
    end = len(buffer)
    while row < len(time) and at < end:
        i = at
        for f in range(len(fields)):
            kind = fields[f]
            if kind == -2:
                time[row], i = scan_time(buffer, i, end, clock, base, limit)
                if i < 0:
                    return at, line, row
            elif kind == -3:
                for k in range(len(literal)):
                    if i >= end or buffer[i] != literal[k]:
                        return at, line, row
                    i += 1
            else:
                value, count, decimals = np.int64(0), 0, 0
                while i < end and 48 <= buffer[i] <= 57 and count < 12:
                    value = value * 10 + np.int64(buffer[i]) - 48
                    count += 1
                    i += 1
                if count == 0:
                    return at, line, row
                if i < end and buffer[i] == 46:
                    i += 1
                    while i < end and 48 <= buffer[i] <= 57 and count < 18:
                        value = value * 10 + np.int64(buffer[i]) - 48
                        count += 1
                        decimals += 1
                        i += 1
                    if decimals == 0:
                        return at, line, row
                if kind >= 0:
                    mantissa[kind, row], digits[kind, row] = value, decimals
            if f < len(fields) - 1:
                if i >= end or buffer[i] != 44:
                    return at, line, row
                i += 1
        if i < end and buffer[i] == 13:
            i += 1
        if i >= end or buffer[i] != 10:
            return at, line, row
        lines[row] = line
        at, line, row = i + 1, line + 1, row + 1
    return at, line, row


def chunks_of_lines(packed: Packed) -> Iterator[tuple[bytes, bool]]:
    """Whole lines in chunks `(bytes, whether they are the file's last)`; the very last line may lack its end.

    Raises:
        BadInput: unreadable, or a line longer than a MiB.
    """
    rest, chunk, start = b"", b"", True
    for block in packed.blocks():
        if start:
            block, start = block.removeprefix(_BOM), False
        cut = block.rfind(b"\n") + 1
        if cut:
            if chunk:
                yield chunk, False
            chunk, rest = rest + block[:cut], block[cut:]
        else:
            rest += block
        if len(rest) > LONGEST_LINE:
            raise BadInput("a line without an end", where=str(packed.path), mend="this is no text file of ticks")
    if rest:
        if chunk:
            yield chunk, False
        chunk = rest
    if chunk:
        yield chunk, True


class LineReader:
    """Reads the rows of one packed text file by its layout."""

    def __init__(self, packed: Packed, layout: Layout) -> None:
        self._packed, self._layout = packed, layout
        self._fields = np.array(layout.fields, np.int64)
        self._literal = np.frombuffer(layout.literal.encode(), np.uint8)

    def read(self, bad: BadLines, batch: int) -> Iterator[Rows]:
        """The file's rows, at most `batch` at once; broken lines go to `bad`."""
        layout = self._layout
        filling, line = _Batch.empty(len(layout.columns), batch), 1
        recent = np.empty(0, np.uint8)
        for chunk, last in chunks_of_lines(self._packed):
            at = 0
            while line <= layout.header and at < len(chunk):
                at, line = chunk.find(b"\n", at) + 1 or len(chunk), line + 1
            buffer = np.frombuffer(chunk, np.uint8)
            while at < len(chunk):
                at, line, filling.count = _scan_lines(
                    buffer, at, line, self._fields, self._literal, layout.clock, layout.base, layout.limit,
                    filling.time, filling.line, filling.mantissa, filling.digits, filling.count,
                )  # fmt: skip
                if not filling.full and at < len(chunk):
                    stop = chunk.find(b"\n", at)
                    text = chunk[at:] if stop < 0 else chunk[at:stop]
                    if last and not chunk[at:].strip(b"\r\n"):
                        break  # empty lines at the end
                    usual = np.append(recent, self._last_decimals(filling))[-_ALIKE_LINES:] if stop < 0 else None
                    self._strict(text, line, filling, bad, usual)
                    at, line = len(chunk) if stop < 0 else stop + 1, line + 1
                if filling.full:
                    yield filling.rows(layout.zone)
                    recent = np.append(recent, self._last_decimals(filling))[-_ALIKE_LINES:]
                    filling = _Batch.empty(len(layout.columns), batch)
        if filling.count:
            yield filling.rows(layout.zone)

    def _last_decimals(self, filling: _Batch) -> Digits:
        """Decimals that the last field had, in the newest of the rows."""
        column = self._layout.fields[-1]
        return filling.digits[column, max(filling.count - _ALIKE_LINES, 0) : filling.count if column >= 0 else 0]

    def _strict(self, text: bytes, line: int, filling: _Batch, bad: BadLines, usual: Digits | None) -> None:
        """Read one line; `usual` are the decimals before it where the line lacks its end."""
        try:
            time, numbers = self._layout.parse(text.removesuffix(b"\r").decode("utf-8"))
        except UnicodeDecodeError:
            bad.broken(line, "not UTF-8 text")
        except ValueError as error:
            bad.broken(line, str(error) if text.strip() else "an empty line")
        else:
            if usual is not None and _is_cut(numbers[self._layout.fields[-1]][1], usual):
                bad.broken(line, "the last line has no end and fewer decimals than the others: cut short?")
            else:
                filling.append(line, time, numbers)


def _is_cut(decimals: int, usual: Digits) -> bool:
    """Whether an unended line's last number is shorter than the many alike ones before it."""
    return len(usual) == _ALIKE_LINES and bool(np.all(usual == usual[0])) and decimals < usual[0]
