"""A test of one strategy over quotes in memory: every pip of its trades is in the bars, and none is made up."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.instruments import instrument
from broker.types import MINUTE, Quotes
from daemon.config import Config
from daemon.config import Model as ModelSection
from daemon.foldtest import Result, run_test
from strategy.baselines import EmaCross, Hold, Random

EUR_USD, WARMUP = instrument("EUR_USD"), 160
CONFIG = Config(model=ModelSection(warmup_bars=WARMUP))


def walk(seed: int, bars: int) -> Quotes:
    """A random walk, a quote a minute, one pip wide."""
    bid = 110_000 + np.cumsum(np.random.default_rng(seed).integers(-20, 21, bars))
    return Quotes(np.arange(bars) * MINUTE + 1, bid, bid + 10)


@settings(max_examples=10)
@given(st.integers(0, 1000), st.integers(WARMUP + 2, WARMUP + 80), st.sampled_from([Random, EmaCross]))
def test_bars_add_up_to_trades(seed: int, bars: int, strategy: type[Random] | type[EmaCross]) -> None:
    """What the bars earned is what the trades earned, once the last position is closed; a bar each decision."""
    found = run_test(walk(seed, bars), EUR_USD, CONFIG, strategy)
    assert len(found.bars) == bars - WARMUP
    assert found.bars.sum() == pytest.approx(found.trades.sum())
    assert 0 <= found.in_market <= len(found.bars)


def test_nothing_is_earned_by_holding_nothing() -> None:
    """No trade, no pip, no time in the market; joined results follow one another."""
    idle = run_test(walk(1, WARMUP + 9), EUR_USD, CONFIG, Hold)
    busy = run_test(walk(1, WARMUP + 60), EUR_USD, CONFIG, Random)
    assert (len(idle.trades), idle.bars.tolist(), idle.in_market) == (0, [0.0] * 9, 0)
    both = Result.joined([idle, busy])
    assert both.bars.tolist() == [*idle.bars, *busy.bars]
    assert both.trades.tolist() == busy.trades.tolist() != []
    assert both.in_market == busy.in_market > 0
