"""How fast we may go: a token bucket for requests and connections, and the waits between attempts.

All waits are the event loop's, so that they pass at once in virtual time.
"""

import asyncio
from collections.abc import Callable
from random import Random

REQUESTS_PER_S = 100.0  # OANDA: 120/s per address, 100 recommended
CONNECTIONS_PER_S = 2.0
_ROUNDING = 1e-9  # tokens


class TokenBucket:
    """At most `rate` permissions a second, `burst` at once; those who wait are served in order.

    Args:
        reserve: tokens that only urgent callers (orders) may take.
    """

    def __init__(self, rate: float, burst: float, reserve: float = 0.0) -> None:
        assert rate > 0, "a bucket that never fills"
        assert burst >= reserve + 1, "a bucket that ordinary callers never get anything from"
        self._rate, self._burst, self._reserve = rate, burst, reserve
        self._tokens = burst
        self._filled_at: float | None = None
        self._queue = asyncio.Lock()

    async def take(self, urgent: bool = False) -> None:
        """Wait for a permission; an urgent one does not queue behind the others."""
        if urgent:
            await self._wait(0.0)
            return
        async with self._queue:
            await self._wait(self._reserve)

    async def _wait(self, reserve: float) -> None:
        while True:
            lacking = 1.0 + reserve - self._fill()
            if lacking <= _ROUNDING:
                break
            await asyncio.sleep(lacking / self._rate)
        self._tokens -= 1.0

    def _fill(self) -> float:
        now = asyncio.get_running_loop().time()
        if self._filled_at is not None:
            self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        return self._tokens


class Backoff:
    """Waits that double from `first` to `longest`, each drawn from its upper half; `reset` starts anew.

    >>> waits = Backoff(1.0, 60.0, Random(0).random)
    >>> [0.5 * 2**k <= waits.next() <= 2**k for k in range(5)]
    [True, True, True, True, True]
    """

    def __init__(self, first: float, longest: float, draw: Callable[[], float]) -> None:
        self._first, self._longest, self._draw = first, longest, draw
        self._attempt = 0

    def next(self) -> float:
        """Seconds to wait before the next attempt."""
        ceiling = min(self._longest, self._first * 2.0 ** min(self._attempt, 30))
        self._attempt += 1
        return ceiling * (0.5 + 0.5 * self._draw())

    def reset(self) -> None:
        """Things went well for long enough."""
        self._attempt = 0


def spread(dice: Random, seconds: float) -> float:
    """A wait around `seconds`, 10 % up or down, so that loops do not beat together."""
    return seconds * (0.9 + 0.2 * dice.random())
