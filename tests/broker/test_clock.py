"""Clocks: timers ring once, in order, at their own time."""

from hypothesis import given
from hypothesis import strategies as st

from broker.clock import EventClock, SystemClock

TIMES = st.lists(st.integers(0, 100), max_size=30)


@given(timers=TIMES, steps=TIMES)
def test_timers_ring_once_in_order(timers: list[int], steps: list[int]) -> None:
    """Both clocks ring what is due, sorted by time and then by registration, never twice and never early."""
    event, reading, rung = EventClock(), [0], {"event": [], "system": []}
    system = SystemClock(lambda: reading[0])
    for number, when in enumerate(timers):
        event.call_at(when, lambda t, n=number: rung["event"].append((t, n)))
        system.call_at(when, lambda t, n=number: rung["system"].append((t, n)))
    for step in steps:
        event.advance(step)
        reading[0] = max(reading[0], step)
        system.poll()
        due = sorted((when, number) for number, when in enumerate(timers) if when <= event.now())
        assert rung["event"] == rung["system"] == due
    assert event.now() == max([0, *steps])


def test_a_timer_may_set_the_next() -> None:
    """A repeating timer rings at each of its times when the clock jumps over several."""
    clock, rung = EventClock(), []

    def again(when: int) -> None:
        rung.append((when, clock.now()))
        clock.call_at(when + 10, again)

    clock.call_at(10, again)
    clock.advance(35)
    assert rung == [(10, 10), (20, 20), (30, 30)]
    assert clock.now() == 35
