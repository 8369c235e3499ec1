"""Candles of quotes, at OANDA's granularities and alignments.

Up to an hour a candle starts at a multiple of its length. From two hours on the day counts: it starts at
`dailyAlignment` o'clock in `alignmentTimezone` (so a day has 23 or 25 hours when the clocks change), a week starts with
the day at `weeklyAlignment`, a month with the trading day of its first: where a day starts in the afternoon, on the
evening before.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from broker.calendar import NEW_YORK
from broker.emulator.history import Shown
from broker.rfc3339 import rfc3339
from broker.types import DAY, HOUR, MINUTE, SECOND, Float64s, Int64s

_LENGTHS = {
    **{f"S{n}": n * SECOND for n in (5, 10, 15, 30)},
    **{f"M{n}": n * MINUTE for n in (1, 2, 4, 5, 10, 15, 30)},
    **{f"H{n}": n * HOUR for n in (1, 2, 3, 4, 6, 8, 12)},
    "D": DAY,
}
GRANULARITIES = (*_LENGTHS, "W", "M")
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_NOON = 12
_FIRST_LOOK = 4096
_SIDES = {"B": "bid", "M": "mid", "A": "ask"}


@dataclass(frozen=True, slots=True)
class Alignment:
    """Where candles begin.

    Attributes:
        granularity: one of GRANULARITIES.
        hour, zone: when and where a day starts.
        weekday: with which a week starts; Monday is 0.
    """

    granularity: str
    hour: int = 17
    zone: ZoneInfo = NEW_YORK
    weekday: int = 4


def boundaries(alignment: Alignment, first: int, last: int) -> Int64s:
    """Starts of all candles that hold a time from `first` to `last` (ns), and the start that follows: `[k]` int64."""
    length = _LENGTHS.get(alignment.granularity)
    if length is not None and length <= HOUR:
        start = first - first % length
        return np.arange(start, last + length + 1, length, dtype=np.int64)
    starts = list(_starts(alignment, length, first, last))
    begin = max(place for place, start in enumerate(starts) if start <= first)
    return np.array(starts[begin:], np.int64)


def _starts(alignment: Alignment, length: int | None, first: int, last: int) -> Iterator[int]:
    """Starts from one at or before `first` to the first one after `last`."""
    day = date(1970, 1, 1) + timedelta(days=first // DAY - (33 if length is None else 2))
    if length is None:
        for start in _long_starts(alignment, day):
            yield start
            if start > last:
                return
    while True:
        start, end = _day_start(alignment, day), _day_start(alignment, day + timedelta(days=1))
        assert length is not None
        for step in range(start, end, length):
            yield step
            if step > last:
                return
        day += timedelta(days=1)


def _long_starts(alignment: Alignment, day: date) -> Iterator[int]:
    """Starts of weeks or months from `day` on."""
    evening = timedelta(days=1 if alignment.hour >= _NOON else 0)
    while True:
        if alignment.granularity == "W" and day.weekday() == alignment.weekday:
            yield _day_start(alignment, day)
        if alignment.granularity == "M" and day.day == 1:
            yield _day_start(alignment, day - evening)
        day += timedelta(days=1)


def _day_start(alignment: Alignment, day: date) -> int:
    local = datetime(day.year, day.month, day.day, alignment.hour, tzinfo=alignment.zone)
    return int(local.timestamp()) * SECOND


def span(shown: Shown, alignment: Alignment, count: int, begin: int, end: int, newest: bool) -> slice:
    """The quotes of the first (or `newest`) `count` candles among those from index `begin` up to `end`."""
    size = _FIRST_LOOK
    while begin < end:
        low, high = (max(begin, end - size), end) if newest else (begin, min(end, begin + size))
        starts = boundaries(alignment, int(shown.time[low]), int(shown.time[high - 1]))
        place = np.searchsorted(starts, shown.time[low:high], side="right") - 1
        used = np.unique(place)
        if len(used) > count:
            if newest:
                return slice(low + int(np.searchsorted(place, used[-count], side="left")), high)
            return slice(low, low + int(np.searchsorted(place, used[count], side="left")))
        if high - low == end - begin:
            break
        size *= 4
    return slice(begin, end)


def candles(
    shown: Shown, alignment: Alignment, precision: int, now: int, sides: str = "M", smooth: bool = False
) -> list[dict[str, Any]]:
    """Candlesticks of the quotes given; one is complete once its end is not in the future.

    Args:
        sides: any of B, M and A.
        smooth: a candle opens where the one before closed.
    """
    if not len(shown.time):
        return []
    starts = boundaries(alignment, int(shown.time[0]), max(int(shown.time[-1]), now))
    place = np.searchsorted(starts, shown.time, side="right") - 1
    first = np.flatnonzero(np.diff(place, prepend=-1))
    found: list[dict[str, Any]] = []
    volume = np.diff(first, append=len(place))
    for begin, size in zip(first.tolist(), volume.tolist(), strict=True):
        start, end = int(starts[place[begin]]), int(starts[place[begin] + 1])
        found.append({"complete": end <= now, "volume": size, "time": rfc3339(start)})
    scale = 10.0**precision
    for letter in _SIDES:
        if letter in sides:
            _put(found, _SIDES[letter], _prices(shown, letter) / scale, first, precision, smooth)
    return found


def _prices(shown: Shown, letter: str) -> Float64s:
    """Points; a mid of half a point rounds up."""
    if letter == "M":
        return ((shown.bid + shown.ask + 1) // 2).astype(np.float64)
    return (shown.bid if letter == "B" else shown.ask).astype(np.float64)


def _put(found: list[dict[str, Any]], name: str, prices: Float64s, first: Int64s, precision: int, smooth: bool) -> None:
    last = np.append(first[1:], len(prices)) - 1
    opens, closes = prices[first], prices[last]
    high, low = np.maximum.reduceat(prices, first), np.minimum.reduceat(prices, first)
    if smooth:
        opens = np.append(opens[:1], closes[:-1])
        high, low = np.maximum(high, opens), np.minimum(low, opens)
    for candle, row in zip(found, zip(opens, high, low, closes, strict=True), strict=True):
        candle[name] = {key: f"{value:.{precision}f}" for key, value in zip("ohlc", row, strict=True)}
