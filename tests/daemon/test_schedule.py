"""When jobs are due: held to a brute force over all minutes, remembered over restarts."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import BadInput
from broker.types import HOUR, MINUTE
from daemon.schedule import Due, Schedule

START = 1_704_067_200 * 10**9  # Monday, 2024-01-01 00:00 UTC
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def brute(day: int, hour: int, minute: int, since: int, until: int) -> list[int]:
    """Each time in (since, until] at which a weekday's clock stands so, by looking at every minute."""
    first = since // MINUTE * MINUTE + MINUTE
    found = []
    for time in range(first, until + 1, MINUTE):
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=time // 10**9)
        if (moment.weekday(), moment.hour, moment.minute) == (day, hour, minute):
            found.append(time)
    return found


@given(
    day=st.integers(0, 6),
    hour=st.integers(0, 23),
    minute=st.integers(0, 59),
    steps=st.lists(st.integers(1, 60), min_size=1, max_size=20),
)
def test_a_cron_line_fires_as_the_clock_shows(
    tmp_path_factory: pytest.TempPathFactory, day: int, hour: int, minute: int, steps: list[int]
) -> None:
    """However the clock moves, each time is told once, and those that were jumped over are counted."""
    kept = tmp_path_factory.mktemp("schedule") / "schedule.json"
    schedule = Schedule({"train": f"{minute} {hour} * * {WEEKDAYS[day]}"}, kept)
    assert schedule.due(START) == []
    before, now = START, START
    for hours in steps:
        now += hours * HOUR + 17
        wanted = brute(day, hour, minute, before, now)
        assert schedule.due(now) == ([Due("train", wanted[-1], len(wanted) - 1)] if wanted else [])
        before = now


def test_an_interval_counts_from_midnight(tmp_path: Path) -> None:
    """`every 6h` means 0, 6, 12 and 18 o'clock, whenever the daemon started."""
    schedule = Schedule({"report": "every 6h"}, tmp_path / "kept")
    assert schedule.due(START + 5 * HOUR) == []
    assert schedule.coming(START + 5 * HOUR) == {"report": START + 6 * HOUR}
    assert schedule.due(START + 6 * HOUR - 1) == []
    assert schedule.due(START + 6 * HOUR) == [Due("report", START + 6 * HOUR, 0)]
    assert schedule.due(START + 6 * HOUR + 1) == []


def test_a_restart_makes_up_once_for_what_it_slept_through(tmp_path: Path) -> None:
    """What was due while nobody ran is run once; what had run is not run again."""
    lines = {"backup": "0 1 * * *", "train": "every 1h"}
    first = Schedule(lines, tmp_path / "kept")
    first.due(START)
    assert [due.job for due in first.due(START + HOUR)] == ["backup", "train"]
    again = Schedule(lines, tmp_path / "kept")
    assert again.due(START + HOUR) == []
    third = Schedule(lines, tmp_path / "kept")
    assert third.due(START + 49 * HOUR) == [
        Due("backup", START + 49 * HOUR, 1),
        Due("train", START + 49 * HOUR, 47),
    ]


def test_a_clock_that_steps_back_runs_nothing_twice(tmp_path: Path) -> None:
    """An hour back, and the hour again."""
    schedule = Schedule({"train": "every 1h"}, tmp_path / "kept")
    schedule.due(START)
    assert len(schedule.due(START + 2 * HOUR)) == 1
    assert schedule.due(START + HOUR) == []
    assert schedule.due(START + 2 * HOUR) == []
    assert len(schedule.due(START + 3 * HOUR)) == 1


@pytest.mark.parametrize("line", ["every 0h", "every day", "61 * * * *", "* * * *", "sometimes", "every 5s"])
def test_lines_that_are_none(tmp_path: Path, line: str) -> None:
    """Refused with the key and two examples."""
    with pytest.raises(BadInput, match=r"\[schedule\] train.*every 6h"):
        Schedule({"train": line}, tmp_path / "kept")


def test_an_empty_line_never_runs_and_a_broken_record_is_told(tmp_path: Path) -> None:
    """ "" is off; a file that is no record is named."""
    schedule = Schedule({"train": ""}, tmp_path / "kept")
    assert schedule.due(START) == schedule.due(START + 10_000 * HOUR) == []
    (tmp_path / "kept").write_text("[]")
    with pytest.raises(BadInput, match="remove it"):
        Schedule({"train": "every 1h"}, tmp_path / "kept")
