"""Rules: feature set `micro15`."""

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.types import DAY, HOUR, SECOND
from strategy.features import get, new_state, observe, on_close
from strategy.features.micro15 import week_hour

SET = get("micro15")
MARKETS = st.sampled_from(["walk", "constant", "ramp", "calm", "spikes", "gaps"])
SCALES = st.sampled_from(["euro", "yen", "gold", "fine", "coarse", "huge"])


def last(values, n):
    """For each t the last n values up to it, as many as there are."""
    return [values[max(0, t - n + 1) : t + 1] for t in range(len(values))]


def scaled(values, windows):
    """Min-max scaled over the windows; 0.5 where all is equal."""
    low = np.array([w.min() for w in windows])
    span = np.array([w.max() for w in windows]) - low
    return np.where(span > 0, (values - low) / np.where(span > 0, span, 1).astype(np.longdouble), 0.5)


def calendar_hour(time):
    """Hours since Sunday 22:00 UTC by the calendar, 120 at the week-end."""
    when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time // 1000)
    hour = when.hour + when.minute / 60 + when.second / 3600 + when.microsecond / 3.6e9
    if when.weekday() == 6:
        return hour - 22 if hour >= 22 else 120.0
    return min(2 + 24 * when.weekday() + hour, 120.0)


def batch(market, figures):
    """The 9 columns of every bar by the rules' formulas: `[n, 9]`."""
    c = market.halves
    closes = last(c, 60)
    height = np.array([w.max() - w.min() for w in closes])
    columns = [scaled(c, closes)]
    for values in (c - np.array([w[0] for w in last(c, 61)]), c - np.array([w[0] for w in last(c, 6)]), height):
        columns.append(scaled(values, last(values, 60)))
    columns.append(np.tanh(figures(market).change / 10))
    hours = np.array([calendar_hour(int(end)) for end in market.end])
    for angle in (2 * np.pi * np.floor(hours / 24) / 5, 2 * np.pi * hours / 120):
        columns += [np.cos(angle), np.sin(angle)]
    return np.stack(columns, axis=1)


def windows(columns):
    """Rows of 32 bars, oldest first, zero before the first bar."""
    padded = np.concatenate([np.zeros((31, 9)), columns])
    return np.stack([padded[t : t + 32].ravel() for t in range(len(columns))])


@given(market=MARKETS, scale=SCALES, seed=st.integers(0, 2**32), bars=st.integers(1, 260))
def test_rows_follow_the_plain_formula(walk, fold, figures, agree, market, scale, seed, bars):
    """Every input of every row is the batch formula's within 1e-9."""
    market = walk(market, scale, seed, bars)
    _, rows = fold(market, SET)
    agree(rows[:, :288], windows(batch(market, figures)))
    assert not rows[:, 288:].any()


def test_rows_hold_over_many_bars(walk, fold, figures, agree):
    """Rounding doesn't pile up in 110,000 bars: the newest of their 32 in each row."""
    market = walk("gaps", "euro", 5, 110_000)
    state, newest = new_state(SET.kind), np.empty((110_000, 9))
    row = np.empty(SET.size)
    for i, (close, spread, end) in enumerate(zip(market.close_pips, market.spread, market.end, strict=True)):
        on_close(SET.kind, state, close, spread, 0.1, end)
        observe(SET.kind, state, row, 0, 0.0, 0.0, 0.0, 0.0, 0)
        newest[i] = row[279:288]
    agree(newest, batch(market, figures))


@given(seed=st.integers(0, 2**32))
def test_complete_rows_forget_the_start(walk, fold, seed):
    """From min_bars on, a row is the same (but for rounding) whatever came before those bars."""
    market = walk("walk", "euro", seed, SET.min_bars + 40)
    late = type(market)(market.halves[40:], market.spread[40:], market.end[40:], market.points_per_pip)
    assert np.array_equal(fold(market, SET)[1][-1], fold(late, SET)[1][-1])


@given(
    side=st.sampled_from([-1, 1]),
    pips=st.floats(-1e3, 1e3),
    peak=st.floats(0, 1e3),
    dd=st.floats(0, 1e3),
    total=st.floats(0, 1e4),
    age=st.integers(0, 10**4),
)
def test_position_is_squashed(side, pips, peak, dd, total, age):
    """Side, then tanh(x / 100) of open pips, bars since entry, pips from peak, largest and accumulated drawdown."""
    state, row = new_state(SET.kind), np.full(SET.size, np.nan)
    on_close(SET.kind, state, 13867.65, 1.7, 0.1, 0)
    observe(SET.kind, state, row, side, pips, peak, dd, total, age)
    squashed = [math.tanh(x / 100) for x in (pips, age, peak, dd, total)]
    assert np.allclose(row[288:], [side, *squashed], rtol=0, atol=1e-12)


@given(time=st.integers(0, 2**61))
def test_week_has_120_hours(time):
    """The phase runs from Sunday 22:00 to Friday 22:00 UTC and stands over the week-end."""
    assert week_hour(time) == pytest.approx(calendar_hour(time), abs=1e-6)


def test_week_ends_where_it_begins():
    """Friday's close, the week-end and Sunday's open are one phase; a second on either side is near it."""
    friday_close = 1 * DAY + 22 * HOUR
    hours = [week_hour(time) % 120 for time in (friday_close, friday_close + DAY, friday_close + 2 * DAY)]
    assert hours == [0.0, 0.0, 0.0]
    assert week_hour(friday_close - SECOND) == pytest.approx(120, abs=1e-3)
    assert week_hour(friday_close + 2 * DAY + SECOND) == pytest.approx(0, abs=1e-3)


def test_columns_are_named_in_order():
    """32 bars of 9, oldest first, then 6 of the position."""
    assert (SET.size, SET.window, SET.static) == (294, (32, 9), 6)
    assert (SET.columns[0], SET.columns[279]) == ("place_31", "place_0")
    assert SET.columns[284:288] == ("day_cos_0", "day_sin_0", "hour_cos_0", "hour_sin_0")
    assert SET.columns[288:] == ("side", "open", "age", "from_peak", "max_drawdown", "drawdown_sum")
    assert len(set(SET.columns)) == SET.size
