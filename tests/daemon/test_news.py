"""The file of news: what it says arrives, and a line that says nothing stops the start and names itself."""

from pathlib import Path

import pytest

from broker.errors import BadInput
from broker.types import MINUTE
from daemon.news import MOST, news_of
from strategy.hours import News

GOOD = """\
# the week
1970-01-01T00:01:00Z 1970-01-01T00:02:00Z USD Nonfarm payrolls

1970-01-01T01:03:00+01:00 1970-01-01T00:04:00Z * all stand still
"""


def test_each_line_is_news(tmp_path: Path) -> None:
    """Comments and blank lines apart; in whatever zone it is written."""
    file = tmp_path / "news"
    file.write_text(GOOD)
    assert news_of(str(file)) == (News(MINUTE, 2 * MINUTE, "USD"), News(3 * MINUTE, 4 * MINUTE, "*"))
    assert news_of("") == ()


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("tomorrow later USD x", "no times"),
        ("1970-01-01T00:02:00Z 1970-01-01T00:02:00Z USD x", "ends before"),
        ("1970-01-01T00:02:00Z 1970-01-01T00:03:00Z usd x", "a currency"),
        ("1970-01-01T00:02:00Z 1970-01-01T00:03:00Z", "a currency"),
    ],
)
def test_a_broken_line_is_named(line: str, what: str, tmp_path: Path) -> None:
    """With its number: news that is not understood would be traded on."""
    file = tmp_path / "news"
    file.write_text(GOOD + line + "\n")
    with pytest.raises(BadInput, match=what) as refusal:
        news_of(str(file))
    assert refusal.value.where == f"{file}:5"


def test_a_file_that_is_not_there_or_too_long_is_refused(tmp_path: Path) -> None:
    """It was named, so it is meant; and an entry looks at all of it."""
    with pytest.raises(BadInput, match="can't be read"):
        news_of(str(tmp_path / "gone"))
    file = tmp_path / "news"
    file.write_text(f"{GOOD.splitlines()[1]}\n" * (MOST + 1))
    with pytest.raises(BadInput, match="lines of news"):
        news_of(str(file))
