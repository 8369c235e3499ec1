"""When new exposure may be taken: windows of the week, and times of news at which it may not. UTC throughout."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from broker.types import DAY, HOUR, MINUTE

WEEK = 7 * DAY
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EVERY = "*"
_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday
_CLOCK = r"([01][0-9]|2[0-4]):([0-5][0-9])"
_WINDOW = re.compile(rf"(?:({'|'.join(DAYS)}) )?{_CLOCK}-(?:({'|'.join(DAYS)}) )?{_CLOCK}")

Window = tuple[int, int]
"""From the first to before the second, ns since Monday 00:00."""


@dataclass(frozen=True, slots=True)
class News:
    """No new exposure to a currency (`*`: to any) from `start` to before `end`, ns."""

    start: int
    end: int
    currency: str


def windows_of(text: str) -> tuple[Window, ...]:
    """The windows that a text names: of the week, or of each day; one may run on past the end of either.

    >>> windows_of("mon 00:00-fri 20:00") == ((0, 4 * DAY + 20 * HOUR),)
    True
    >>> len(windows_of("07:00-17:30")), windows_of("sun 22:00-mon 01:00") == ((6 * DAY + 22 * HOUR, WEEK), (0, HOUR))
    (7, True)

    Raises:
        ValueError: it names none.
    """
    found = _WINDOW.fullmatch(text)
    if found is None or bool(found[1]) != bool(found[4]):
        raise ValueError(f"no window of the week or the day: {text!r}")
    opens, closes = _offset(found[2], found[3]), _offset(found[5], found[6])
    if found[1]:
        return _cut(DAYS.index(found[1]) * DAY + opens, DAYS.index(found[4]) * DAY + closes)
    closes += DAY if closes <= opens else 0
    return tuple(part for day in range(7) for part in _cut(day * DAY + opens, day * DAY + closes))


def _offset(hours: str, minutes: str) -> int:
    offset = int(hours) * HOUR + int(minutes) * MINUTE
    if offset > DAY:
        raise ValueError(f"no time of the day: {hours}:{minutes}")
    return offset


def _cut(opens: int, closes: int) -> tuple[Window, ...]:
    """The parts of a window that each lie within one week."""
    opens, closes = opens % WEEK, closes % WEEK or WEEK
    return ((opens, closes),) if opens < closes else ((opens, WEEK), (0, closes))


def is_open(windows: tuple[Window, ...], time: int) -> bool:
    """Whether a time (ns since the epoch) lies in one of the windows; always, where there are none."""
    within = (time + _EPOCH_WEEKDAY * DAY) % WEEK
    return not windows or any(opens <= within < closes for opens, closes in windows)


def is_news(news: Iterable[News], time: int, instrument: str) -> bool:
    """Whether there is news of one of an instrument's currencies at a time (ns since the epoch)."""
    return any(
        one.start <= time < one.end and (one.currency == EVERY or one.currency in instrument.split("_")) for one in news
    )
