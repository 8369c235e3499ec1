"""Clocks: the only place where time comes from.

Live trading reads the system's clock; replay, validation and self-play move an event clock along the quotes.
"""

import heapq
import itertools
import time
from collections.abc import Callable
from typing import Protocol

Timer = Callable[[int], None]


class Clock(Protocol):
    """Tells the time and calls back."""

    def now(self) -> int:
        """Nanoseconds since the Unix epoch, UTC."""
        ...

    def call_at(self, when: int, timer: Timer) -> None:
        """Call `timer(when)` once the clock reaches `when` (at once if it has)."""
        ...


class _Timers:
    """Timers in the order (time, registration)."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Timer]] = []
        self._count = itertools.count()

    def add(self, when: int, timer: Timer) -> None:
        heapq.heappush(self._heap, (when, next(self._count), timer))

    def next_time(self) -> int | None:
        return self._heap[0][0] if self._heap else None

    def pop(self) -> tuple[int, Timer]:
        when, _, timer = heapq.heappop(self._heap)
        return when, timer


class EventClock:
    """Time as the events tell it; never moves backwards.

    >>> clock, rung = EventClock(), []
    >>> clock.call_at(5, rung.append)
    >>> clock.advance(4); rung
    []
    >>> clock.advance(7); rung, clock.now()
    ([5], 7)
    """

    def __init__(self, start: int = 0) -> None:
        self._now = start
        self._timers = _Timers()

    def now(self) -> int:
        """Time of the latest event."""
        return self._now

    def call_at(self, when: int, timer: Timer) -> None:
        """Call `timer(when)` when an event at or after `when` arrives."""
        self._timers.add(when, timer)

    def advance(self, to: int) -> None:
        """Move to `to` and ring every timer due by then, each at its own time, in order."""
        while (due := self._timers.next_time()) is not None and due <= to:
            when, timer = self._timers.pop()
            self._now = max(self._now, when)
            timer(when)
        self._now = max(self._now, to)


class SystemClock:
    """The machine's clock; `poll` rings what has come due (the event loop calls it)."""

    def __init__(self, read: Callable[[], int] = time.time_ns) -> None:
        self._read = read
        self._timers = _Timers()

    def now(self) -> int:
        """System time, ns."""
        return self._read()

    def call_at(self, when: int, timer: Timer) -> None:
        """Call `timer(when)` at the first poll at or after `when`."""
        self._timers.add(when, timer)

    def next_time(self) -> int | None:
        """When the earliest timer is due: how long the event loop may sleep."""
        return self._timers.next_time()

    def poll(self) -> None:
        """Ring every timer that is due."""
        while (due := self._timers.next_time()) is not None and due <= self._read():
            when, timer = self._timers.pop()
            timer(when)
