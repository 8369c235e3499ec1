"""Thinning: bounded, in order, nothing lost."""

from hypothesis import given
from hypothesis import strategies as st

from daemon.report.buckets import Buckets

Span = tuple[int, int, int]


def join(earlier: Span, later: Span) -> Span:
    assert earlier[1] + 1 == later[0], "neighbours, in order"
    return earlier[0], later[1], earlier[2] + later[2]


@given(st.integers(0, 3000), st.integers(1, 20).map(lambda half: 2 * half))
def test_every_sample_is_in_one_bucket(samples: int, limit: int) -> None:
    """Never more buckets than the limit, never fewer than half of it once full, each sample in one, sizes even."""
    buckets = Buckets[Span](limit, join)
    for sample in range(samples):
        buckets.add((sample, sample, 1))
        assert len(buckets.filled) <= limit
    assert sum(size for _, _, size in buckets.filled) == samples
    assert len(buckets.filled) >= min(samples, limit // 2)
    assert len({size for _, _, size in buckets.filled[:-1]}) <= 1
