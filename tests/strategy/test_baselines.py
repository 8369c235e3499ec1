"""The baselines: legal at all times, and each does what its name says."""

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import BadInput
from broker.types import Action, Bar, Instrument
from strategy.baselines import BASELINES
from strategy.plugin import Context, Observation, Strategy

EURO = Instrument("EUR_USD", -4, 5, Decimal("0.02"))
NAMES = sorted(BASELINES)
CLOSES = st.lists(st.integers(100_000, 100_400), min_size=1, max_size=80)


def make(name, seed=0, **settings):
    """A baseline as the session makes it."""
    return BASELINES[name](Context(EURO, np.random.SeedSequence(seed), None, settings))


def bar_at(close):
    """A closed bar of one price, points."""
    return Bar(0, 1, close, close, close, close, 1.0, int(close), int(close), 1)


def seen(close, side, reverse=False, sigma=1.0):
    """An observation with its legal mask by the rules."""
    legal = (True, side == 0 or (reverse and side < 0), side == 0 or (reverse and side > 0), side != 0)
    mid = int(close)
    return Observation(0, 1, EURO, bar_at(close), mid, mid, side, side, legal, None, sigma, 1.0, 0.0, 0)


def after(action, side):
    """The side that a legal action leads to."""
    return {Action.HOLD: side, Action.BUY: 1, Action.SELL: -1, Action.CLOSE: 0}[action]


def play(strategy, closes, reverse=False):
    """Actions and the sides before them when every order fills."""
    side, steps = 0, []
    for close in closes:
        strategy.on_bar(bar_at(close))
        observation = seen(close, side, reverse)
        action = strategy.decide(observation).action
        assert observation.legal[action]
        steps.append((side, action))
        side = after(action, side)
    return steps


@pytest.mark.parametrize("name", NAMES)
def test_each_is_a_strategy(name):
    """A baseline satisfies the protocol, is its own model and needs no features."""
    strategy = make(name)
    assert isinstance(strategy, Strategy)
    assert (strategy.model, strategy.feature_set) == (name, None)


@given(name=st.sampled_from(NAMES), closes=CLOSES, reverse=st.booleans(), seed=st.integers(0, 99))
def test_choices_are_legal_and_repeat(name, closes, reverse, seed):
    """Only legal actions, the same for the same seed, and no evidence of a search."""
    assert play(make(name, seed), closes, reverse) == play(make(name, seed), closes, reverse)
    choice = make(name).decide(seen(100_000, 0))
    assert choice.policy is choice.visits is choice.q is choice.outcome is choice.value is None


@given(name=st.sampled_from(NAMES), side=st.sampled_from([-1, 0, 1]), closes=CLOSES)
def test_a_mask_that_only_holds_is_obeyed(name, side, closes):
    """Whatever the market, HOLD where nothing else is legal."""
    strategy = make(name)
    for close in closes:
        strategy.on_bar(bar_at(close))
    found = seen(closes[-1], side)
    locked = replace(found, legal=(True, False, False, False))
    assert strategy.decide(locked).action is Action.HOLD


@given(closes=CLOSES)
def test_hold_never_trades(closes):
    """`hold` is the zero to measure from."""
    assert {action for _, action in play(make("hold"), closes)} == {Action.HOLD}


def test_random_is_uniform_over_legal_actions():
    """Each legal action as often as the next: 3,000 draws within five deviations, by its seed alone."""
    strategy = make("random", seed=5)
    for side, legal in ((0, {0, 1, 2}), (1, {0, 3})):
        actions = [strategy.decide(seen(1, side)).action for _ in range(3000)]
        counts = np.bincount(actions, minlength=4)
        share = 1 / len(legal)
        assert {int(action) for action in np.flatnonzero(counts)} == legal
        assert np.abs(counts[sorted(legal)] - 3000 * share).max() < 5 * np.sqrt(3000 * share * (1 - share))
    others = make("random", seed=6)
    again = make("random", seed=5)
    draws = [[s.decide(seen(1, 0)).action for _ in range(50)] for s in (others, again)]
    assert draws[0] != draws[1]


