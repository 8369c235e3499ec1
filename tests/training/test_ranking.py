"""How models are ranked, against a naive reading of the rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.ranking import NO_TRADES, standing


@given(st.lists(st.one_of(st.just(0.0), st.floats(-300, 300)), min_size=1, max_size=60))
def test_quality_score_is_by_expectancy(pips: list[float]) -> None:
    """Rules, Best model: a trade with pips > 0 wins, every other loses; four terms, two of them capped."""
    wins, losses = [p for p in pips if p > 0], [p for p in pips if not p > 0]
    rate = len(wins) / len(pips)
    gain = sum(wins) / len(wins) if wins else 0.0
    loss = -sum(losses) / len(losses) if losses else 0.0
    expectancy = rate * gain - (1 - rate) * loss
    found = standing(pips)
    expected = expectancy * 5 + sum(pips) / len(pips) * 0.5 + rate * min(len(pips), 10) * 2 + min(len(pips) * 0.1, 1)
    assert (found.trades, found.win_rate, found.avg_win, found.avg_loss) == pytest.approx((len(pips), rate, gain, loss))
    assert found.expectancy == pytest.approx(expectancy, abs=1e-9)
    assert found.quality_score == pytest.approx(expected, abs=1e-8)


def test_no_trades_rank_last() -> None:
    """A model that never trades is worse than any that does."""
    assert standing([]).quality_score == NO_TRADES == -1000.0
