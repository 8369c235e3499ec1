"""A tape holds what the live session would see, and its mirror image the mirrored market."""

import numpy as np
import pytest

from broker.types import MINUTE
from strategy import features
from strategy.features import outcome_label
from tests.training.made_tape import WARMUP, quotes_of, swinging, tape_of
from training.tape import mirror_of


@pytest.mark.parametrize("feature_set", ["edge20", "micro15"])
def test_the_mirror_is_the_mirrored_market(feature_set: str) -> None:
    """Recording negated prices gives the mirror image of the tape, input by input and label by label."""
    place = np.random.default_rng(3).normal(0.0, 2.0, 400).cumsum()
    plain, negated = tape_of(quotes_of(place), feature_set), tape_of(quotes_of(-place), feature_set)
    mirrored = mirror_of(features.get(feature_set)).of(plain)
    assert np.allclose(mirrored.rows, negated.rows, atol=1e-6)
    assert np.allclose(mirrored.prices.change, negated.prices.change)
    assert (mirrored.label == negated.label).all()


def test_the_future_is_beside_the_row_not_in_it() -> None:
    """A row does not change when the quotes after it do; its change and label are of the next bar."""
    quotes = swinging(300, 1)
    whole = tape_of(quotes)
    shorter = tape_of(type(quotes)(quotes.time[:250], quotes.bid[:250], quotes.ask[:250]))
    n = len(shorter)
    assert n == 250 - WARMUP - 1
    assert (whole.rows[:n] == shorter.rows).all()
    mid = (quotes.bid + quotes.ask) / 20.0
    assert np.allclose(whole.prices.change, np.diff(mid)[WARMUP - 1 : WARMUP - 1 + len(whole)])
    assert (whole.time == (WARMUP + np.arange(len(whole))) * MINUTE).all()


def test_labels_are_the_rules() -> None:
    """The outcome label is that of the last 20 changes known at the decision."""
    quotes = swinging(300, 2)
    tape = tape_of(quotes)
    change = np.diff((quotes.bid + quotes.ask) / 20.0)
    for i in range(len(tape)):
        known = change[: WARMUP - 1 + i]
        assert tape.label[i] == outcome_label(change[WARMUP - 1 + i], float(np.std(known[-20:])))
    assert np.allclose(tape.prices.half_spread, 0.5)
