"""The file of news around which nothing is entered: `START END CURRENCY what it is`, a line for each, UTC or zoned."""

import re
from pathlib import Path

from broker.errors import BadInput
from broker.rfc3339 import parse_rfc3339
from strategy.hours import EVERY, News

MOST = 2000  # lines that are in force at once: a year of what moves the majors
WORDS = 3


def news_of(file: str) -> tuple[News, ...]:
    """What a file says; lines with # and blank ones apart. None named: no news.

    Raises:
        BadInput: it can't be read, or a line is not as it should be.
    """
    if not file:
        return ()
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            f"can't be read: {getattr(error, 'strerror', error)}", where=file, mend="risk.news_file"
        ) from error
    told = [(n, line.split()) for n, line in enumerate(lines, 1) if line.strip() and not line.lstrip().startswith("#")]
    if len(told) > MOST:
        raise BadInput(f"has {len(told)} lines of news", where=file, mend=f"at most {MOST}: drop those that are over")
    return tuple(_news(words, f"{file}:{n}") for n, words in told)


def _news(words: list[str], where: str) -> News:
    mend = "write it like 2026-01-09T13:15:00Z 2026-01-09T14:00:00Z USD payrolls"
    if len(words) < WORDS or not (words[2] == EVERY or re.fullmatch("[A-Z0-9]{2,12}", words[2])):
        raise BadInput("needs a start, an end, and a currency or *", where=where, mend=mend)
    try:
        start, end = map(parse_rfc3339, words[:2])
    except ValueError as error:
        raise BadInput(f"has no times: {error}", where=where, mend=mend) from error
    if start >= end:
        raise BadInput("ends before it begins", where=where, mend=mend)
    return News(start, end, words[2])
