"""Calibration: what was said against what came, by the rule of the outcomes."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from strategy.features import outcome_label
from training.calibration import SPAN, calibration_error, outcomes_after


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.integers(0, 60), st.sampled_from([3, 5]))
def test_outcomes_are_those_of_the_rule(seed: int, bars: int, outcomes: int) -> None:
    """Each by the deviation of the last SPAN changes known at the decision."""
    closes = np.cumsum(np.random.default_rng(seed).normal(size=bars + 1))
    found = outcomes_after(closes, outcomes)
    assert len(found) == bars
    for bar in range(bars):
        known = np.diff(closes[: bar + 1])[-SPAN:]
        width = float(np.std(known)) if len(known) == SPAN else 0.0
        assert found[bar] == outcome_label(closes[bar + 1] - closes[bar], width, outcomes=outcomes)


def test_honest_words_are_calibrated_and_boasts_are_not() -> None:
    """Probabilities that come true have an error near 0; certainty about chance has one of its excess."""
    generator = np.random.default_rng(1)
    said = generator.dirichlet([2.0, 2.0, 2.0], 20_000)
    came = (said.cumsum(1) < generator.random((20_000, 1))).sum(1)
    assert calibration_error(said, came) < 0.01
    boast = np.tile([1.0, 0.0, 0.0], (20_000, 1))
    assert calibration_error(boast, came) > 0.3
