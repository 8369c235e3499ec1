"""The gate: every bound is asked for, and no better figure makes it harder."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.gate import Bounds, Scores, judge, loses

GOOD = Scores(
    abstains=False, finite=True, trades=60, expectancy_low=0.5, improvement_low=3.0, p_earns=0.001, p_improves=0.001,
    tried=3, net_pips=200.0, drawdown_pips=50.0, decision_ms=0.5,
)  # fmt: skip
BAD = {
    "abstains": True, "finite": False, "trades": 29, "expectancy_low": 0.0, "improvement_low": -0.1, "p_earns": 0.011,
    "p_improves": 0.02, "net_pips": 49.0, "drawdown_pips": 201.0, "decision_ms": 51.0,
}  # fmt: skip
BOUNDS = Bounds(max_drawdown_pips=150.0)


@pytest.mark.parametrize("name", BAD)
def test_every_bound_holds_the_gate(name: str) -> None:
    """One bad figure is enough to be refused, and the reason says which."""
    assert judge(GOOD, BOUNDS).passed
    verdict = judge(replace(GOOD, **{name: BAD[name]}), BOUNDS)
    assert not verdict.passed
    assert len(verdict.reasons) == (2 if name == "drawdown_pips" else 1)


@pytest.mark.parametrize("name", ["expectancy_low", "improvement_low", "p_earns", "p_improves", "drawdown_pips"])
def test_what_is_no_number_is_refused(name: str) -> None:
    """NaN keeps no bound; nor does an interval of too few trades."""
    assert not judge(replace(GOOD, **{name: float("nan")}), BOUNDS).passed
    if name.endswith("_low"):
        assert not judge(replace(GOOD, **{name: None}), BOUNDS).passed


SCORES = st.builds(
    Scores,
    abstains=st.booleans(),
    finite=st.booleans(),
    trades=st.integers(0, 100),
    expectancy_low=st.none() | st.floats(-1.0, 1.0),
    improvement_low=st.none() | st.floats(-9.0, 9.0),
    p_earns=st.floats(0.0, 0.03),
    p_improves=st.floats(0.0, 0.03),
    tried=st.integers(1, 99),
    net_pips=st.floats(-100.0, 300.0),
    drawdown_pips=st.floats(0.0, 300.0),
    decision_ms=st.floats(0.0, 100.0),
)


@given(st.lists(st.booleans(), min_size=4, max_size=4), SCORES, st.integers(0, 100), st.floats(0.0, 0.01))
def test_better_figures_are_never_refused_for_it(which: list[bool], scores: Scores, more: int, less: float) -> None:
    """More trades, a better bound, a smaller p-value or drawdown never turn a pass into a refusal."""
    better = replace(
        scores,
        trades=scores.trades + more * which[0],
        expectancy_low=(scores.expectancy_low or 0.0) + more * which[1] if scores.expectancy_low is not None else None,
        p_earns=max(scores.p_earns - less * which[2], 0.0),
        drawdown_pips=scores.drawdown_pips / (1 + more * which[3]),
    )
    assert judge(better, BOUNDS).passed >= judge(scores, BOUNDS).passed


@given(SCORES)
def test_passing_means_no_reason(scores: Scores) -> None:
    """A pass has no reasons against it, a refusal has some."""
    verdict = judge(scores, Bounds())
    assert verdict.passed == (verdict.reasons == ())


def test_only_a_significant_loss_retires() -> None:
    """What loses every bar is found to lose; luck, standing aside and too few bars are not."""
    bars = np.random.default_rng(1).normal(size=20_000)
    assert loses(bars - 0.1, np.random.default_rng(0))
    assert not loses(bars + 0.02, np.random.default_rng(0))
    assert not loses(np.zeros(20_000), np.random.default_rng(0))
    assert not loses(np.full(30, -1.0), np.random.default_rng(0))
