"""Times as RFC 3339 text, UTC, exact to the nanosecond."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from broker.types import SECOND

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PATTERN = re.compile(r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)


def rfc3339(time: int) -> str:
    """Text of a time in ns since the epoch: nine decimals and Z, always thirty characters.

    >>> rfc3339(1_398_902_400_000_000_001)
    '2014-05-01T00:00:00.000000001Z'
    """
    second, nanosecond = divmod(int(time), SECOND)
    day, second = divmod(second, 86_400)
    minute, second = divmod(second, 60)
    return f"{_date(day)}T{minute // 60:02d}:{minute % 60:02d}:{second:02d}.{nanosecond:09d}Z"


@lru_cache(maxsize=64)
def _date(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).date().isoformat()


def parse_rfc3339(text: str) -> int:
    """Nanoseconds since the epoch; digits beyond the ninth decimal are cut off, as no clock here has them.

    >>> parse_rfc3339("2014-05-01T02:00:00.5+02:00")
    1398902400500000000

    Raises:
        ValueError: not a time, or one without its zone.
    """
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not an RFC 3339 time such as 2014-05-01T00:00:00.000000000Z")
    date, clock, fraction, zone = match.groups()
    offset = "+00:00" if zone in "Zz" else zone
    elapsed = datetime.fromisoformat(f"{date}T{clock}{offset}") - _EPOCH
    return (elapsed.days * 86_400 + elapsed.seconds) * SECOND + int((fraction or "0").ljust(9, "0"))
