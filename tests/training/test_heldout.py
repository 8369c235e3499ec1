"""A held-out score is pips of unseen data and an honest measure of luck."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from broker.types import Float64s
from training.heldout import Walked, advantage, score, significance, strength, threshold
from training.targets import Prices

HOLD, BUY, CLOSE = 0, 1, 3


def test_a_score_counts_what_was_done() -> None:
    """Pips, trades and time in the market of a policy that is long every other block of ten bars."""
    n = 1000
    prices = Prices(np.full(n, 0.2), np.full(n, 0.5), np.ones(n))
    choice = np.zeros((n, 3), np.int64)
    for t in range(n):
        wanted = (t // 10) % 2 == 0
        choice[t] = [CLOSE, BUY if wanted else HOLD, HOLD if wanted else CLOSE]
    found = score(prices, choice)
    assert np.isclose(found.pips, 500 * 0.2 - 50 * 0.5 - 50 * 0.5)
    assert (found.trades, found.in_market) == (50.0, 0.5)


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 10.0))
def test_significance_is_the_t_statistic_of_blocks(seed: int, scale: float) -> None:
    """Against the textbook formula; the unit of the pips does not matter."""
    pips = np.random.default_rng(seed).normal(0.05, 1.0, 2030)
    sums = pips[:2000].reshape(40, 50).sum(1)
    wanted = sums.mean() / (sums.std(ddof=1) / np.sqrt(40))
    assert np.isclose(significance(pips * scale), wanted)


def test_more_looks_ask_for_more() -> None:
    """Looking often must not make luck look like an edge: of many martingale scores, few pass at the best look."""
    rng = np.random.default_rng(0)
    looks = 10
    passed = sum(
        max(significance(rng.normal(0.0, 1.0, 1000)) for _ in range(looks)) > threshold(looks) for _ in range(200)
    )
    assert threshold(1) == 2.0
    assert all(threshold(k) < threshold(k + 1) for k in range(1, 30))
    assert passed / 200 < 0.08


def walked(pips: Float64s) -> Walked:
    """A way that earned this."""
    return Walked(pips, np.zeros(len(pips), np.int64))


def test_the_usual_strength_gives_way_to_more_than_luck() -> None:
    """Of several betas the usual one is played, unless another earned surely more on the same bars; then the best."""
    rng = np.random.default_rng(1)
    bars = rng.normal(0.1, 1.0, 5000)
    usual, luckier = walked(bars), walked(bars + rng.normal(0.0, 2.0, 5000) + 0.02)
    sure, surest = (walked(bars + rng.normal(more, 0.1, 5000)) for more in (0.05, 0.06))
    assert 0.0 < advantage(luckier, usual) < 2.0
    assert strength({0.0: luckier, 1.0: usual}, 1.0) == 1.0
    assert strength({0.0: sure, 1.0: usual, 2.0: luckier}, 1.0) == 0.0
    assert strength({0.0: sure, 1.0: usual, 2.0: surest}, 1.0) == 2.0
