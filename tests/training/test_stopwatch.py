"""Where the time went is counted, also when a part fails."""

import pytest

from training.stopwatch import Stopwatch


def test_parts_add_up_and_go_on() -> None:
    """Time counts to the part that it was spent in, a failing one too, on top of what an earlier stretch spent."""
    now = [0]
    watch = Stopwatch(lambda: now[0], {"learning": 5})
    with watch.part("learning"):
        now[0] = 10
    with pytest.raises(ZeroDivisionError):
        fail(watch, now)
    assert watch.spent == {"learning": 15, "self-play": 7}


def fail(watch: Stopwatch, now: list[int]) -> None:
    """Seven ns of self-play, cut off."""
    with watch.part("self-play"):
        now[0] = 17
        raise ZeroDivisionError
