"""History for the school: a tick file of any format cut into one file a UTC day, named as recordings are.

The school holds back the latest days of what lies in `ticks/` for validation; a file of a whole year could not be cut.
"""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from broker.errors import BadInput
from broker.rfc3339 import rfc3339
from broker.ticks import ReadOptions, open_ticks
from broker.ticks.rows import Rows
from broker.ticks.writing import RowWriter, Shape, write_file
from broker.types import DAY

ENDING = ".csv.zst"


def split(source: Path, folder: Path, options: ReadOptions, until: int | None = None) -> dict[str, Any]:
    """Write the rows of `source` into `folder`, a file a day, `EUR_USD-2026-01-02.csv.zst`; a day's file is replaced.

    Args:
        until: ns; rows from there on are left out. None: all are written.

    Returns:
        `instrument, rows, days, out`.

    Raises:
        BadInput: as reading does; times fall from one day to one that was written before; no row is left.
        StorageFault: the disk failed; the days written before are whole.
    """
    file = open_ticks(source, options)
    shape = Shape(file.instrument.name, file.columns, file.time_digits)
    written: set[int] = set()
    rows = 0
    folder.mkdir(parents=True, exist_ok=True)
    for day, group in groupby(_by_day(file.rows(), until), key=lambda part: int(part.time[0] // DAY)):
        if day in written:
            what = f"{rfc3339(day * DAY)[:10]} comes twice: its times are out of order"
            raise BadInput(what, where=str(source), mend="sort the file by time first")
        parts = list(group)
        written.add(day)
        rows += sum(map(len, parts))

        def write(writer: RowWriter, parts: list[Rows] = parts) -> None:
            for part in parts:
                writer.write(part)

        write_file(folder / f"{file.instrument.name}-{rfc3339(day * DAY)[:10]}{ENDING}", shape, write)
    if not written:
        raise BadInput("no quotes before that day", where=str(source), mend="give a later --until")
    return {"instrument": file.instrument.name, "rows": rows, "days": len(written), "out": str(folder)}


def _by_day(found: Iterator[Rows], until: int | None) -> Iterator[Rows]:
    """The rows in parts that lie within a day, in file order."""
    for rows in found:
        some = rows if until is None else rows.take(rows.time < until)
        edges = np.flatnonzero(np.diff(some.time // DAY)) + 1
        for first, after in zip([0, *edges], [*edges, len(some)], strict=True):
            if after > first:
                yield some.take(slice(int(first), int(after)))
