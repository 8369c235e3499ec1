"""The folders of days: each row in that of its time, each day completed when the next begins."""

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from broker.types import DAY, HOUR, Bar, Fill, Instrument, Order, Trade
from daemon.dayfolders import DayFolders
from daemon.daypage import page_aside
from daemon.report import build_report
from daemon.summary import Latency, Run

EUR_USD = Instrument("EUR_USD", -4, 5, Decimal("0.02"))
MONDAY = 19_000 * DAY


def folders(root: Path, page: Callable[[Path], object] = build_report) -> DayFolders:
    described = Run("hold", "hold", 0, "", "quotes", (EUR_USD,), "1m", mode="paper")
    return DayFolders(root, (EUR_USD,), 0.0, described, "", {"inputs": []}, Latency(), lambda job: job(), page)


def trade(time: int) -> tuple[Trade, Fill]:
    fill = Fill("", time, "EUR_USD", -1000, 110_000, 110_000, 110_002, "stop")
    done = Trade(
        "EUR_USD",
        1,
        1000,
        time - 1,
        110_001,
        time,
        110_000,
        -0.1,
        Decimal("-0.1"),
        "USD",
        0.0,
        0.0,
        0,
        "m",
        "stop",
        0,
        0,
    )
    return done, fill


def summary(folder: Path) -> dict[str, object]:
    return json.loads((folder / "summary.json").read_text())


def test_a_row_belongs_to_the_day_of_its_time(tmp_path: Path) -> None:
    """An order of the evening that fills after midnight is the next day's; what comes late is this day's."""
    days = folders(tmp_path)
    days.quoted(MONDAY + 23 * HOUR, dropped=False)
    days.quoted(MONDAY + 23 * HOUR + 1, dropped=True)
    order = Order("mt-a-1", MONDAY + DAY - 1, "EUR_USD", 1000, 0, 0, "entry", 1, "m")
    days.ordered(order, Fill("mt-a-1", MONDAY + DAY + 1, "EUR_USD", 1000, 110_002, 110_000, 110_002, "entry"))
    assert [summary(tmp_path / "2022-01-08")[name] for name in ("ticks", "dropped", "orders")] == [2, 1, 0]
    days.traded(*trade(MONDAY + DAY - 5))
    days.finish()
    assert [summary(tmp_path / "2022-01-09")[name] for name in ("orders", "trades")] == [1, 1]


def test_a_second_run_of_a_day_has_a_folder_of_its_own(tmp_path: Path) -> None:
    """Nothing is written over; a day that was cut off has no summary."""
    first = folders(tmp_path)
    first.quoted(MONDAY, dropped=False)
    first.abandon()
    second = folders(tmp_path)
    second.quoted(MONDAY + 1, dropped=False)
    second.finish()
    assert [(day.name, (day / "summary.json").exists()) for day in sorted(tmp_path.iterdir())] == [
        ("2022-01-08", False),
        ("2022-01-08-02", True),
    ]


def test_a_warm_up_makes_no_folder(tmp_path: Path) -> None:
    """Bars of weeks ago belong to no day of this run."""
    days = folders(tmp_path)
    days.barred(EUR_USD, Bar(MONDAY, MONDAY + HOUR, 1, 1, 1, 1, 0.1, 1, 2, 5), 0.0)
    days.finish()
    assert days.path is None
    assert not list(tmp_path.iterdir())


def test_what_was_written_can_be_read_at_once(tmp_path: Path) -> None:
    """After a flush, while the day is open."""
    days = folders(tmp_path)
    days.traded(*trade(MONDAY + 5))
    assert days.path == tmp_path / "2022-01-08"
    days.flush()
    assert (tmp_path / "2022-01-08" / "trades.csv").read_text().count("\n") == 2
    days.abandon()


def test_a_day_that_is_over_gets_its_page_from_another_process(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The same bytes as made here; where it can't be made the log says why, and the day stays finished."""
    days = folders(tmp_path, page_aside)
    days.traded(*trade(MONDAY + 5))
    days.quoted(MONDAY + DAY, dropped=False)
    days.abandon()
    day = tmp_path / "2022-01-08"
    page = (day / "report.html").read_bytes()
    assert page == build_report(day).read_bytes()
    (day / "trades.csv").write_text("instrument,side\nEUR_USD,long\n")
    page_aside(day)
    assert "is not a trade" in "".join(capfd.readouterr())
    assert summary(day)["trades"] == 1
