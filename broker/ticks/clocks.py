"""The ways in which tick files write a time, read exactly to the nanosecond."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
from numba import njit

from broker.errors import BadInput
from broker.types import DAY, HOUR, MINUTE, SECOND, Int64s

# Kinds of time field.
RFC3339 = 0  # 2013-01-01T00:00:00.123456789Z
COMPACT = 1  # 20130101 00:00:00.123
DENSE = 2  # 20130101 000000123
DOTTED = 3  # 01.01.2013 00:00:00.123
MILLIS = 4  # 1356998400123.5: ms since a base
MINUTES = 5  # 20130101 00:00
LOCAL = 6  # 2013-01-01T00:00:00.123456789, of a file whose zone was named

MILLISECOND = 1_000_000
FIRST_YEAR, LAST_YEAR = 1700, 2261  # what int64 ns can hold, in whole years
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATE, _DAY_FIRST = r"(?P<y>\d{4})(?P<m>\d\d)(?P<d>\d\d)", r"(?P<d>\d\d)\.(?P<m>\d\d)\.(?P<y>\d{4})"
_DASHED = r"(?P<y>\d{4})-(?P<m>\d\d)-(?P<d>\d\d)"
_CLOCK, _FRACTION = r"(?P<H>\d\d):(?P<M>\d\d):(?P<S>\d\d)", r"(\.(?P<f>\d+))?"
_PATTERNS = {
    RFC3339: _DASHED + "[Tt ]" + _CLOCK + _FRACTION + r"(?P<z>[Zz]|[+-]\d\d:\d\d)",
    LOCAL: _DASHED + "[Tt ]" + _CLOCK + _FRACTION,
    COMPACT: _DATE + " " + _CLOCK + _FRACTION,
    DENSE: _DATE + r" (?P<H>\d\d)(?P<M>\d\d)(?P<S>\d\d)(?P<f>\d{3})?",
    DOTTED: _DAY_FIRST + " " + _CLOCK + _FRACTION,
    MINUTES: _DATE + r" (?P<H>\d\d):(?P<M>\d\d)",
}
_COMPILED = {kind: re.compile(pattern, re.ASCII) for kind, pattern in _PATTERNS.items()}
_EXAMPLES = {
    RFC3339: "2013-01-31T00:00:00.123456789Z",
    COMPACT: "20130131 00:00:00.123",
    DENSE: "20130131 000000123",
    DOTTED: "31.01.2013 00:00:00.123",
    MINUTES: "20130131 00:00",
    LOCAL: "2013-01-31T00:00:00.123456789",
    MILLIS: "a number of milliseconds",
}
_MILLIS_PATTERN = re.compile(r"\d{1,16}(\.\d{1,20})?", re.ASCII)


def parse_time(text: str, kind: int) -> int:
    """Nanoseconds since the epoch (MILLIS: since its base), before any time zone of the file is taken off.

    >>> parse_time("20130101 000000123", DENSE) - parse_time("2013-01-01T00:00:00Z", RFC3339)
    123000000

    Raises:
        ValueError: no such time, or finer than a nanosecond.
    """
    if kind == MILLIS:
        if not _MILLIS_PATTERN.fullmatch(text):
            raise ValueError(f"the time {text[:40]!r} is not {_EXAMPLES[kind]}")
        time = int((Decimal(text) * MILLISECOND).to_integral_value())
        if time >= 1 << 63:
            raise ValueError(f"the time {text[:40]!r} is beyond the year {LAST_YEAR}")
        return time
    found = _COMPILED[kind].fullmatch(text)
    if found is None and kind == RFC3339 and _COMPILED[LOCAL].fullmatch(text):
        raise ValueError(f"the time {text[:40]!r} lacks its zone: end it with Z, or say --tz")
    if found is None:
        raise ValueError(f"the time {text[:40]!r} is not like {_EXAMPLES[kind]}")
    part = {name: value for name, value in found.groupdict().items() if value is not None}
    fraction = part.get("f", "")
    if fraction[9:].strip("0"):
        raise ValueError(f"the time {text[:40]!r} is finer than a nanosecond")
    try:
        moment = datetime(*(int(part.get(name, 0)) for name in "ymdHMS"), tzinfo=UTC)  # type: ignore[arg-type, misc]
    except ValueError as error:
        raise ValueError(f"no such time as {text[:40]!r}: {error}") from None
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise ValueError(f"the time {text[:40]!r} is outside of the years {FIRST_YEAR} to {LAST_YEAR}")
    offset = 0 if part.get("z", "Z") in "Zz" else _offset(part["z"])
    return (moment - _EPOCH) // timedelta(seconds=1) * SECOND + int(fraction[:9].ljust(9, "0") or "0") - offset


def _offset(text: str) -> int:
    hours, minutes = int(text[1:3]), int(text[4:6])
    if hours > 23 or minutes > 59:
        raise ValueError(f"no such offset as {text!r}")
    return (hours * HOUR + minutes * MINUTE) * (-1 if text[0] == "-" else 1)


@njit(cache=True, nogil=True, error_model="numpy", inline="never")
def _number(buffer, at, count):  # type: ignore[no-untyped-def]
    """Value of exactly `count` ASCII digits, or a negative number."""
    value = np.int64(0)
    for i in range(at, at + count):
        digit = np.int64(buffer[i]) - 48
        if digit < 0 or digit > 9:
            return -(1 << 40)
        value = value * 10 + digit
    return value


@njit(cache=True, nogil=True, error_model="numpy")
def days_of(year: int, month: int, day: int) -> int:
    """Days since the epoch of a date, -2**60 where there is no such date (proleptic Gregorian; Hinnant's algorithm)."""
    if year < FIRST_YEAR or year > LAST_YEAR or month < 1 or month > 12 or day < 1 or day > 31:
        return -(1 << 60)
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if month == 2 and day > (29 if leap else 28):
        return -(1 << 60)
    if day == 31 and (month == 4 or month == 6 or month == 9 or month == 11):
        return -(1 << 60)
    shifted = year - 1 if month <= 2 else year
    era = shifted // 400
    of_era = shifted - era * 400
    of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


@njit(cache=True, nogil=True, error_model="numpy")
def scan_time(buffer, at, end, kind, base, limit):  # type: ignore[no-untyped-def]
    """Read the time at `at` of a line: `(ns, where its field ends)`, or a negative end where the shape is unusual.

    Takes a part of what `parse_time` takes, with the same result; `base` (ns) is added. MILLIS are to be below `limit`.
    """
    if kind == MILLIS:
        value, i = np.int64(0), at
        while i < end and 48 <= buffer[i] <= 57 and i - at < 14:
            value = value * 10 + np.int64(buffer[i]) - 48
            i += 1
        if i == at or value >= limit or i >= end or buffer[i] != 44:
            return np.int64(0), -1
        return base + value * MILLISECOND, i
    if at + 24 > end or kind == LOCAL:
        return np.int64(0), -1
    days, i = _scan_date(buffer, at, kind)
    if i < 0:
        return np.int64(0), -1
    elapsed, i = _scan_clock(buffer, i, end, kind)
    if i < 0 or i >= end or buffer[i] != 44:
        return np.int64(0), -1
    return base + days * DAY + elapsed, i


@njit(cache=True, nogil=True, error_model="numpy")
def _scan_date(buffer, at, kind):  # type: ignore[no-untyped-def]
    """Days since the epoch, and where the time of day begins; negative where it is no date."""
    if kind == RFC3339:
        year, month, day, i = _number(buffer, at, 4), _number(buffer, at + 5, 2), _number(buffer, at + 8, 2), at + 11
        shaped = buffer[at + 4] == 45 and buffer[at + 7] == 45 and buffer[at + 10] == 84
    elif kind == DOTTED:
        day, month, year, i = _number(buffer, at, 2), _number(buffer, at + 3, 2), _number(buffer, at + 6, 4), at + 11
        shaped = buffer[at + 2] == 46 and buffer[at + 5] == 46 and buffer[at + 10] == 32
    else:
        year, month, day, i = _number(buffer, at, 4), _number(buffer, at + 4, 2), _number(buffer, at + 6, 2), at + 9
        shaped = buffer[at + 8] == 32
    days = days_of(year, month, day)
    return days, (i if shaped and days > -(1 << 50) else -1)


@njit(cache=True, nogil=True, error_model="numpy")
def _scan_clock(buffer, i, end, kind):  # type: ignore[no-untyped-def]
    """Nanoseconds since midnight, and where the time ends; negative where it is none."""
    second, fraction = np.int64(0), np.int64(0)
    if kind == DENSE:
        hour, minute, second = _number(buffer, i, 2), _number(buffer, i + 2, 2), _number(buffer, i + 4, 2)
        fraction, i = _number(buffer, i + 6, 3) * MILLISECOND, i + 9
    elif kind == MINUTES:
        hour, minute, i = _number(buffer, i, 2), _number(buffer, i + 3, 2), i + 5
        if buffer[i - 3] != 58:
            return np.int64(0), -1
    else:
        hour, minute, second, i = _number(buffer, i, 2), _number(buffer, i + 3, 2), _number(buffer, i + 6, 2), i + 8
        if buffer[i - 3] != 58 or buffer[i - 6] != 58:
            return np.int64(0), -1
        if buffer[i] == 46:
            start = i + 1
            i = start
            while i < end and 48 <= buffer[i] <= 57 and i - start < 9:
                fraction = fraction * 10 + np.int64(buffer[i]) - 48
                i += 1
            if i == start:
                return np.int64(0), -1
            for _ in range(start + 9 - i):
                fraction *= 10
    if kind == RFC3339:
        if i >= end or buffer[i] != 90:
            return np.int64(0), -1
        i += 1
    if hour < 0 or hour > 23 or minute < 0 or minute > 59 or second < 0 or second > 59 or fraction < 0:
        return np.int64(0), -1
    return ((hour * 60 + minute) * 60 + second) * SECOND + fraction, i


@dataclass(frozen=True, slots=True)
class Zone:
    """The clock that a file's times were read from.

    Attributes:
        offset: ns east of UTC.
        region: a zone with changing offsets instead; in the hour that repeats in autumn the first pass is meant.
    """

    offset: int = 0
    region: ZoneInfo | None = None

    def to_utc(self, times: Int64s) -> Int64s:
        """Times `[n]` in UTC, of times that this clock showed."""
        if self.region is None:
            return times - self.offset if self.offset else times
        quarters, places = np.unique(times // (15 * MINUTE), return_inverse=True)  # offsets change on quarter hours
        return times - np.array([self._offset_at(int(quarter)) for quarter in quarters], np.int64)[places]

    def _offset_at(self, quarter: int) -> int:
        local = (_EPOCH + timedelta(minutes=15) * quarter).replace(tzinfo=self.region)
        return (local.utcoffset() or timedelta()) // timedelta(seconds=1) * SECOND


UTC_ZONE = Zone()
NEW_YORK_WINTER = Zone(-5 * HOUR)  # EST all year: what HistData and Lean's FXCM files keep
_FIXED = re.compile(r"(?:UTC|GMT)?([+-])(\d{1,2})(?::?([0-5]\d))?", re.ASCII | re.IGNORECASE)


def parse_zone(text: str) -> Zone:
    """A zone from `UTC`, `UTC-5`, `+02:00`, `EST` (without daylight saving) or a name such as `Europe/Berlin`.

    >>> parse_zone("UTC-05:00") == NEW_YORK_WINTER
    True

    Raises:
        BadInput: no such zone.
    """
    if text.upper() in ("UTC", "GMT", "Z"):
        return UTC_ZONE
    if text.upper() == "EST":
        return NEW_YORK_WINTER
    found = _FIXED.fullmatch(text)
    if found is not None and int(found[2]) <= 14:
        offset = int(found[2]) * HOUR + int(found[3] or 0) * MINUTE
        return Zone(-offset if found[1] == "-" else offset)
    try:
        return Zone(region=ZoneInfo(text))
    except (OSError, ValueError):
        pass
    except KeyError:  # ZoneInfoNotFoundError
        pass
    raise BadInput(f"unknown time zone {text!r}", where="--tz", mend="give one like UTC, UTC-05:00 or Europe/Berlin")


def parse_date(text: str) -> tuple[int, bool]:
    """`(ns of it in UTC, whether it says the hour)` of a `--date` such as `2012-12-03` or `2012-12-03T12`.

    Raises:
        BadInput: no such date.
    """
    found = re.fullmatch(r"(\d{4})-?(\d\d)-?(\d\d)(?:[T ](\d\d)(?::00(?::00)?)?Z?)?", text, re.ASCII)
    days = days_of(int(found[1]), int(found[2]), int(found[3])) if found else -(1 << 60)
    if found is None or days < -(1 << 50) or int(found[4] or 0) > 23:
        raise BadInput(f"{text!r} is not a date", where="--date", mend="give one like 2012-12-03 or 2012-12-03T12")
    return days * DAY + int(found[4] or 0) * HOUR, found[4] is not None
