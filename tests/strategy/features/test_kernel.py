"""What every feature set promises, whatever its columns."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategy.features import NONE, get, new_state, observe, on_close

SETS = st.sampled_from(["edge20", "micro15"])
MARKETS = st.sampled_from(["walk", "calm", "spikes", "gaps"])
SEEDS = st.integers(0, 2**32)


def take(features, state, market, bars):
    """Fold bars into the state; the row after each."""
    rows = np.empty((len(bars), features.size))
    for row, i in zip(rows, bars, strict=True):
        end = int(market.end[i])
        on_close(features.kind, state, market.close_pips[i], market.spread[i], 1.0 / market.points_per_pip, end)
        observe(features.kind, state, row, -1, 3.0, 1.0, 2.0, 4.0, 5)
    return rows


@given(name=SETS, market=MARKETS, seed=SEEDS, cut=st.integers(1, 199))
def test_rows_are_a_prefix(walk, fold, name, market, seed, cut):
    """A row never changes once made: what comes later leaves no trace in what came before."""
    whole = walk(market, "euro", seed, 200)
    start = type(whole)(whole.halves[:cut], whole.spread[:cut], whole.end[:cut], whole.points_per_pip)
    assert fold(start, get(name))[1].tobytes() == fold(whole, get(name))[1][:cut].tobytes()


@given(market=MARKETS, seed=SEEDS)
def test_micro15_window_slides(walk, fold, market, seed):
    """A bar's nine values are made once: each row's window is the one before, moved on by one bar."""
    _, rows = fold(walk(market, "yen", seed, 200), get("micro15"))
    assert rows[1:, : 31 * 9].tobytes() == rows[:-1, 9 : 32 * 9].tobytes()


@given(market=MARKETS, seed=SEEDS)
def test_edge20_moves_slide(walk, fold, market, seed):
    """A bar's move keeps the sigma of its own close."""
    _, rows = fold(walk(market, "yen", seed, 200), get("edge20"))
    assert rows[1:, :15].tobytes() == rows[:-1, 1:16].tobytes()


@given(name=SETS, market=MARKETS, seed=SEEDS, cut=st.integers(1, 199))
def test_copied_state_goes_on_the_same(walk, name, market, seed, cut):
    """A restart from a copy of the state gives the same bytes."""
    features, market = get(name), walk(market, "euro", seed, 200)
    state = new_state(features.kind)
    take(features, state, market, range(cut))
    copy = np.frombuffer(state.tobytes()).copy()
    assert take(features, state, market, range(cut, 200)).tobytes() == (
        take(features, copy, market, range(cut, 200)).tobytes()
    )
    assert state.tobytes() == copy.tobytes()


@pytest.mark.parametrize("name", ["edge20", "micro15"])
def test_looking_changes_nothing(walk, name):
    """`observe` leaves the state as it is, and flat rows know nothing of a position."""
    features, market = get(name), walk("walk", "euro", 4, 200)
    state = new_state(features.kind)
    held = take(features, state, market, range(200))[-1]
    before, flat = state.tobytes(), np.full(features.size, np.nan)
    observe(features.kind, state, flat, 0, 3.0, 1.0, 2.0, 4.0, 5)
    assert state.tobytes() == before
    assert not flat[-features.position :].any()
    assert held[-features.position :].all()
    assert flat[: -features.position].tobytes() == held[: -features.position].tobytes()


@given(name=SETS, seed=SEEDS, bars=st.integers(1, 200))
def test_inputs_stay_in_their_limits(walk, fold, name, seed, bars):
    """No row holds a NaN, an infinity or more than 5, whatever the market, from the first bar on."""
    _, rows = fold(walk("spikes", "huge", seed, bars), get(name))
    assert (np.abs(rows) <= 5.0).all()


def test_no_set_fills_no_row():
    """Kind NONE keeps the head alone."""
    state, row = new_state(NONE), np.full(3, 7.0)
    observe(NONE, state, row, 1, 1.0, 1.0, 1.0, 1.0, 1)
    assert row.tolist() == [7.0, 7.0, 7.0]
