"""Writes exact rows as CSV, Parquet or OANDA's JSON lines, complete or not at all."""

import gzip
import importlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import zstandard

from broker.errors import BadInput, StorageFault
from broker.rfc3339 import rfc3339
from broker.ticks.csvtext import format_rows
from broker.ticks.formats.parquet import METADATA_KEY
from broker.ticks.numbers import MAX_DIGITS, number_text, survives_floats, to_floats
from broker.ticks.rows import Rows
from broker.types import Int64s

ENDINGS = (".csv", ".csv.gz", ".csv.zst", ".parquet", ".jsonl", ".jsonl.gz", ".jsonl.zst")
_ROW_GROUP = 1 << 18


@dataclass(frozen=True, slots=True)
class Shape:
    """What is being written.

    Attributes:
        columns: names of the number columns.
        time_digits: decimals of the seconds, more where a time needs them.
    """

    instrument: str
    columns: tuple[str, ...]
    time_digits: int = 9


class RowWriter(Protocol):
    """Takes rows until it is closed."""

    def write(self, rows: Rows) -> None:
        """Append rows."""

    def close(self) -> None:
        """Finish what a whole file needs."""


class FloatsLoseDigits(Exception):
    """A number has more digits than a float: the Parquet file needs text columns."""


def ending_of(path: Path) -> str:
    """The ending that decides the format of an output file.

    Raises:
        BadInput: none of ENDINGS.
    """
    for ending in sorted(ENDINGS, key=len, reverse=True):
        if path.name.endswith(ending) and path.name != ending:
            return ending
    raise BadInput(
        "its ending names no format to write", where=str(path), mend=f"end it with one of {', '.join(ENDINGS)}"
    )


