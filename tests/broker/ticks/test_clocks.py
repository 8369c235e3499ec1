"""Time fields and time zones."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import BadInput
from broker.ticks import clocks
from broker.ticks.clocks import parse_date, parse_time, parse_zone, scan_time

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(1700, 1, 2), datetime(2261, 12, 30))
NO_LIMIT = 9_000_000_000_000


def naive(moment: datetime, nanoseconds: int) -> int:
    """Reference: by datetime."""
    return (moment.replace(tzinfo=UTC, microsecond=0) - EPOCH) // timedelta(seconds=1) * 10**9 + nanoseconds


def scanned(text: str, kind: int) -> tuple[int, int]:
    """The compiled reader on the first field of a line."""
    return scan_time(
        np.frombuffer(text.encode() + b",1.23456,1.23457\n", np.uint8), 0, len(text) + 17, kind, 0, NO_LIMIT
    )


@given(MOMENTS, st.integers(0, 10**9 - 1), st.integers(1, 9))
def test_every_kind_of_time_is_read_exactly(moment: datetime, nanoseconds: int, decimals: int) -> None:
    """Strict and compiled reader agree with datetime, to the last nanosecond."""
    part = f"{nanoseconds:09d}"[:decimals]
    value = int(part.ljust(9, "0"))
    year = f"{moment.year:04d}"
    cases = {
        clocks.RFC3339: (f"{year}{moment:-%m-%dT%H:%M:%S}.{part}Z", value),
        clocks.COMPACT: (f"{year}{moment:%m%d %H:%M:%S}.{part}", value),
        clocks.DENSE: (f"{year}{moment:%m%d %H%M%S}{part[:3].ljust(3, '0')}", int(part[:3].ljust(3, "0")) * 10**6),
        clocks.DOTTED: (f"{moment:%d.%m.}{year}{moment: %H:%M:%S}.{part}", value),
    }
    for kind, (text, fraction) in cases.items():
        assert parse_time(text, kind) == naive(moment, fraction)
        assert scanned(text, kind) == (naive(moment, fraction), len(text))
    minute = moment.replace(second=0)
    assert scanned(f"{year}{moment:%m%d %H:%M}", clocks.MINUTES) == (naive(minute, 0), 14)
    assert parse_time(f"{year}{moment:-%m-%dT%H:%M:%S}", clocks.LOCAL) == naive(moment, 0)


@given(MOMENTS, st.integers(-14 * 60, 14 * 60))
def test_an_offset_is_taken_off(moment: datetime, minutes: int) -> None:
    """RFC 3339 times may say any offset; all become UTC."""
    zone = timezone(timedelta(minutes=minutes))
    assert (
        parse_time(moment.replace(tzinfo=zone, microsecond=0).isoformat(), clocks.RFC3339)
        == naive(moment, 0) - minutes * 60 * 10**9
    )


@given(
    st.sampled_from(
        ["2014-05-01T00:00:00.292Z", "20130101 00:00:00.123", "20130101 000000123", "01.02.2013 00:00:00.1"]
    ),
    st.integers(0, 20),
    st.characters(min_codepoint=32, max_codepoint=126, exclude_characters=","),
    st.sampled_from([0, 1, 2, 3, 5]),
)
def test_the_compiled_reader_takes_nothing_that_the_strict_one_refuses(text: str, at: int, to: str, kind: int) -> None:
    """Where the fast path accepts a time, the strict parser gives the same."""
    changed = text[:at] + to + text[at + 1 :]
    time, end = scanned(changed, kind)
    if end >= 0:
        assert parse_time(changed, kind) == time


@pytest.mark.parametrize(
    "text",
    [
        "2013-02-29T00:00:00Z", "2013-13-01T00:00:00Z", "2013-04-31T00:00:00Z", "2013-01-01T24:00:00Z",
        "2013-01-01T00:60:00Z", "2016-12-31T23:59:60Z", "2013-01-01T00:00:00", "0001-01-01T00:00:00Z",
        "2300-01-01T00:00:00Z", "2013-01-01T00:00:00.1234567891Z", "2013-01-01T00:00:00.Z", "2013-1-1T00:00:00Z", "",
    ],
)  # fmt: skip
def test_no_such_time(text: str) -> None:
    """Leap seconds, impossible dates, missing zones and times beyond int64 are refused by both readers."""
    assert scanned(text, clocks.RFC3339)[1] < 0
    with pytest.raises(ValueError, match="time"):
        parse_time(text, clocks.RFC3339)


@given(st.integers(0, 8 * 10**12), st.integers(0, 10**6 - 1))
def test_milliseconds_may_have_a_fraction(whole: int, fraction: int) -> None:
    """Lean's ms since midnight and Dukascopy's ms since the epoch."""
    assert parse_time(f"{whole}.{fraction:06d}", clocks.MILLIS) == whole * 10**6 + fraction
    assert scanned(str(whole), clocks.MILLIS) == (whole * 10**6, len(str(whole)))


@pytest.mark.parametrize("name", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
def test_a_named_zone_knows_daylight_saving(name: str) -> None:
    """A broker's clock with daylight saving becomes UTC as zoneinfo says."""
    hours = [datetime(2014, 1, 1) + timedelta(hours=7 * i) for i in range(1250)]
    local = np.array([naive(hour, 0) for hour in hours], np.int64)
    expected = [naive(hour.replace(tzinfo=ZoneInfo(name)).astimezone(UTC), 0) for hour in hours]
    assert parse_zone(name).to_utc(local).tolist() == expected


@pytest.mark.parametrize(("text", "hours"), [("UTC", 0), ("UTC-5", -5), ("EST", -5), ("+02:00", 2), ("gmt+0530", 5.5)])
def test_fixed_zones(text: str, hours: float) -> None:
    """An offset is east of UTC."""
    assert parse_zone(text).offset == hours * 3600 * 10**9


@pytest.mark.parametrize("text", ["", "Mars/Olympus", "../etc/passwd", "UTC-99", "/etc/localtime"])
def test_an_unknown_zone_is_refused(text: str) -> None:
    """A mistyped zone never means UTC."""
    with pytest.raises(BadInput, match="--tz"):
        parse_zone(text)


def test_a_date_may_say_the_hour() -> None:
    """`--date` for files of times of day."""
    assert parse_date("2012-12-03") == (naive(datetime(2012, 12, 3), 0), False)
    assert parse_date("2012-12-03T12") == (naive(datetime(2012, 12, 3, 12), 0), True)
    for text in ("2012-02-30", "yesterday", "2012-12-03T25", ""):
        with pytest.raises(BadInput, match="--date"):
            parse_date(text)
