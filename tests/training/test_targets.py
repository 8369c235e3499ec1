"""Targets are what a plain reading of the rules gives, path by path."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from training.targets import ACTIONS, FLAT, NEXT, POSITIONS, Prices, legal_table, returns, walk

LEGAL = legal_table(allow_reverse=False)


@st.composite
def paths(draw: st.DrawFn, longest: int = 4) -> Prices:
    """Short paths with spreads and deviations of their own each bar."""
    n = draw(st.integers(1, longest))

    def column(low: float, high: float) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
        return np.array(draw(st.lists(st.floats(low, high), min_size=n, max_size=n)))

    return Prices(column(-5.0, 5.0), column(0.0, 2.0), column(0.5, 3.0))


def earned(prices: Prices, t: int, position: int, following: int) -> float:
    """The reward as the rules say it: hold the new side over the bar, pay half a spread a unit of change."""
    side, before = following - 1, position - 1
    return float((side * prices.change[t] - prices.half_spread[t] * abs(side - before)) / prices.sigma[t])


def choices(n: int, position: int) -> list[tuple[int, ...]]:
    """Every legal sequence of n actions from a position."""
    if n == 0:
        return [()]
    legal = np.flatnonzero(LEGAL[position])
    return [(int(a), *rest) for a in legal for rest in choices(n - 1, int(NEXT[position, a]))]


@given(paths(), st.floats(0.0, 1.0), st.integers(0, 2**32 - 1))
def test_returns_are_sums_over_every_future(prices: Prices, discount: float, seed: int) -> None:
    """With lambda 1 the value of a position is the mean over all action sequences, by the policy's probabilities."""
    n = len(prices.change)
    rng = np.random.default_rng(seed)
    policy = rng.random((n, POSITIONS, ACTIONS)) * LEGAL + 1e-3 * LEGAL
    policy /= policy.sum(-1, keepdims=True)
    value = rng.normal(size=(n + 1, POSITIONS))
    found = returns(prices, policy, value, discount, 1.0)
    for start in range(POSITIONS):
        expected = 0.0
        for sequence in choices(n, start):
            position, chance, total = start, 1.0, 0.0
            for t, action in enumerate(sequence):
                following = int(NEXT[position, action])
                chance *= policy[t, position, action]
                total += discount**t * earned(prices, t, position, following)
                position = following
            expected += chance * (total + discount**n * value[n, position])
        assert np.isclose(found.state[0, start], expected, atol=1e-9)


@given(paths(), st.integers(0, 2**32 - 1))
def test_without_trace_one_bar_is_looked_ahead(prices: Prices, seed: int) -> None:
    """With lambda 0 an action is worth its reward and the estimate of where it leads."""
    n = len(prices.change)
    value = np.random.default_rng(seed).normal(size=(n + 1, POSITIONS))
    policy = np.repeat((LEGAL / LEGAL.sum(1, keepdims=True))[None], n, 0)
    found = returns(prices, policy, value, 0.9, 0.0)
    for t, position, action in itertools.product(range(n), range(POSITIONS), range(ACTIONS)):
        following = int(NEXT[position, action])
        wanted = earned(prices, t, position, following) + 0.9 * value[t + 1, following]
        assert np.isclose(found.action[t, position, action], wanted)


@given(paths(longest=5))
def test_the_greedy_policy_is_the_best_plan(prices: Prices) -> None:
    """Improving against its own returns until nothing changes gives the best of all action sequences."""
    n = len(prices.change)
    policy = np.repeat((LEGAL / LEGAL.sum(1, keepdims=True))[None], n, 0)
    worth = np.zeros((n, POSITIONS, ACTIONS))
    for _ in range(n + 1):
        worth = np.where(LEGAL, returns(prices, policy, np.zeros((n + 1, POSITIONS)), 1.0, 1.0).action, -np.inf)
        policy = np.eye(ACTIONS)[worth.argmax(-1)]
    best = -np.inf
    for sequence in choices(n, FLAT):
        position, total = FLAT, 0.0
        for t, action in enumerate(sequence):
            following = int(NEXT[position, action])
            total += earned(prices, t, position, following)
            position = following
        best = max(best, total)
    assert np.isclose(worth[0, FLAT].max(), best)


@given(paths(), st.integers(0, 2**32 - 1))
def test_the_mirrored_market_mirrors_returns(prices: Prices, seed: int) -> None:
    """With moves negated, a short position is worth what a long one was."""
    n = len(prices.change)
    rng = np.random.default_rng(seed)
    policy = rng.random((n, POSITIONS, ACTIONS)) * LEGAL + 1e-3 * LEGAL
    policy /= policy.sum(-1, keepdims=True)
    value = rng.normal(size=(n + 1, POSITIONS))
    swap = np.array([0, 2, 1, 3])
    one = returns(prices, policy, value, 0.95, 0.8)
    other = returns(
        prices._replace(change=-prices.change), policy[:, ::-1][..., swap], value[:, ::-1].copy(), 0.95, 0.8
    )
    assert np.allclose(one.action, other.action[:, ::-1][..., swap])


@given(paths(), st.integers(0, 2**32 - 1))
def test_a_walk_pays_for_what_it_does(prices: Prices, seed: int) -> None:
    """The pips of a walk are those of its positions, bar by bar."""
    n = len(prices.change)
    rng = np.random.default_rng(seed)
    choice = np.array([[rng.choice(np.flatnonzero(LEGAL[p])) for p in range(POSITIONS)] for _ in range(n)])
    pips, held = walk(prices, choice)
    before = np.concatenate([[0], held[:-1]])
    assert np.allclose(pips, held * prices.change - prices.half_spread * np.abs(held - before))
