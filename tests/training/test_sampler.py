"""The tree of sums against plain arrays, and its draws against exact probabilities."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from broker.errors import BadInput
from training.sampler import SumTree

WEIGHT = st.one_of(st.just(0.0), st.floats(1e-6, 1e6))
CHANGES = st.lists(st.lists(st.tuples(st.integers(0, 599), WEIGHT), max_size=80), max_size=8)


@settings(max_examples=60)
@given(st.integers(1, 600), CHANGES)
def test_weights_and_total_follow_assignments(capacity: int, changes: list[list[tuple[int, float]]]) -> None:
    """After any history the leaves are what was assigned last, and the total is their sum, without drift."""
    tree, naive = SumTree(capacity), np.zeros(capacity)
    for batch in changes:
        slots = np.array([slot % capacity for slot, _ in batch], np.int64)
        weights = np.array([weight for _, weight in batch], np.float64)
        tree.assign(slots, weights)
        for slot, weight in zip(slots, weights, strict=True):
            naive[slot] = weight
    fresh = SumTree(capacity)
    fresh.fill(naive)
    assert tree.weights.tolist() == naive.tolist()
    assert tree.total == fresh.total
    assert tree.total == pytest.approx(naive.sum(), rel=1e-12)


@settings(max_examples=60)
@given(st.lists(WEIGHT, min_size=1, max_size=700), st.integers(0, 100), st.integers(0, 2**32))
def test_a_batch_holds_no_slot_twice(weights: list[float], n: int, seed: int) -> None:
    """A batch is of different slots with a weight, as many as asked for or as there are; drawing changes nothing."""
    tree = SumTree(len(weights))
    tree.fill(np.array(weights))
    total = tree.total
    drawn = tree.draw(n, np.random.default_rng(seed)).tolist()
    assert len(set(drawn)) == len(drawn) == min(n, np.count_nonzero(weights))
    assert all(weights[slot] > 0.0 for slot in drawn)
    assert tree.weights.tolist() == weights
    assert tree.total == total


class _Extremes:
    """Uniforms that begin with the largest and the smallest there are."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def random(self, n: int) -> np.ndarray:
        """`[n]` float64 in [0, 1)."""
        drawn = self._rng.random(n)
        drawn[::3], drawn[1::3] = np.nextafter(1.0, 0.0), 0.0
        return drawn


@settings(max_examples=100)
@given(st.integers(1, 600), st.lists(st.tuples(st.integers(0, 599), st.floats(0.0, 1e6)), min_size=1, max_size=90))
def test_rounding_never_leaves_the_tree(capacity: int, chosen: list[tuple[int, float]]) -> None:
    """At the very ends of the uniform numbers, and with weights of any size, what is drawn has a weight."""
    tree = SumTree(capacity)
    for slot, weight in chosen:
        tree.assign(np.array([slot % capacity]), np.array([weight]))
    before = tree.weights.copy()
    drawn = tree.draw(100, _Extremes(len(chosen)))  # type: ignore[arg-type]
    assert (tree.weights[drawn] > 0.0).all() and len(np.unique(drawn)) == len(drawn)
    assert (tree.weights == before).all()


def test_draws_are_proportional_to_weights() -> None:
    """Single draws follow the weights (chi-squared), after updates too."""
    rng = np.random.default_rng(3)
    tree = SumTree(300)
    tree.fill(rng.random(300) * 10)
    tree.assign(np.arange(0, 300, 3), rng.random(100) * 40)
    counts = np.bincount([int(tree.draw(1, rng)[0]) for _ in range(60_000)], minlength=300)
    assert chisquare(counts, tree.weights / tree.weights.sum() * counts.sum()).pvalue > 1e-4


def test_batches_are_successive_draws_without_replacement() -> None:
    """The ordered outcome of a batch has the probability of drawing one after another from what is left."""
    weights = np.array([8.0, 1.0, 0.0, 2.0, 0.5])
    tree, rng = SumTree(5), np.random.default_rng(4)
    tree.fill(weights)
    orders = list(permutations([0, 1, 3, 4], 3))
    expected = []
    for order in orders:
        left, chance = weights.sum(), 1.0
        for slot in order:
            chance *= weights[slot] / left
            left -= weights[slot]
        expected.append(chance)
    seen = dict.fromkeys(orders, 0)
    for _ in range(40_000):
        seen[tuple(tree.draw(3, rng).tolist())] += 1
    assert chisquare(list(seen.values()), np.array(expected) * 40_000).pvalue > 1e-4


def test_equal_weights_draw_uniformly() -> None:
    """The unbiased half: every step is as likely as any other to be in a batch."""
    tree, rng = SumTree(512), np.random.default_rng(5)
    tree.fill(np.ones(512))
    counts = np.bincount(np.concatenate([tree.draw(64, rng) for _ in range(2_000)]), minlength=512)
    spread = ((counts - 250.0) ** 2).sum() / (2_000 * (64 / 512) * (1 - 64 / 512))
    assert 512 - 6 * (2 * 512) ** 0.5 < spread < 512 + 6 * (2 * 512) ** 0.5


@pytest.mark.parametrize(("slot", "weight"), [(-1, 1.0), (8, 1.0), (0, -1.0), (0, np.nan), (0, np.inf)])
def test_nonsense_is_refused_and_changes_nothing(slot: int, weight: float) -> None:
    """A slot outside the tree, a negative or an endless weight is an error before anything is written."""
    tree = SumTree(8)
    with pytest.raises(BadInput):
        tree.assign(np.array([1, slot]), np.array([5.0, weight]))
    assert tree.total == 0.0
