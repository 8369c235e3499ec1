"""Hours and news: windows lie in UTC's week wherever they begin, and news concerns its currency alone."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.types import MINUTE, SECOND
from strategy.hours import DAYS, News, is_news, is_open, windows_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TIMES = st.datetimes(datetime(1990, 1, 1), datetime(2040, 1, 1)).map(lambda when: when.replace(tzinfo=UTC))
OFFSETS = st.integers(0, 7 * 1440 - 1)  # minutes of the week


def ns(when: datetime) -> int:
    return (when - EPOCH) // timedelta(microseconds=1) * 1000


def spelled(minutes: int) -> str:
    return f"{DAYS[minutes // 1440]} {minutes % 1440 // 60:02}:{minutes % 60:02}"


@given(TIMES, OFFSETS, OFFSETS)
def test_a_window_of_the_week_is_open_within(when: datetime, opens: int, closes: int) -> None:
    """From its first minute to before its last, past Sunday's end too; with the same end it is the whole week."""
    minute = when.weekday() * 1440 + when.hour * 60 + when.minute
    expected = opens <= minute < closes if opens < closes else minute >= opens or minute < closes
    assert is_open(windows_of(f"{spelled(opens)}-{spelled(closes)}"), ns(when)) == expected


@given(TIMES, st.integers(0, 1439), st.integers(0, 1440))
def test_a_window_of_the_day_is_open_each_day(when: datetime, opens: int, closes: int) -> None:
    """Through midnight where it ends before it begins."""
    minute = when.hour * 60 + when.minute
    expected = opens <= minute < closes if opens < closes else minute >= opens or minute < closes
    text = f"{opens // 60:02}:{opens % 60:02}-{closes // 60:02}:{closes % 60:02}"
    assert is_open(windows_of(text), ns(when)) == expected


def test_without_windows_it_is_always_open() -> None:
    """None listed means always."""
    assert is_open((), 0)


@pytest.mark.parametrize("text", ["", "mon", "mon 00:00", "mon 00:00-20:00", "00:00-24:01", "25:00-26:00", "7:00-9:00"])
def test_what_is_no_window_is_refused(text: str) -> None:
    """Half a day's name, or a time that no clock shows."""
    with pytest.raises(ValueError, match="no "):
        windows_of(text)


def test_news_concerns_its_currency() -> None:
    """Either side of a pair, all pairs with `*`; from its start to before its end."""
    news = (News(10 * MINUTE, 20 * MINUTE, "USD"), News(SECOND, 2 * SECOND, "*"))
    assert [is_news(news, time, "EUR_USD") for time in (10 * MINUTE - 1, 10 * MINUTE, 20 * MINUTE)] == [
        False,
        True,
        False,
    ]
    assert is_news(news, 10 * MINUTE, "USD_JPY")
    assert not is_news(news, 10 * MINUTE, "EUR_GBP")
    assert is_news(news, SECOND, "EUR_GBP")
