"""Copies a tick file into another format without losing a row, a digit or a nanosecond."""

from pathlib import Path
from typing import Any

import numpy as np

from broker.errors import BadInput
from broker.ticks.file import TickFile, open_ticks
from broker.ticks.formats.oanda import messages
from broker.ticks.options import ReadOptions
from broker.ticks.packing import unpack
from broker.ticks.rows import BadLines
from broker.ticks.writing import RowWriter, Shape, complete_or_nothing, ending_of, packed_output, write_file


def convert(source: str | Path, target: str | Path, options: ReadOptions | None = None) -> dict[str, Any]:
    """Write the rows of `source` to `target`, whose ending decides the format: every row as recorded, in file order.

    Crossed quotes, duplicates, NaN and times out of order stay; bars stay bars. A recording of OANDA's stream written
    as JSON lines again keeps its lines unchanged, heartbeats included.

    Returns:
        `format, source, instrument, rows, skipped_lines, out`.

    Raises:
        BadInput: as reading does; the target's ending, folder, or it is the source.
        StorageFault: the disk failed.
    """
    chosen, out = options or ReadOptions(), Path(target)
    ending = ending_of(out)
    file = open_ticks(source, chosen)
    if out.exists() and out.samefile(file.path):
        raise BadInput("would overwrite its own source", where=str(out), mend="choose another name")
    if file.format == "oanda" and ending.startswith(".jsonl"):
        rows, skipped = _copy_recording(file, out, ending, chosen)
    else:
        rows, skipped = _copy_rows(file, out), file.skipped_lines
    return {
        "format": file.format,
        "source": file.source,
        "instrument": file.instrument.name,
        "rows": rows,
        "skipped_lines": skipped,
        "out": str(out),
    }


def _copy_rows(file: TickFile, out: Path) -> int:
    columns, count = file.columns, 0
    if columns[-1] == "ask_volume" and not _any_in_last_column(file):
        columns = columns[:-1]

    def write(writer: RowWriter) -> None:
        nonlocal count
        count = 0
        for rows in file.rows():
            writer.write(rows.only(len(columns)))
            count += len(rows)

    write_file(out, Shape(file.instrument.name, columns, file.time_digits), write)
    return count


def _any_in_last_column(file: TickFile) -> bool:
    """Whether the last column says anything: Lean's sizes of forex are all 0, and our bars have but one volume."""
    return any(bool(np.any(rows.mantissa[-1]) or np.any(rows.digits[-1] > 18)) for rows in file.rows())


def _copy_recording(file: TickFile, out: Path, ending: str, options: ReadOptions) -> tuple[int, int]:
    rows = sum(len(some) for some in file.rows())
    bad = BadLines(str(file.path), options.on_bad_line)
    packed, _ = unpack(file.path)
    with complete_or_nothing(out) as part, packed_output(part, ending) as output:
        for _, line, message in messages(packed, bad):
            if options.instrument is None or message.get("instrument", options.instrument) == options.instrument:
                output.write(line + b"\n")
    return rows, file.skipped_lines