@contextmanager
def complete_or_nothing(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to, renamed to it at the end; removed on any error.

    Raises:
        BadInput: the folder can't be written.
        StorageFault: the disk failed.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.open("wb").close()
    except OSError as error:
        raise BadInput(f"can't be written: {error.strerror}", where=str(path), mend="choose another folder") from error
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise StorageFault(f"can't be written: {error.strerror or error}", where=str(path)) from error
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def packed_output(path: Path, ending: str) -> Iterator[BinaryIO]:
    """A binary file, compressed as `ending` says; the same contents give the same bytes."""
    with path.open("wb") as file:
        if ending.endswith(".gz"):
            with gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
                yield packed  # type: ignore[misc]
        elif ending.endswith(".zst"):
            with zstandard.ZstdCompressor(level=6, write_checksum=True).stream_writer(file, closefd=False) as packed:
                yield packed
        else:
            yield file


@contextmanager
def row_writer(path: Path, ending: str, shape: Shape, exact: bool = False) -> Iterator[RowWriter]:
    """A writer of the format that `ending` names, to `path`.

    Args:
        exact: Parquet holds the numbers as text.
    """
    if ending == ".parquet":
        writer: RowWriter = ParquetWriter(path, shape, exact)
        try:
            yield writer
        finally:
            writer.close()
    else:
        with packed_output(path, ending) as output:
            yield CsvWriter(output, shape) if ending.startswith(".csv") else JsonWriter(output, shape)


class CsvWriter:
    """Our own CSV: RFC 3339 times, each number with its own digits."""

    def __init__(self, output: BinaryIO, shape: Shape) -> None:
        self._output, self._time_digits = output, shape.time_digits
        output.write((",".join(("time", *shape.columns)) + "\n").encode())

    def write(self, rows: Rows) -> None:
        """Append rows."""
        buffer = np.empty(len(rows) * (32 + 24 * len(rows.mantissa)), np.uint8)
        end = format_rows(buffer, rows.time, rows.mantissa, rows.digits, self._time_digits)
        self._output.write(buffer[:end].tobytes())

    def close(self) -> None:
        """Nothing is left to be written."""


class JsonWriter:
    """PRICE lines of OANDA's stream, one tier a side."""

    def __init__(self, output: BinaryIO, shape: Shape) -> None:
        if shape.columns[0] != "bid":
            raise BadInput("bars can't be written as prices of a stream", mend="convert them to .csv or .parquet")
        self._output, self._shape = output, shape

    def write(self, rows: Rows) -> None:
        """Append rows."""
        for i in range(len(rows)):
            texts = [number_text(int(m), int(d)) for m, d in zip(rows.mantissa[:, i], rows.digits[:, i], strict=True)]
            sides = [f'{{"price":"{texts[side]}"{_liquidity(texts, side)}}}' for side in (0, 1)]
            self._output.write(
                f'{{"type":"PRICE","time":"{rfc3339(int(rows.time[i]))}","bids":[{sides[0]}],"asks":[{sides[1]}],'
                f'"closeoutBid":"{texts[0]}","closeoutAsk":"{texts[1]}","status":"tradeable","tradeable":true,'
                f'"instrument":"{self._shape.instrument}"}}\n'.encode()
            )

    def close(self) -> None:
        """Nothing is left to be written."""


def _liquidity(texts: list[str], side: int) -> str:
    if len(texts) == 2:
        return ""
    text = texts[side + 2]
    return f',"liquidity":{text}' if text[-1].isdigit() else f',"liquidity":"{text}"'


@dataclass(slots=True)
class _Decimals:
    """How many decimals a column's numbers were written with."""

    fewest: int = MAX_DIGITS
    most: int = 0
    trailing_zero: bool = False

    def see(self, mantissa: Int64s, digits: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
        """Look at more numbers."""
        finite = digits <= MAX_DIGITS
        if finite.any():
            self.fewest = min(self.fewest, int(digits[finite].min()))
            self.most = max(self.most, int(digits[finite].max()))
            self.trailing_zero |= bool(np.any(finite & (digits > 0) & (mantissa % 10 == 0)))


class ParquetWriter:
    """Parquet with a timestamp[ns, UTC] and float64 columns, or text ones; see `formats.parquet` for the metadata."""

    def __init__(self, path: Path, shape: Shape, exact: bool) -> None:
        self._arrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
        self._shape, self._exact = shape, exact
        number = self._arrow.string() if exact else self._arrow.float64()
        fields = [("time", self._arrow.timestamp("ns", "UTC")), *((name, number) for name in shape.columns)]
        self._schema = self._arrow.schema(fields)
        self._writer = parquet.ParquetWriter(path, self._schema, compression="zstd")
        self._decimals = tuple(_Decimals() for _ in shape.columns)
        self._waiting: list[Rows] = []

    def write(self, rows: Rows) -> None:
        """Append rows.

        Raises:
            FloatsLoseDigits: a number doesn't survive being a float.
        """
        if not self._exact and not all(map(survives_floats, rows.mantissa, rows.digits)):
            raise FloatsLoseDigits
        for seen, mantissa, digits in zip(self._decimals, rows.mantissa, rows.digits, strict=True):
            seen.see(mantissa, digits)
        self._waiting.append(rows)
        if sum(map(len, self._waiting)) >= _ROW_GROUP:
            self._flush()

    def close(self) -> None:
        """Write the last row group and the metadata."""
        self._flush()
        digits = {n: d.most for n, d in zip(self._shape.columns, self._decimals, strict=True) if d.trailing_zero}
        said = {"instrument": self._shape.instrument, "time_digits": self._shape.time_digits, "digits": digits}
        self._writer.add_key_value_metadata({METADATA_KEY: json.dumps(said).encode()})
        self._writer.close()

    def _flush(self) -> None:
        if not self._waiting:
            return
        time = np.concatenate([rows.time for rows in self._waiting])
        columns: list[Any] = [self._arrow.array(time, self._schema.field("time").type)]
        for place in range(len(self._shape.columns)):
            mantissa = np.concatenate([rows.mantissa[place] for rows in self._waiting])
            digits = np.concatenate([rows.digits[place] for rows in self._waiting])
            if self._exact:
                columns.append([number_text(int(m), int(d)) for m, d in zip(mantissa, digits, strict=True)])
            else:
                columns.append(to_floats(mantissa, digits))
        self._writer.write_table(self._arrow.table(columns, schema=self._schema))
        self._waiting = []


Write = Callable[[RowWriter], None]


def write_file(path: Path, shape: Shape, write: Write) -> None:
    """Let `write` fill the file at `path`, in the format of its ending; it appears whole or not at all.

    `write` is called a second time, from the start, where a Parquet file turns out to need text columns.

    Raises:
        BadInput, StorageFault: as `ending_of` and `complete_or_nothing`, and what `write` raises.
    """
    ending = ending_of(path)
    with complete_or_nothing(path) as part:
        try:
            with row_writer(part, ending, shape) as writer:
                write(writer)
        except FloatsLoseDigits:
            with row_writer(part, ending, shape, exact=True) as writer:
                write(writer)
