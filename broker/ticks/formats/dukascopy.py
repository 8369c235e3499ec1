"""Dukascopy: hourly .bi5 files, and two layouts of CSV, with the ask before the bid.

A .bi5 is LZMA of 20-byte big-endian rows: u4 ms in the hour, u4 ask, u4 bid (points), f4 ask size, f4 bid size.
"""

import lzma
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from broker.errors import BadInput
from broker.ticks.clocks import DOTTED, MILLIS, MILLISECOND, RFC3339, UTC_ZONE
from broker.ticks.formats.head import Head
from broker.ticks.lines import TIME, Layout
from broker.ticks.naming import bi5_name, settle_instrument, settle_zone
from broker.ticks.numbers import from_floats
from broker.ticks.options import ReadOptions
from broker.ticks.packing import Packed
from broker.ticks.rows import QUOTE_COLUMNS, SIZE_COLUMNS, BadLines, Rows, Source, sliced
from broker.types import HOUR, Instrument

_RECORD = np.dtype([("ms", ">u4"), ("ask", ">u4"), ("bid", ">u4"), ("ask_size", ">f4"), ("bid_size", ">f4")])
_THREE_DECIMALS = ("JPY", "HUF", "RUB")
_EXPORT = ["gmt time", "ask", "bid", "askvolume", "bidvolume"]
_NODE = ["timestamp", "askprice", "bidprice", "askvolume", "bidvolume"]
_WITH_SIZES = (TIME, 1, 0, 3, 2)


def recognise(head: Head) -> Source | None:
    """A source if the first line is one of the two CSV headers."""
    names = head.names
    if names == _EXPORT:
        layout = Layout(QUOTE_COLUMNS + SIZE_COLUMNS, _WITH_SIZES, DOTTED, 1, zone=settle_zone(head.options, UTC_ZONE))
    elif names in (_NODE, _NODE[:3]):
        columns = (QUOTE_COLUMNS + SIZE_COLUMNS)[: len(names) - 1]
        clock = RFC3339 if "-" in head.second.partition(",")[0] else MILLIS
        layout = Layout(columns, _WITH_SIZES[: len(names)], clock, 1)
    else:
        return None
    return head.source("dukascopy-csv", layout, head.name_pair)


def bi5_source(packed: Packed, options: ReadOptions) -> Source:
    """A .bi5 as a source; one of 0 bytes holds 0 ticks.

    Raises:
        BadInput: its name and the options tell too little.
    """
    if packed.path.stat().st_size == 0:  # no tick, so its hour may be any
        options = replace(options, date="1970-01-01T00")
    said, hour = bi5_name(packed.path, options)
    instrument = settle_instrument(packed.path, said, options)
    return Source(
        path=str(packed.path),
        format="bi5",
        columns=QUOTE_COLUMNS + SIZE_COLUMNS,
        instrument=instrument,
        read=_Bi5(packed, hour - settle_zone(options, UTC_ZONE).offset, instrument).read,
        time_digits=3,
        may_be_empty=True,
    )


def count_records(body: bytes) -> int:
    """How many ticks a .bi5 holds; none where it is empty.

    Raises:
        ValueError: it is cut off, or none at all.
    """
    if not body:
        return 0
    try:
        data = lzma.decompress(body)
    except (lzma.LZMAError, EOFError) as error:
        raise ValueError(f"can't be unpacked: {error}") from error
    count, rest = divmod(len(data), _RECORD.itemsize)
    if rest or (np.frombuffer(data, _RECORD, count)["ms"] >= HOUR // MILLISECOND).any():
        raise ValueError("its records are not those of an hour")
    return count


@dataclass(frozen=True, slots=True)
class _Bi5:
    packed: Packed
    hour: int
    instrument: Instrument

    @property
    def decimals(self) -> int:
        """Decimals of Dukascopy's points: 3 for yen, forint, rouble and metals, else 5."""
        few = self.instrument.quote in _THREE_DECIMALS or self.instrument.base.startswith("X")
        return 3 if few else 5

    def read(self, bad: BadLines, batch: int) -> Iterator[Rows]:
        """The file's rows; a record beyond the hour is a broken line."""
        rest, first = b"", 1
        if self.packed.path.stat().st_size == 0:
            return
        for block in self.packed.blocks():
            data = rest + block
            whole = len(data) // _RECORD.itemsize
            rest = data[whole * _RECORD.itemsize :]
            if whole:
                yield from sliced(iter((self._rows(np.frombuffer(data, _RECORD, whole), first, bad),)), batch)
            first += whole
        if rest:
            raise BadInput(f"ends within record {first}", where=f"{self.packed.path}:{first}", mend="fetch it again")

    def _rows(self, records: np.ndarray, first: int, bad: BadLines) -> Rows:
        count = len(records)
        outside = records["ms"] >= HOUR // MILLISECOND
        for place in np.flatnonzero(outside):
            bad.broken(first + int(place), f"{records['ms'][place]} ms is not within the hour")
        mantissa, digits = np.empty((4, count), np.int64), np.empty((4, count), np.uint8)
        mantissa[0], mantissa[1], digits[:2] = records["bid"], records["ask"], self.decimals
        for column, name in enumerate(SIZE_COLUMNS, start=2):
            try:
                mantissa[column], digits[column] = from_floats(records[name].astype(np.float32))
            except ValueError as error:
                raise BadInput(f"corrupt sizes: {error}", where=f"{self.packed.path}:{first}") from error
        time = self.hour + records["ms"].astype(np.int64) * MILLISECOND
        rows = Rows(time, np.arange(first, first + count), mantissa, digits)
        return rows.take(~outside) if outside.any() else rows
