"""The network kernels: rows alone and in batches, the register tile, the value transform."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategy import network as kernels
from strategy.network_layout import Network, Part, Sizes, Work, pack, parts, workspace
from strategy.network_tile import COLUMNS, accumulate, aligned, padded

SEEDS = st.integers(0, 2**32 - 1)
MICRO = Sizes(inputs=294, window=32, columns=9, channels=16, hidden=32, bins=101)
FLAT = Sizes(inputs=26, hidden=32, bins=21, outcomes=5, value_blocks=2, policy_blocks=0)


def drawn(sizes: Sizes, seed: int) -> dict[str, np.ndarray]:
    """Random tensors of the right shapes."""
    r = np.random.default_rng(seed)
    tensors = {}
    for part in parts(sizes):
        bound = max(part.inputs, 1) ** -0.5
        tensors[f"{part.name}.weight"] = r.uniform(-bound, bound, part.shape).astype(np.float32)
        tensors[f"{part.name}.bias"] = r.uniform(-bound, bound, part.outputs).astype(np.float32)
    return tensors


@settings(max_examples=60)
@given(
    seed=SEEDS, rows=st.integers(1, 9), inputs=st.integers(1, 70), tiles=st.integers(1, 7), extra=st.integers(0, 5)
)  # fmt: skip
def test_accumulate_is_a_matrix_product(seed: int, rows: int, inputs: int, tiles: int, extra: int) -> None:
    """`y += x W`, whatever the shape, and nothing outside the rows and columns asked for is touched."""
    r = np.random.default_rng(seed)
    outputs, width = tiles * COLUMNS, tiles * COLUMNS + extra
    w = r.normal(size=inputs * outputs).astype(np.float32)
    x, y = r.normal(size=(rows, inputs)).astype(np.float32), r.normal(size=(rows + 1, width)).astype(np.float32)
    before = y.copy()
    accumulate(w, 0, inputs, outputs, x, 0, inputs, y, 0, width, rows)
    wanted = before[:rows, :outputs] + x.astype(np.float64) @ w.reshape(inputs, outputs)
    np.testing.assert_allclose(y[:rows, :outputs], wanted, atol=2e-5)
    np.testing.assert_array_equal(y[rows:], before[rows:])
    np.testing.assert_array_equal(y[:, outputs:], before[:, outputs:])


@settings(max_examples=12)
@given(seed=SEEDS, sizes=st.sampled_from([MICRO, FLAT]))
def test_rows_have_the_same_bits_alone_and_together(seed: int, sizes: Sizes) -> None:
    """What a row becomes does not depend on the rows beside it: so batched search is single search."""
    network, rows = pack(sizes, drawn(sizes, seed)), 7
    together, alone = workspace(network, rows), workspace(network, 1)
    r = np.random.default_rng(seed)
    together.features[:] = r.normal(size=together.features.shape)
    together.code[:] = r.integers(0, 3, rows)
    answers = through(network, together, rows)
    for b in range(rows):
        alone.features[0], alone.code[0] = together.features[b], together.code[b]
        for one, every in zip(through(network, alone, 1), answers, strict=True):
            np.testing.assert_array_equal(one[0], every[b])


def through(network: Network, work: Work, rows: int) -> list[np.ndarray]:
    """All nets in a row, what each leaves."""
    first, last = np.int64(0), np.int64(rows)
    seen = []

    def keep(*arrays: np.ndarray) -> None:
        seen.extend(array.copy() for array in arrays)

    kernels.represent(network, work, last)
    kernels.policy(network, work, first, last)
    kernels.value(network, work, first, last)
    keep(work.hidden, work.logits, work.value)
    work.given[:] = work.hidden
    kernels.after(network, work, first, last)
    kernels.value(network, work, first, last)
    keep(work.hidden, work.logits[:, : network.outcomes], work.value)
    work.given[:] = work.hidden
    kernels.advance(network, work, first, last)
    keep(work.hidden, work.reward)
    return seen


@given(value=st.floats(-1e4, 1e4))
def test_untransform_inverts_the_transform(value: float) -> None:
    """The value transform of Pohlen et al. and its inverse agree over the real range of values."""
    squeezed = np.sign(value) * (np.sqrt(abs(value) + 1) - 1) + 1e-3 * value
    assert kernels.untransform(squeezed) == pytest.approx(value, rel=1e-9, abs=1e-9)


@given(seed=SEEDS, bins=st.sampled_from([3, 51, 101]), scale=st.floats(0.01, 60))
def test_value_is_the_mean_of_the_distribution(seed: int, bins: int, scale: float) -> None:
    """The expected bin under softmax, also for distributions so sharp that most weights vanish."""
    logits = (np.random.default_rng(seed).normal(size=bins) * scale).astype(np.float32)
    exact = np.exp(logits.astype(np.float64) - logits.max())
    wanted = (exact * (np.arange(bins) - bins // 2)).sum() / exact.sum()
    assert kernels._expectation(logits.copy(), bins) == pytest.approx(wanted, abs=2e-5)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_value_of_broken_logits_is_nan(odd: float) -> None:
    """One logit that is not finite is never averaged away."""
    logits = np.zeros(5, np.float32)
    logits[3] = odd
    assert np.isnan(kernels._expectation(logits, 5))


def test_pack_refuses_other_shapes() -> None:
    """A tensor of another shape or a missing one never reaches the kernels."""
    tensors = drawn(FLAT, 0)
    with pytest.raises(ValueError, match=r"dynamics\.reward"):
        pack(FLAT, {**tensors, "dynamics.reward.weight": np.zeros((2, 32), np.float32)})
    del tensors["policy.output.bias"]
    with pytest.raises(KeyError, match=r"policy\.output"):
        pack(FLAT, tensors)


def test_packed_rows_are_padded_with_zeros() -> None:
    """Layers of a few outputs take whole tiles, and the buffer begins on a cache line."""
    assert Part("value.output", 32, 21).length == 33 * padded(21)
    assert aligned(100).ctypes.data % 64 == 0
    network = pack(FLAT, {name: np.ones_like(tensor) for name, tensor in drawn(FLAT, 0).items()})
    real = sum((max(part.inputs, 1) + 1) * part.outputs for part in parts(FLAT))
    assert network.weights.sum() == real < len(network.weights)
