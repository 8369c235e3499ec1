"""What a tick file holds, counted over its raw rows as recorded (interface: `ticks info`)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from broker.rfc3339 import rfc3339
from broker.ticks.file import TickFile, open_ticks
from broker.ticks.numbers import INFINITE, MAX_DIGITS, NAN, POINTS_INFINITE, POINTS_MINUS_INFINITE, POWERS, Digits
from broker.ticks.options import ReadOptions
from broker.types import MINUTE, Int64s, Quotes

QUIET = 5 * MINUTE
_TICKS, _GAPS, _CROSSED, _ZERO, _BACK, _SAME, _TWICE, _INVALID = range(8)
_FIGURES = ("ticks", "gaps", "crossed", "zero_spread", "out_of_order", "same_time", "duplicates", "invalid")
_OVER, _UNDER = (1 << 62), -(1 << 62)  # the whole part of an infinite price; below -1 also NaN's, which no compare uses


@njit(cache=True, nogil=True, error_model="numpy")
def _parts(mantissa: Int64s, digits: Digits) -> tuple[Int64s, Int64s]:
    """Whole part and fraction (in 10**-18) of each number `[n]`: comparable whatever the digits."""
    whole, fraction = np.empty(len(mantissa), np.int64), np.zeros(len(mantissa), np.int64)
    for i in range(len(mantissa)):
        if digits[i] > MAX_DIGITS:
            whole[i] = _OVER if digits[i] == INFINITE else _UNDER
            fraction[i] = 1 if digits[i] == NAN else 0
        else:
            unit = POWERS[digits[i]]
            whole[i] = mantissa[i] // unit
            fraction[i] = (mantissa[i] - whole[i] * unit) * POWERS[MAX_DIGITS - digits[i]]
    return whole, fraction


@njit(cache=True, nogil=True, error_model="numpy")
def _count(counts, last, time, bid, bid_part, ask, ask_part):  # type: ignore[no-untyped-def]
    """Add quotes `[n]` to the counts; `last` is the quote before: seen, time, bid, its fraction, ask, its fraction."""
    for i in range(len(time)):
        bid_nan, ask_nan = bid[i] == _UNDER and bid_part[i] == 1, ask[i] == _UNDER and ask_part[i] == 1
        known = not (bid_nan or ask_nan)
        counts[_TICKS] += 1
        if known and (bid[i] > ask[i] or (bid[i] == ask[i] and bid_part[i] > ask_part[i])):
            counts[_CROSSED] += 1
        if known and bid[i] == ask[i] and bid_part[i] == ask_part[i]:
            counts[_ZERO] += 1
        bid_good = bid[i] < _OVER and (bid[i] > 0 or (bid[i] == 0 and bid_part[i] > 0))
        ask_good = ask[i] < _OVER and (ask[i] > 0 or (ask[i] == 0 and ask_part[i] > 0))
        if not (bid_good and ask_good):
            counts[_INVALID] += 1
        if last[0]:
            step = time[i] - last[1]
            counts[_GAPS] += step > QUIET
            counts[_BACK] += step < 0
            if step == 0:
                counts[_SAME] += 1
                same_bid = bid[i] == last[2] and bid_part[i] == last[3]
                if known and same_bid and ask[i] == last[4] and ask_part[i] == last[5]:
                    counts[_TWICE] += 1
        last[0], last[1] = 1, time[i]
        last[2], last[3], last[4], last[5] = bid[i], bid_part[i], ask[i], ask_part[i]


@dataclass(slots=True)
class _Census:
    counts: Int64s
    last: Int64s
    first_time: int | None = None

    def add_quotes(self, quotes: Quotes) -> None:
        """Count quotes in points."""
        bid, ask = (_of_points(points) for points in (quotes.bid, quotes.ask))
        self._add(quotes.time, *bid, *ask)

    def add_rows(self, time: Int64s, mantissa: Int64s, digits: Digits) -> None:
        """Count exact quotes, rows 0 and 1 of the numbers."""
        self._add(time, *_parts(mantissa[0], digits[0]), *_parts(mantissa[1], digits[1]))

    def _add(self, time: Int64s, *prices: Int64s) -> None:
        if self.first_time is None:
            self.first_time = int(time[0])
        _count(self.counts, self.last, time, *prices)


def _of_points(points: Int64s) -> tuple[Int64s, Int64s]:
    finite = (points > POINTS_MINUS_INFINITE) & (points < POINTS_INFINITE)
    whole = np.where(finite, points, np.where(points == POINTS_INFINITE, _OVER, _UNDER))
    return whole, (points < POINTS_MINUS_INFINITE).astype(np.int64)


def info(path: str | Path, options: ReadOptions | None = None) -> dict[str, Any]:
    """The file's figures under the names of the interface, and `invalid`, `skipped_lines` and, for bars, `bars`.

    Quotes are compared exactly as written, before any rounding to points. A bar file is counted as the four quotes a
    bar that it replays as; bid-only bars without `spread_pips` have no ask, so nothing in them is crossed or of zero
    spread. `first` and `last` are the times of the first and the last quote in the file's order, None without a quote;
    `invalid` counts quotes with a price that is no positive finite number.

    Raises:
        BadInput: as `open_ticks` and reading do; times out of order are counted, not refused.
    """
    chosen = options or ReadOptions()
    file = open_ticks(path, chosen)
    census = _Census(np.zeros(len(_FIGURES), np.int64), np.zeros(6, np.int64))
    bid_only = file.needs_spread and chosen.spread_pips is None
    if file.source == "bars":
        for quotes in file.quotes(ordered=False, spread=0 if bid_only else None):
            census.add_quotes(quotes)
    else:
        for rows in file.rows():
            census.add_rows(rows.time, rows.mantissa, rows.digits)
    return _document(file, census, bid_only)


def _document(file: TickFile, census: _Census, bid_only: bool) -> dict[str, Any]:
    figures = dict(zip(_FIGURES, census.counts.tolist(), strict=True))
    if bid_only:
        figures["crossed"] = figures["zero_spread"] = 0
    document: dict[str, Any] = {
        "format": file.format,
        "source": file.source,
        "instrument": file.instrument.name,
        "ticks": figures.pop("ticks"),
        "first": None if census.first_time is None else rfc3339(census.first_time),
        "last": None if census.first_time is None else rfc3339(int(census.last[1])),
        **figures,
        "skipped_lines": file.skipped_lines,
    }
    if file.source == "bars":
        document |= {"bars": document["ticks"] // 4, "bar_seconds": file.bar_step / 1e9, "bid_only": file.needs_spread}
    return document
