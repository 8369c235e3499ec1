"""The tick files of a replay: grouped, refused where they must be, and paced."""

from pathlib import Path

import pytest

from broker.errors import BadInput
from broker.ticks import ReadOptions
from broker.types import SECOND
from daemon import feeds
from daemon.feeds import open_by_instrument, pacer


def files(folder: Path, *names: str) -> list[Path]:
    paths = [folder / name for name in names]
    for path in paths:
        path.write_text("time,bid,ask\n2024-01-02T00:00:00Z,1.1,1.2\n")
    return paths


def test_files_are_grouped_by_instrument(tmp_path: Path) -> None:
    """In the order in which instruments were named, else in that of the files."""
    given = files(tmp_path, "USD_JPY-1.csv", "EUR_USD-1.csv", "USD_JPY-2.csv")
    free = open_by_instrument(given, ReadOptions(), ())
    assert [(pair.name, len(found)) for pair, found in free.items()] == [("USD_JPY", 2), ("EUR_USD", 1)]
    named = open_by_instrument(given, ReadOptions(), ("EUR_USD", "USD_JPY"))
    assert [pair.name for pair in named] == ["EUR_USD", "USD_JPY"]


def test_what_was_not_named_is_refused(tmp_path: Path) -> None:
    """A file of another instrument is an error that says how to name it; one name serves a file that has none."""
    given = files(tmp_path, "USD_JPY-1.csv", "EUR_USD-1.csv")
    with pytest.raises(BadInput, match="EUR_USD"):
        open_by_instrument(given, ReadOptions(), ("USD_JPY", "GBP_USD"))
    nameless = files(tmp_path, "quotes.csv")
    assert [pair.name for pair in open_by_instrument(nameless, ReadOptions(), ("GBP_USD",))] == ["GBP_USD"]


def test_pacing_waits_for_the_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Event time over wall time is the speed; what is late does not wait."""
    wall, slept = [5 * SECOND], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        wall[0] += round(seconds * SECOND)

    monkeypatch.setattr(feeds, "monotonic_ns", lambda: wall[0])
    monkeypatch.setattr(feeds, "sleep", sleep)
    assert pacer(0.0) is None
    pace = pacer(10.0)
    assert pace is not None
    pace(1000 * SECOND)
    pace(1020 * SECOND)
    wall[0] += 5 * SECOND
    pace(1030 * SECOND)
    assert slept == [2.0]
