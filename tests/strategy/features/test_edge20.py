"""Rules: feature set `edge20`."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from strategy.features import SPREAD, get, new_state, observe, on_close

SET = get("edge20")
MARKETS = st.sampled_from(["walk", "constant", "ramp", "calm", "spikes", "gaps"])
SCALES = st.sampled_from(["euro", "yen", "gold", "fine", "coarse", "huge"])
PIPS = st.floats(-1e4, 1e4)
DRAWDOWN = st.floats(0, 1e5)


def batch(market, figures, ema):
    """The 20 market inputs of every bar by the rules' formulas."""
    want = figures(market)
    moves = np.clip(want.change / want.sigma, -5, 5)
    padded = np.concatenate([np.zeros(15), moves])
    columns = [padded[lag : lag + len(moves)] for lag in range(16)]
    level = (market.halves - market.halves[0]) / np.longdouble(2 * market.points_per_pip)
    for n in (10, 40, 160):
        columns.append(np.clip(1.5 * (level - ema(level, n)) / (want.sigma * np.sqrt(np.longdouble(n))), -5, 5))
    columns.append(np.clip(np.log(want.sigma / want.spread), -5, 5))
    return np.stack(columns, axis=1)


@given(market=MARKETS, scale=SCALES, seed=st.integers(0, 2**32), bars=st.integers(1, 300))
def test_rows_follow_the_plain_formula(walk, fold, figures, ema, agree, market, scale, seed, bars):
    """Every market input of every row is the batch formula's within 1e-9."""
    market = walk(market, scale, seed, bars)
    _, rows = fold(market, SET)
    agree(rows[:, :20], batch(market, figures, ema))
    assert not rows[:, 20:].any()


def test_rows_hold_over_many_bars(walk, fold, figures, ema, agree):
    """Rounding doesn't pile up in 120,000 bars."""
    market = walk("gaps", "yen", 3, 120_000)
    _, rows = fold(market, SET)
    agree(rows[:, :20], batch(market, figures, ema))


@given(
    side=st.sampled_from([-1, 1]), open_pips=PIPS, peak=DRAWDOWN, dd=DRAWDOWN, total=DRAWDOWN, age=st.integers(0, 10**6)
)
def test_position_is_in_units_of_the_spread(side, open_pips, peak, dd, total, age):
    """Side, four amounts over the bar's spread clipped to +-10, ln(1 + bars since the entry)."""
    state, row = new_state(SET.kind), np.full(SET.size, np.nan)
    on_close(SET.kind, state, 13867.65, 1.7, 0.1, 0)
    observe(SET.kind, state, row, side, open_pips, peak, dd, total, age)
    amounts = [min(max(amount / state[SPREAD], -10.0), 10.0) for amount in (open_pips, peak, dd, total)]
    assert np.allclose(row[20:], [side, *amounts, math.log(1 + age)], rtol=0, atol=1e-12)


def test_columns_are_named_in_order():
    """20 market inputs, newest move last, then 6 of the position."""
    assert SET.size == 26
    assert SET.columns[0] == "move_15"
    assert SET.columns[15:20] == ("move_0", "deviation_10", "deviation_40", "deviation_160", "volatility")
    assert SET.columns[-SET.position :] == ("side", "open", "from_peak", "max_drawdown", "drawdown_sum", "age")
