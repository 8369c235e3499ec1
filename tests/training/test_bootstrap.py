"""Block-bootstrap intervals: they cover as often as they say, and depend on nothing but their arguments."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.signal import lfilter

from training.bootstrap import FEWEST, autocovariance, block_length, interval

SERIES = arrays(np.float64, st.integers(FEWEST, 60), elements=st.floats(-100, 100).map(lambda x: round(x, 3)))


def autoregressive(
    phi: float, n: int, generator: np.random.Generator
) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """A stationary AR(1) series of mean 3."""
    return np.asarray(lfilter([1.0], [1.0, -phi], generator.normal(size=n + 200))[200:]) + 3.0


def share_covered(phi: float, share: float) -> float:
    """How often the interval of an AR(1) series holds its true mean."""
    generator, runs = np.random.default_rng(11), 300
    found = [interval(autoregressive(phi, 600, generator), generator, share, 300) for _ in range(runs)]
    return sum(ends is not None and ends[0] <= 3.0 <= ends[1] for ends in found) / runs


@pytest.mark.parametrize("phi", [-0.4, 0.0, 0.3, 0.6])
def test_intervals_cover_what_they_say(phi: float) -> None:
    """95 % intervals of dependent series hold the true mean in about 95 % of all series."""
    assert 0.87 <= share_covered(phi, 0.95) <= 0.99


def test_narrower_shares_cover_less() -> None:
    """An interval of 50 % is one of 50 %, not merely one that is wide enough."""
    assert 0.40 <= share_covered(0.3, 0.5) <= 0.58


def test_single_draws_would_cover_less() -> None:
    """Blocks are what it takes: taken as independent, a series with phi 0.6 gets intervals half as wide."""
    generator = np.random.default_rng(4)
    values = autoregressive(0.6, 4000, generator)
    low, high = interval(values, generator) or (0.0, 0.0)
    shuffled = interval(generator.permutation(values), generator) or (0.0, 0.0)
    assert 1.6 < (high - low) / (shuffled[1] - shuffled[0]) < 2.5


@given(SERIES, st.integers(0, 2**32))
def test_the_seed_decides(values: "np.ndarray[tuple[int], np.dtype[np.float64]]", seed: int) -> None:
    """The same series and seed give the same interval, inside the range of the values, and the series is left alone."""
    kept = values.copy()
    first, again = (interval(values, np.random.default_rng(seed), resamples=50) for _ in range(2))
    assert first is not None and first == again
    assert values.min() - 1e-9 <= first[0] <= first[1] <= values.max() + 1e-9
    assert np.array_equal(kept, values)


@given(SERIES, st.floats(-50, 50), st.floats(0.1, 10))
def test_intervals_move_with_the_series(
    values: "np.ndarray[tuple[int], np.dtype[np.float64]]", shift: float, scale: float
) -> None:
    """Another unit or origin gives the same interval in that unit, where blocks are as long."""
    moved = values * scale + shift
    if block_length(values) != block_length(moved):
        return
    ends, others = (interval(series, np.random.default_rng(1), resamples=50) for series in (values, moved))
    assert ends is not None
    assert others == pytest.approx([end * scale + shift for end in ends], abs=1e-6)


def test_few_observations_get_no_interval() -> None:
    """Fewer than FEWEST say too little; a constant series has no width."""
    assert interval(np.ones(FEWEST - 1), np.random.default_rng(0)) is None
    assert interval(np.ones(FEWEST), np.random.default_rng(0)) == pytest.approx((1.0, 1.0))


@given(SERIES)
def test_autocovariance_is_its_definition(values: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> None:
    """Against the sum, term by term."""
    mean, n = values.mean(), len(values)
    for lag, found in enumerate(autocovariance(values, 4)):
        expected = sum((values[i] - mean) * (values[i + lag] - mean) for i in range(n - lag)) / n
        assert found == pytest.approx(expected, abs=1e-7)


def test_blocks_grow_with_dependence() -> None:
    """The more neighbours have in common, the longer the blocks; never longer than a third of the series."""
    lengths = [block_length(autoregressive(phi, 3000, np.random.default_rng(2))) for phi in (0.0, 0.5, 0.9)]
    assert lengths == sorted(set(lengths))
    assert all(block_length(np.cumsum(np.ones(n))) <= max(n / 3 + 1, 1) for n in (10, 50, 1000))
