"""Experience in and out: Parquet, one row a step, and other stores."""

import os
import sqlite3
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from broker.errors import BadInput, StorageFault
from broker.types import Float64s
from training.experience import Segment
from training.store_insert import insert
from training.store_rows import SEGMENT_COLUMNS, STEP_COLUMNS, Damaged, rows_of, segment_of
from training.store_scan import read_segment, segment_ids
from training.store_schema import connect, sync_file

_ROW_GROUP = 500
"""Segments in a row group; none lies in two."""

_INTEGER, _REAL, _TEXT, _BLOB = pa.int64(), pa.float64(), pa.string(), pa.binary()
_TYPES = {
    **dict.fromkeys(("pips", "reward", "session_expectancy", "dd_sum"), _REAL),
    **dict.fromkeys(("half", "instrument", "feature_set", "session", "pnl", "currency", "model", "exit_reason"), _TEXT),
    **dict.fromkeys(("sigma", "spread", "change", "deviation", "value", "open_pips", "td_error", "score"), _REAL),
    **dict.fromkeys(("search", "features"), _BLOB),
}
_COLUMNS = (
    "run",
    *(f"segment_{name}" for name in SEGMENT_COLUMNS),
    "segment_checksum",
    "model",
    *STEP_COLUMNS,
    "td_error",
    "score",
)
_SCHEMA = pa.schema(
    [(name, _TEXT if name == "run" else _TYPES.get(name.removeprefix("segment_"), _INTEGER)) for name in _COLUMNS]
)
_STEP_AT = 2 + len(SEGMENT_COLUMNS)


def export_parquet(db: sqlite3.Connection, target: Path) -> dict[str, Any]:
    """Write all readable segments to a Parquet file: one row a step, with its segment's values beside.

    Returns:
        `segments`, `steps`, `damaged` (ids left out).

    Raises:
        StorageFault: the disk failed; then there is no file.
    """
    aside = target.with_name(f".{target.name}.part")
    segments = steps = 0
    damaged: list[int] = []
    try:
        with pq.ParquetWriter(aside, _SCHEMA, compression="zstd") as writer:
            for block in _blocks(_readable(db, damaged)):
                segments += len(block)
                rows = [row for segment, opinions in block for row in _flat(segment, opinions)]
                steps += len(rows)
                columns = zip(*rows, strict=True)
                arrays = [pa.array(column, kind.type) for column, kind in zip(columns, _SCHEMA, strict=True)]
                writer.write_table(pa.Table.from_arrays(arrays, schema=_SCHEMA), row_group_size=len(rows))
        sync_file(aside)
        os.replace(aside, target)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise StorageFault(f"can't export: {error}", where=str(target)) from error
    return {"segments": segments, "steps": steps, "damaged": damaged}


def import_file(db: sqlite3.Connection, source: Path) -> dict[str, Any]:
    """Take in what a Parquet file or another store holds and this store doesn't, with its TD errors.

    Returns:
        `segments` taken in, `known` (stored before), `damaged` (left out).

    Raises:
        BadInput: the file is neither.
        StorageFault: the disk failed; what came before is stored.
    """
    damaged: list[int] = []
    counts = {True: 0, False: 0}
    try:
        with source.open("rb") as file:
            parquet = file.read(4) == b"PAR1"
        found = _from_parquet(source, damaged) if parquet else _from_store(source, damaged)
        for segment, errors in found:
            counts[insert(db, segment, errors)] += 1
    except (OSError, pa.ArrowInvalid, KeyError) as error:
        raise BadInput(f"can't be read: {error}", where=str(source), mend="give a Parquet export or a store") from error
    except sqlite3.Error as error:
        raise StorageFault(f"can't write experience: {error}") from error
    return {"segments": counts[True], "known": counts[False], "damaged": len(damaged)}


Opinions = list[tuple[float, float]]


def _readable(db: sqlite3.Connection, damaged: list[int]) -> Iterator[tuple[Segment, Opinions]]:
    for key in segment_ids(db):
        try:
            segment = read_segment(db, key)
        except KeyError:
            continue  # evicted meanwhile
        except Damaged:
            damaged.append(key)
            continue
        opinions = db.execute(
            "SELECT td_error, score FROM score JOIN segment ON step BETWEEN first_step AND first_step + steps - 1"
            " WHERE segment.id = ? ORDER BY step",
            (key,),
        ).fetchall()
        if len(opinions) == len(segment.steps):
            yield segment, opinions


def _blocks(found: Iterator[tuple[Segment, Opinions]]) -> Iterator[list[tuple[Segment, Opinions]]]:
    block = []
    for item in found:
        block.append(item)
        if len(block) == _ROW_GROUP:
            yield block
            block = []
    if block:
        yield block


def _flat(segment: Segment, opinions: Opinions) -> Iterator[tuple[Any, ...]]:
    rows = rows_of(segment)
    for model, step, opinion in zip(segment.models, rows.steps, opinions, strict=True):
        values = (_plain(value) for value in step)
        yield (segment.run, *rows.segment, rows.checksum, model, *values, *opinion)


def _plain(value: Any) -> Any:
    """A value as SQLite gives it back: no bool, no NaN."""
    if isinstance(value, float):
        return None if np.isnan(value) else value
    return int(value) if isinstance(value, bool) else value


def _from_parquet(source: Path, damaged: list[int]) -> Iterator[tuple[Segment, Float64s]]:
    file = pq.ParquetFile(source)
    for group in range(file.num_row_groups):
        table = file.read_row_group(group, columns=list(_COLUMNS)).select(list(_COLUMNS))
        rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
        for _, steps in groupby(rows, key=lambda row: row[:2]):
            yield from _regrouped(list(steps), damaged)


def _regrouped(steps: list[tuple[Any, ...]], damaged: list[int]) -> Iterator[tuple[Segment, Float64s]]:
    run, *values = steps[0][: _STEP_AT - 1]
    try:
        segment = segment_of(run, values, steps[0][_STEP_AT - 1], [row[_STEP_AT:-2] for row in steps])
        yield segment, np.array([row[-2] for row in steps], np.float64)
    except Damaged:
        damaged.append(values[0])


def _from_store(source: Path, damaged: list[int]) -> Iterator[tuple[Segment, Float64s]]:
    other = connect(source)
    try:
        for segment, opinions in _readable(other, damaged):
            yield segment, np.array([error for error, _ in opinions], np.float64)
    finally:
        other.close()
