"""The token bucket is never exceeded, orders do not queue, and waits grow within their range."""

import asyncio
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from broker.oanda.pacing import Backoff, TokenBucket, spread
from tests.broker.oanda.virtual import run


@given(st.integers(1, 60), st.floats(1.0, 200.0), st.integers(1, 20))
def test_no_window_holds_more_than_burst_and_rate(callers: int, rate: float, burst: int) -> None:
    """In every span of time there are at most `burst + rate * span` permissions, and all get theirs in order."""

    async def main() -> list[tuple[int, float]]:
        bucket, got = TokenBucket(rate, burst), []

        async def caller(n: int) -> None:
            await bucket.take()
            got.append((n, asyncio.get_running_loop().time()))

        await asyncio.gather(*(caller(n) for n in range(callers)))
        return got

    got = run(main)
    assert [n for n, _ in got] == list(range(callers))
    times = [time for _, time in got]
    for i, first in enumerate(times):
        for j in range(i, len(times)):
            assert j - i + 1 <= burst + rate * (times[j] - first) + 1e-6


def test_orders_find_a_reserve() -> None:
    """While reads wait, an urgent caller passes at once."""

    async def main() -> None:
        bucket = TokenBucket(1.0, 5.0, reserve=2.0)
        reads = [asyncio.create_task(bucket.take()) for _ in range(10)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        began = asyncio.get_running_loop().time()
        await bucket.take(urgent=True)
        assert asyncio.get_running_loop().time() == began
        assert sum(read.done() for read in reads) == 3
        await asyncio.gather(*reads)

    run(main)


@given(st.integers(0, 2**32), st.integers(1, 50))
def test_waits_double_to_their_longest(seed: int, attempts: int) -> None:
    """Each wait lies in the upper half of its doubled ceiling; a reset starts anew."""
    backoff = Backoff(1.0, 60.0, Random(seed).random)
    for attempt in range(attempts):
        ceiling = min(60.0, 2.0**attempt)
        assert ceiling / 2 <= backoff.next() <= ceiling
    backoff.reset()
    assert backoff.next() <= 1.0
    assert 9.0 <= spread(Random(seed), 10.0) <= 11.0
