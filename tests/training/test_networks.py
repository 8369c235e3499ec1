"""The torch networks: held to the kernels that play, and to what the TCN and the value head are meant to be."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from strategy import network as kernels
from strategy.network_layout import Sizes, pack, parts, workspace
from training.export import sizes_for
from training.networks import Networks, Representation, transform, untransform

SEEDS = st.integers(0, 2**32 - 1)
CLOSE = 1e-5


@settings(max_examples=25)
@given(
    seed=SEEDS, features=st.sampled_from(["edge20", "micro15"]), outcomes=st.sampled_from([3, 5, 7]),
    hidden=st.sampled_from([32, 64]), blocks=st.integers(0, 2), bins=st.sampled_from([51, 101]),
)  # fmt: skip
def test_kernels_equal_torch(seed: int, features: str, outcomes: int, hidden: int, blocks: int, bins: int) -> None:
    """Each net in turn: what the kernels play with is what torch learns, to 1e-5."""
    sizes = sizes_for(
        features, outcomes=outcomes, hidden=hidden, bins=bins, representation_blocks=blocks, afterstate_blocks=blocks,
        outcome_blocks=blocks, dynamics_blocks=blocks, policy_blocks=blocks, value_blocks=blocks,
    )  # fmt: skip
    networks, r = Networks(sizes, seed), np.random.default_rng(seed)
    network = pack(sizes, {name: tensor.numpy() for name, tensor in networks.state_dict().items()})
    rows, first, last = 5, np.int64(0), np.int64(5)
    work = workspace(network, rows)
    work.features[:] = r.normal(size=(rows, sizes.inputs))
    action, outcome = r.integers(0, 4, rows), r.integers(0, outcomes, rows)
    with torch.no_grad():
        state, policy, value = networks.represent(torch.from_numpy(work.features.copy()))
        kernels.represent(network, work, last)
        np.testing.assert_allclose(work.hidden, state, atol=CLOSE)
        kernels.policy(network, work, first, last)
        np.testing.assert_allclose(work.logits[:, :4], policy, atol=CLOSE)
        kernels.value(network, work, first, last)
        np.testing.assert_allclose(work.value, networks.expected_value(value), atol=CLOSE)

        decided = networks.decide(state, torch.from_numpy(action))
        work.given[:], work.code[:] = state, action
        kernels.after(network, work, first, last)
        np.testing.assert_allclose(work.hidden, decided.afterstate, atol=CLOSE)
        np.testing.assert_allclose(work.logits[:, :outcomes], decided.outcome, atol=CLOSE)
        kernels.value(network, work, first, last)
        np.testing.assert_allclose(work.value, networks.expected_value(decided.value), atol=CLOSE)

        moved = networks.move(decided.afterstate, torch.from_numpy(outcome))
        work.given[:], work.code[:] = decided.afterstate, outcome
        kernels.advance(network, work, first, last)
        np.testing.assert_allclose(work.hidden, moved.state, atol=CLOSE)
        np.testing.assert_allclose(work.reward[:, 0], moved.reward, atol=CLOSE)


def test_names_are_those_of_the_model_file() -> None:
    """A state dict has exactly the tensors that the kernels' layout names."""
    for features in ("edge20", "micro15"):
        sizes = sizes_for(features, policy_blocks=2)
        named = {f"{part.name}.{kind}" for part in parts(sizes) for kind in ("weight", "bias")}
        assert set(Networks(sizes).state_dict()) == named


def test_pairs_are_the_causal_tcn() -> None:
    """Merging neighbours is a causal convolution of kernel 2, dilations 1, 2, 4, 8, 16, read at its last step."""
    sizes = Sizes(inputs=294, window=32, columns=9, channels=16)
    net = Representation(sizes)
    steps = torch.from_numpy(np.random.default_rng(0).normal(size=(3, 32, 9)).astype(np.float32))
    with torch.no_grad():
        x = net.lift(steps).transpose(1, 2)
        for level, merge in enumerate(net.merges):
            older, newer = merge.weight.split(16, dim=1)
            kernel = torch.stack([older, newer], -1)
            dilation = 2**level
            convolved = functional.conv1d(functional.pad(x, (dilation, 0)), kernel, merge.bias, dilation=dilation)
            x = x + functional.relu(convolved)
        np.testing.assert_allclose(net.last_step(steps), x[:, :, -1], atol=1e-5)


def test_seed_decides_the_weights() -> None:
    """The same seed gives the same weights and leaves torch's own generator out of it; another gives others."""
    sizes = sizes_for("edge20", hidden=16)
    torch.manual_seed(1)
    one = Networks(sizes, 7).state_dict()
    torch.manual_seed(2)
    two, other = Networks(sizes, 7).state_dict(), Networks(sizes, 8).state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["policy.output.weight"], other["policy.output.weight"])


@given(value=st.floats(-1e4, 1e4))
def test_transform_and_back(value: float) -> None:
    """The transform is invertible over the real range."""
    x = torch.tensor([value], dtype=torch.float64)
    assert untransform(transform(x)).item() == pytest.approx(value, rel=1e-9, abs=1e-9)


@given(value=st.floats(-10, 10))
def test_two_hot_keeps_the_value(value: float) -> None:
    """A target over the bins has the value as its expectation, and no more than two neighbours share it."""
    networks = Networks(Sizes(inputs=1, hidden=16, bins=51, value_scale=0.1))
    target = networks.two_hot(torch.tensor([value], dtype=torch.float64))
    assert target.sum().item() == pytest.approx(1.0, abs=1e-6)
    assert int((target > 0).sum()) <= 2
    assert networks.expected_value(target.double().log()).item() == pytest.approx(value, abs=1e-4)


@pytest.mark.parametrize(("value", "bin_at"), [(1e6, 50), (-1e6, 0)])
def test_two_hot_clips(value: float, bin_at: int) -> None:
    """Values beyond the support count as its end."""
    target = Networks(Sizes(inputs=1, hidden=16)).two_hot(torch.tensor([value], dtype=torch.float64))
    assert target[0, bin_at] == 1.0
