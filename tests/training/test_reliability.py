"""Reliability: bins that add up, against a plain recount."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from strategy.network_layout import Sizes
from tests.training.made_tape import EDGE20
from training.networks import Networks
from training.reliability import outcomes_said, reliability
from training.targets import FLAT, legal_table

LEGAL = legal_table(allow_reverse=False)


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.integers(1, 60), st.sampled_from([3, 5, 7]))
def test_bins_are_a_recount(seed: int, n: int, outcomes: int) -> None:
    """Each prediction is in one bin of its outcome; the error is the mean gap, weighted by the bins' counts."""
    generator = np.random.default_rng(seed)
    said, label = generator.dirichlet(np.ones(outcomes), n), generator.integers(0, outcomes, n)
    found = reliability(said, label)
    assert sum(one.count for one in found.bins) == n * outcomes
    gap = 0.0
    for k in range(outcomes):
        for low in range(10):
            here = [i for i in range(n) if min(int(said[i, k] * 10), 9) == low]
            if here:
                gap += abs(sum(said[i, k] - (label[i] == k) for i in here))
    assert found.error == pytest.approx(gap / (n * outcomes))


def test_what_is_said_is_of_the_flat_traders_best_action() -> None:
    """Probabilities for every row, as the networks give them for one row and its action."""
    networks = Networks(Sizes(inputs=EDGE20.size, hidden=16, bins=51), 3)
    inputs = torch.randn(9, 3, EDGE20.size, generator=torch.Generator().manual_seed(1))
    said = outcomes_said(networks, [inputs[:4], inputs[4:]], LEGAL)
    assert said.shape == (9, 3)
    assert np.allclose(said.sum(1), 1.0)
    for row, probabilities in zip(inputs, said, strict=True):
        state, logits, _ = networks.represent(row[FLAT][None])
        action = max(np.flatnonzero(LEGAL[FLAT]), key=lambda a: float(logits[0, a].detach()))
        expected = networks.decide(state, torch.tensor([action])).outcome.softmax(-1)
        assert np.allclose(expected.detach().numpy()[0], probabilities, atol=1e-6)
