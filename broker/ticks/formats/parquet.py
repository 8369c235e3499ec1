"""Parquet of the same columns as our CSV, row group by row group; pyarrow is loaded only when one is read.

Floats are taken as the shortest decimals that round to them. Files that `convert` wrote also say, under METADATA_KEY,
the instrument and how many decimals each column had as text.
"""

import importlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from broker.errors import BadInput
from broker.ticks.clocks import RFC3339, UTC_ZONE, Zone, parse_time
from broker.ticks.formats.canonical import shape_of
from broker.ticks.naming import pair_in, settle_instrument, settle_zone
from broker.ticks.numbers import MAX_DIGITS, POWERS, Digits, from_floats, parse_number
from broker.ticks.options import ReadOptions
from broker.ticks.rows import BadLines, Rows, Source
from broker.types import Int64s

METADATA_KEY = b"micro_trader"
MAGIC = b"PAR1"
_UNIT_DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}
_READ_AHEAD = 1 << 20  # bytes, so that a large row group isn't read whole


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The file, with everything that pyarrow raises on a faulty one turned into BadInput."""
    arrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    faults = (arrow.ArrowException, OSError, ValueError, KeyError, TypeError, OverflowError, MemoryError)
    try:
        with parquet.ParquetFile(path, buffer_size=_READ_AHEAD, pre_buffer=False) as file:
            yield file
    except faults as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInput(f"the Parquet data is cut short or corrupt ({reason})", where=str(path)) from error


def parquet_source(path: Path, options: ReadOptions) -> Source:
    """A Parquet file as a source.

    Raises:
        BadInput: corrupt, wrong columns or types, no instrument.
    """
    with _opened(path) as file:
        schema = file.schema_arrow
        names = [name for name in schema.names if not name.startswith("__index_level_")]
        columns = shape_of(names, str(path))
        kind = schema.field("time").type
        said = _metadata(file.metadata.metadata)
    if not hasattr(kind, "unit") and str(kind) not in ("string", "large_string"):
        raise BadInput(f"the time column holds {kind}", where=str(path), mend="make it a timestamp or RFC 3339 text")
    naive = getattr(kind, "tz", "UTC") is None
    return Source(
        path=str(path),
        format="parquet",
        columns=columns,
        instrument=settle_instrument(path, said.get("instrument") or pair_in(path.name), options),
        read=_Parquet(
            path, columns, said.get("digits", {}), settle_zone(options, UTC_ZONE) if naive else UTC_ZONE
        ).read,
        time_digits=said.get("time_digits", _UNIT_DIGITS.get(getattr(kind, "unit", ""), 9)),
    )


def _metadata(footer: dict[bytes, bytes] | None) -> dict[str, Any]:
    said = json.loads((footer or {}).get(METADATA_KEY, b"{}"))
    digits = said.get("digits", {}) if isinstance(said, dict) else None
    if not isinstance(digits, dict) or not all(isinstance(d, int) and 0 <= d <= MAX_DIGITS for d in digits.values()):
        raise ValueError("metadata of micro_trader is not understood")
    if not isinstance(said.get("instrument", ""), str) or said.get("time_digits", 9) not in range(10):
        raise ValueError("metadata of micro_trader is not understood")
    return dict(said)


@dataclass(frozen=True, slots=True)
class _Parquet:
    path: Path
    columns: tuple[str, ...]
    decimals: dict[str, int]
    zone: Zone

    def read(self, bad: BadLines, batch: int) -> Iterator[Rows]:
        """The file's rows; one with a null or text that is no number is a broken line."""
        first = 1
        with _opened(self.path) as file:
            for table in file.iter_batches(batch, columns=["time", *self.columns], use_threads=False):
                yield from self._rows(table, first, bad)
                first += table.num_rows

    def _rows(self, table: Any, first: int, bad: BadLines) -> Iterator[Rows]:
        count = table.num_rows
        good = np.ones(count, np.bool_)
        time = _times(table.column("time"), first, bad, good)
        mantissa, digits = (
            np.zeros((len(self.columns), count), np.int64),
            np.zeros((len(self.columns), count), np.uint8),
        )
        for place, name in enumerate(self.columns):
            mantissa[place], digits[place] = _numbers(table.column(name), first, bad, good)
            if name in self.decimals:
                _pad(mantissa[place], digits[place], self.decimals[name])
        rows = Rows(self.zone.to_utc(time), np.arange(first, first + count), mantissa, digits)
        if not good.all():
            rows = rows.take(good)
        if len(rows):
            yield rows


def _times(column: Any, first: int, bad: BadLines, good: np.ndarray) -> Int64s:
    arrow = importlib.import_module("pyarrow")
    if hasattr(column.type, "unit"):
        _refuse_nulls(column, first, bad, good)
        stamps = column.cast(arrow.timestamp("ns", column.type.tz)).cast(arrow.int64()).fill_null(0)
        return np.asarray(stamps.to_numpy(zero_copy_only=False), np.int64)
    return np.array(
        [_text(text, first + i, bad, good, i, _rfc3339)[0] for i, text in enumerate(column.to_pylist())], np.int64
    )


def _numbers(column: Any, first: int, bad: BadLines, good: np.ndarray) -> tuple[Int64s, Digits]:
    arrow = importlib.import_module("pyarrow")
    if arrow.types.is_float32(column.type) or arrow.types.is_float64(column.type):
        _refuse_nulls(column, first, bad, good)
        return from_floats(column.fill_null(0.0).to_numpy(zero_copy_only=False))
    texts = column.cast(arrow.string()).to_pylist()
    pairs = [_text(text, first + i, bad, good, i, parse_number) for i, text in enumerate(texts)]
    return np.array([pair[0] for pair in pairs], np.int64), np.array([pair[1] for pair in pairs], np.uint8)


def _rfc3339(text: str) -> tuple[int, int]:
    return parse_time(text, RFC3339), 0


def _text(text: str | None, line: int, bad: BadLines, good: np.ndarray, place: int, parse: Any) -> tuple[int, int]:
    """What `parse` makes of a text; a row that was good before and isn't now goes to `bad`, once."""
    try:
        return parse(text or "")  # type: ignore[no-any-return]
    except ValueError as error:
        if good[place]:
            good[place] = False
            bad.broken(line, str(error))
        return 0, 0


def _refuse_nulls(column: Any, first: int, bad: BadLines, good: np.ndarray) -> None:
    if column.null_count:
        for place in np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False) & good):
            good[place] = False
            bad.broken(first + int(place), "an empty field")


def _pad(mantissa: Int64s, digits: Digits, decimals: int) -> None:
    """Write numbers `[n]` with at least so many decimals, where they fit."""
    short = (digits < decimals) & (np.abs(mantissa) < POWERS[MAX_DIGITS - decimals])
    mantissa[short] *= POWERS[decimals - digits[short]]
    digits[short] = decimals
