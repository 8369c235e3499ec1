"""The trading week in New York time, through both kinds of time."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from broker.calendar import near_weekend, week_close, week_open
from broker.types import HOUR, MINUTE, SECOND

HOURS = st.integers(0, 24 * 365 * 50)


def at(ns: int) -> datetime:
    return datetime.fromtimestamp(ns // SECOND, UTC).astimezone(ZoneInfo("America/New_York"))


@given(HOURS)
def test_the_week_closes_on_friday_and_opens_on_sunday_at_17(hours: int) -> None:
    """Both lie in the same UTC week as the time asked about."""
    time = hours * HOUR
    for found, weekday in ((week_close(time), 4), (week_open(time), 6)):
        local = at(found)
        assert (local.weekday(), local.hour, local.minute) == (weekday, 17, 0)
        asked = datetime.fromtimestamp(time // SECOND, UTC)
        monday = (asked - timedelta(days=asked.weekday())).date()
        assert timedelta(0) <= local.date() - monday < timedelta(days=7)


@given(HOURS)
def test_near_the_weekend_means_from_the_margin_to_the_opening(hours: int) -> None:
    """The margin counts before the close, and the time from close to opening belongs to it."""
    time = hours * HOUR
    local = at(time)
    closed = (local.weekday(), local.hour) >= (4, 16) and (local.weekday(), local.hour) < (6, 17)
    assert near_weekend(time, HOUR) == closed


def test_summer_time_moves_the_close_in_utc() -> None:
    """21:00 UTC in summer, 22:00 in winter."""
    summer, winter = 1_399_593_600 * SECOND, 1_420_200_000 * SECOND
    assert week_close(summer) % (24 * HOUR) == 21 * HOUR
    assert week_close(winter) % (24 * HOUR) == 22 * HOUR
    assert near_weekend(week_close(winter) - 15 * MINUTE, 15 * MINUTE)
