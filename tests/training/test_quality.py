"""The quality rules against a naive reading of them."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from training.quality import Half, SessionExpectancy, half_of, mean_score, score, scores

PIPS = st.floats(-500.0, 500.0)
STEP = st.tuples(PIPS, st.booleans(), st.booleans(), st.booleans(), st.floats(-50.0, 50.0), PIPS, PIPS)


def naive_score(
    pip_pnl: float, trade_complete: bool, position_change: bool, done: bool, td_error: float, reward: float, mean: float
) -> Fraction:
    """The formula of the rules, term by term, in exact arithmetic."""
    pip, td, earned, session = (Fraction(value) for value in (pip_pnl, td_error, reward, mean))
    terms = [
        pip / 2 if pip > 0 else pip / 10,
        (Fraction(5) if pip > 0 else Fraction(1)) if trade_complete else Fraction(0),
        Fraction(3) if position_change else Fraction(0),
        Fraction(3, 2) if done else Fraction(0),
        min(abs(td), Fraction(5)) * Fraction(15, 100),
        min(earned / 10, Fraction(2)) if earned > 0 else Fraction(0),
        min(session * Fraction(3, 10), Fraction(3)) if session > 0 else Fraction(0),
    ]
    return max(sum(terms, Fraction(0)), Fraction(5, 100))


@given(STEP)
def test_score_is_the_formula(step: tuple[float, bool, bool, bool, float, float, float]) -> None:
    """Rules, Experience quality: every term, its sign and its cap."""
    assert abs(score(*step) - float(naive_score(*step))) < 1e-9


@given(st.lists(STEP, min_size=1, max_size=50))
def test_columns_score_as_single_steps(steps: list[tuple[float, bool, bool, bool, float, float, float]]) -> None:
    """The compiled twin agrees with the plain formula to the last bit."""
    kinds = (np.float64, np.bool_, np.bool_, np.bool_, np.float64, np.float64, np.float64)
    columns = [np.array(column, kind) for column, kind in zip(zip(*steps, strict=True), kinds, strict=True)]
    assert scores(*columns).tolist() == [score(*step) for step in steps]


@given(st.lists(st.floats(0.05, 100.0), min_size=1, max_size=40))
def test_trades_of_the_same_scores_tie(values: list[float]) -> None:
    """The mean does not depend on the order of the steps, so that ties are ties, and is right to one rounding."""
    shuffled = sorted(values, reverse=True)
    assert mean_score(values) == mean_score(shuffled)
    exact = sum(Fraction(value) for value in values) / len(values)
    assert abs(Fraction(mean_score(values)) - exact) <= exact * Fraction(2, 10**15)


@given(st.lists(PIPS, max_size=60))
def test_session_expectancy_is_the_mean_so_far(pips: list[float]) -> None:
    """Each trade is scored with the mean of its session's trades up to and with it."""
    session = SessionExpectancy()
    assert session.mean == 0.0
    for n, pip in enumerate(pips, 1):
        assert abs(session.completed(pip) - float(sum(map(Fraction, pips[:n])) / n)) < 1e-9


def test_halves_are_equal_and_fixed_by_the_id() -> None:
    """A trade's half hangs on its id alone, and each half gets half of them, without a pattern along a run."""
    halves = [half_of(f"run-{i % 37}", i) for i in range(20_000)]
    share = halves.count(Half.QUALITY) / len(halves)
    assert halves == [half_of(f"run-{i % 37}", i) for i in range(20_000)]
    assert abs(share - 0.5) < 5 * 0.5 / len(halves) ** 0.5
    changes = sum(a != b for a, b in pairwise(half_of("run", i) for i in range(20_000)))
    assert abs(changes / 20_000 - 0.5) < 5 * 0.5 / len(halves) ** 0.5