def test_random_activity_is_the_chance_to_pick():
    """0 never trades; a half holds half of the time and a third of the rest."""
    assert {make("random", activity=0.0).decide(seen(1, 0)).action for _ in range(50)} == {Action.HOLD}
    half = make("random", activity=0.5)
    held = np.mean([half.decide(seen(1, 0)).action == Action.HOLD for _ in range(4000)])
    assert abs(held - 2 / 3) < 0.04


def naive_ema(closes, period):
    """EMA started at the first close."""
    value, alpha = closes[0], 2 / (period + 1)
    for close in closes[1:]:
        value = alpha * close + (1 - alpha) * value
    return value


def toward(target, side, reverse):
    """What brings `side` to `target`: close first, then enter; at once where a reversal is legal."""
    if side == target:
        return Action.HOLD
    if target != 0 and (side == 0 or reverse):
        return Action.BUY if target > 0 else Action.SELL
    return Action.CLOSE


@given(closes=CLOSES, reverse=st.booleans(), fast=st.integers(2, 8), slow=st.integers(9, 30))
def test_ema_cross_goes_with_the_faster_average(closes, reverse, fast, slow):
    """Long above, short below; closes the wrong side first unless reversals are legal."""
    for i, (side, action) in enumerate(play(make("ema-cross", fast=fast, slow=slow), closes, reverse)):
        gap = naive_ema(closes[: i + 1], fast) - naive_ema(closes[: i + 1], slow)
        if abs(gap) > 1e-6:
            assert action == toward(1 if gap > 0 else -1, side, reverse)


@given(closes=st.lists(st.just(100_000), min_size=1, max_size=30))
def test_ema_cross_waits_while_nothing_moves(closes):
    """Equal averages are no signal."""
    assert {action for _, action in play(make("ema-cross"), closes)} == {Action.HOLD}


@given(closes=CLOSES, reverse=st.booleans(), n=st.integers(2, 40))
def test_mean_reversion_goes_against_the_distance(closes, reverse, n):
    """Enters beyond `enter`, leaves within `exit`, by the z-score of a random walk with steps sigma."""
    strategy = make("mean-reversion", n=n, enter=1.5, exit=0.25)
    for i, (side, action) in enumerate(play(strategy, closes, reverse)):
        pips = (closes[i] - naive_ema(closes[: i + 1], n)) / 10
        z = pips / ((n - 1) / (2 * n**0.5))
        if min(abs(abs(z) - 1.5), abs(abs(z) - 0.25)) < 1e-9:
            continue
        if abs(z) > 1.5:
            assert action == toward(-1 if z > 0 else 1, side, reverse)
        elif side * z > -0.25:
            assert action == (Action.CLOSE if side else Action.HOLD)
        else:
            assert action == Action.HOLD


def test_mean_reversion_scores_a_random_walk_as_normal():
    """On a random walk |z| > 1 in 31.7 % of the bars, as for any standard normal figure."""
    strategy, entries = make("mean-reversion", enter=1.0), 0
    closes = 100_000 + 10 * np.cumsum(np.random.default_rng(1).normal(0, 1, 60_000))
    for close in closes:
        strategy.on_bar(bar_at(close))
        entries += strategy.decide(seen(close, 0)).action != Action.HOLD
    assert abs(entries / len(closes) - 0.317) < 0.03


@pytest.mark.parametrize(
    ("name", "settings", "key"),
    [
        ("hold", {"n": 1}, "n"),
        ("random", {"activity": 1.5}, "activity"),
        ("random", {"activity": float("nan")}, "activity"),
        ("ema-cross", {"fast": 0}, "fast"),
        ("ema-cross", {"slow": 2.5}, "slow"),
        ("ema-cross", {"slow": True}, "slow"),
        ("ema-cross", {"quick": 3}, "quick"),
        ("mean-reversion", {"n": 1}, "n"),
        ("mean-reversion", {"exit": 2.0}, "exit"),
        ("mean-reversion", {"exit": -1}, "exit"),
        ("mean-reversion", {"enter": "far"}, "enter"),
    ],
)
def test_wrong_settings_are_refused(name, settings, key):
    """A setting that is unknown, of a wrong type or out of range is named."""
    with pytest.raises(BadInput, match=rf"{name}.*{key}"):
        make(name, **settings)
