"""The trading week: Sunday 17:00 to Friday 17:00, New York. It sets alarms and flattening, never whether to trade."""

from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from broker.types import DAY, SECOND

NEW_YORK = ZoneInfo("America/New_York")
_EPOCH = date(1970, 1, 1)
_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday


@lru_cache(maxsize=64)
def _closes_on(day: int) -> int:
    """17:00 New York of the UTC day number `day`, ns."""
    of = _EPOCH + timedelta(days=day)
    return int(datetime(of.year, of.month, of.day, 17, tzinfo=NEW_YORK).timestamp()) * SECOND


def week_close(time: int) -> int:
    """Friday 17:00 New York of the UTC week (Monday to Sunday) that holds `time`, ns.

    >>> week_close(1_399_593_600 * SECOND) == 1_399_669_200 * SECOND   # Fri 2014-05-09T00:00Z -> 21:00Z (summer time)
    True
    """
    day = time // DAY
    weekday = (day + _EPOCH_WEEKDAY) % 7
    return _closes_on(day - weekday + 4)


def week_open(time: int) -> int:
    """Sunday 17:00 New York of the UTC week (Monday to Sunday) that holds `time`, ns."""
    day = time // DAY
    weekday = (day + _EPOCH_WEEKDAY) % 7
    return _closes_on(day - weekday + 6)


def near_weekend(time: int, margin: int) -> bool:
    """Whether `time` lies between `margin` ns before the week's close and the next week's opening."""
    return week_close(time) - margin <= time < week_open(time)
