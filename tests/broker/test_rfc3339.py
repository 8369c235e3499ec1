"""Times as text: exact to the nanosecond, and always in the one promised shape."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.rfc3339 import parse_rfc3339, rfc3339

TIMES = st.integers(min_value=-(2**62), max_value=2**63 - 1)


@given(TIMES)
def test_a_time_survives_its_text(time: int) -> None:
    """Every int64 time of 1824 or later comes back to the nanosecond."""
    assert parse_rfc3339(rfc3339(time)) == time


@given(TIMES)
def test_the_text_has_nine_decimals_and_z(time: int) -> None:
    """The calendar part is the standard library's; nine decimals and Z follow, always."""
    second, nanosecond = divmod(time, 10**9)
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
    assert rfc3339(time) == moment.strftime("%Y-%m-%dT%H:%M:%S") + f".{nanosecond:09d}Z"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:01Z", 10**9),
        ("1970-01-01T01:00:00.000000001+01:00", 1),
        ("1970-01-01 00:00:00.5z", 5 * 10**8),
        ("1969-12-31T23:59:59.999999999Z", -1),
    ],
)
def test_other_spellings_of_the_standard_are_read(text: str, expected: int) -> None:
    """Offsets, short fractions and a space for the T are RFC 3339 too."""
    assert parse_rfc3339(text) == expected


@pytest.mark.parametrize(
    "text", ["", "2014-05-01", "2014-05-01T00:00:00", "2014-13-01T00:00:00Z", "noon", "1398902400"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    """A time without a zone, or no time at all, is never guessed at."""
    with pytest.raises(ValueError, match=r"RFC 3339|month"):
        parse_rfc3339(text)
