"""The networks of Stochastic MuZero in torch: what `strategy.network` computes, in a form that learns.

Parameter names are those of the model file (`strategy.network_layout.parts`), so a state dict is an export.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from strategy.network import LN_EPSILON, TRANSFORM_EPSILON
from strategy.network_layout import Sizes


class Block(nn.Module):
    """`x + W2 relu(W1 LN(x))`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=LN_EPSILON)
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, width]` to the same."""
        added: Tensor = self.second(functional.relu(self.first(self.norm(x))))
        return x + added


def blocks(count: int, width: int) -> nn.Sequential:
    """`count` blocks in a row."""
    return nn.Sequential(*(Block(width) for _ in range(count)))


def normalise(x: Tensor) -> Tensor:
    """Layer norm without gain: how every hidden row leaves its net."""
    return functional.layer_norm(x, x.shape[-1:], eps=LN_EPSILON)


class Representation(nn.Module):
    """Observation to state; a window of bars goes through a causal TCN first.

    The TCN (kernel 2, dilations 1, 2, 4, ...) is read at its last step, which depends on a tree of neighbouring
    pairs: `merges[k]` turns each pair of steps into one.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.window, self.columns, self.channels = sizes.window, sizes.columns, sizes.channels
        if sizes.window:
            self.lift = nn.Linear(sizes.columns, sizes.channels)
            self.merges = nn.ModuleList(nn.Linear(2 * sizes.channels, sizes.channels) for _ in range(sizes.levels))
        self.input = nn.Linear(sizes.flat_inputs, sizes.hidden)
        self.blocks = blocks(sizes.representation_blocks, sizes.hidden)

    def forward(self, features: Tensor) -> Tensor:
        """`[B, inputs]` normalised features to `[B, hidden]`."""
        if self.window:
            first = self.window * self.columns
            steps = features[:, :first].reshape(-1, self.window, self.columns)
            features = torch.cat([self.last_step(steps), features[:, first:]], -1)
        return normalise(self.blocks(self.input(features)))

    def last_step(self, steps: Tensor) -> Tensor:
        """The TCN's last step `[B, channels]` over `[B, window, columns]`, oldest first."""
        x: Tensor = self.lift(steps)
        for merge in self.merges:
            pairs = x.reshape(len(x), -1, 2 * self.channels)
            x = pairs[..., self.channels :] + functional.relu(merge(pairs))
        return x[:, 0]


class Coded(nn.Module):
    """A hidden row and a one-hot code to the next hidden row."""

    def __init__(self, codes: int, count: int, width: int) -> None:
        super().__init__()
        self.codes = codes
        self.input = nn.Linear(width + codes, width)
        self.blocks = blocks(count, width)

    def forward(self, hidden: Tensor, code: Tensor) -> Tensor:
        """`[B, width]` and `[B] int64` to `[B, width]`."""
        one_hot = functional.one_hot(code, self.codes).to(hidden.dtype)
        return normalise(self.blocks(self.input(torch.cat([hidden, one_hot], -1))))


class Dynamics(Coded):
    """Afterstate and market outcome to the next state and the reward of the step."""

    def __init__(self, codes: int, count: int, width: int) -> None:
        super().__init__(codes, count, width)
        self.reward = nn.Linear(width, 1)


class Head(nn.Module):
    """Blocks and an output layer."""

    def __init__(self, count: int, width: int, outputs: int) -> None:
        super().__init__()
        self.blocks = blocks(count, width)
        self.output = nn.Linear(width, outputs)

    def forward(self, hidden: Tensor) -> Tensor:
        """`[B, width]` to logits `[B, outputs]`."""
        logits: Tensor = self.output(self.blocks(hidden))
        return logits


class Decided(NamedTuple):
    """After an action: afterstates `[B, hidden]`, outcome logits `[B, outcomes]`, value logits `[B, bins]`."""

    afterstate: Tensor
    outcome: Tensor
    value: Tensor


class Moved(NamedTuple):
    """After an outcome: states `[B, hidden]`, reward `[B]`, policy logits `[B, actions]`, value logits `[B, bins]`."""

    state: Tensor
    reward: Tensor
    policy: Tensor
    value: Tensor


class Networks(nn.Module):
    """All nets of a model.

    Args:
        sizes: of the nets.
        seed: of the initial weights (numpy's PCG64, the same on every machine); None leaves torch's own.
    """

    def __init__(self, sizes: Sizes, seed: int | None = None) -> None:
        super().__init__()
        self.sizes = sizes
        width = sizes.hidden
        self.representation = Representation(sizes)
        self.afterstate = Coded(sizes.actions, sizes.afterstate_blocks, width)
        self.outcome = Head(sizes.outcome_blocks, width, sizes.outcomes)
        self.dynamics = Dynamics(sizes.outcomes, sizes.dynamics_blocks, width)
        self.policy = Head(sizes.policy_blocks, width, sizes.actions)
        self.value = Head(sizes.value_blocks, width, sizes.bins)
        if seed is not None:
            self._draw(np.random.Generator(np.random.PCG64(seed)))

    def _draw(self, generator: np.random.Generator) -> None:
        """Weights and biases uniform within 1 / sqrt(inputs); norms start at identity."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                bound = module.in_features**-0.5
                for parameter in (module.weight, module.bias):
                    drawn = generator.uniform(-bound, bound, tuple(parameter.shape)).astype(np.float32)
                    parameter.data.copy_(torch.from_numpy(drawn))

    def represent(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`[B, inputs]` normalised features to states, policy logits and value logits."""
        state = self.representation(features)
        return state, self.policy(state), self.value(state)

    def decide(self, state: Tensor, action: Tensor) -> Decided:
        """States `[B, hidden]` and actions `[B] int64`."""
        afterstate = self.afterstate(state, action)
        return Decided(afterstate, self.outcome(afterstate), self.value(afterstate))

    def move(self, afterstate: Tensor, outcome: Tensor) -> Moved:
        """Afterstates `[B, hidden]` and outcomes `[B] int64`."""
        state = self.dynamics(afterstate, outcome)
        return Moved(state, self.dynamics.reward(state)[:, 0], self.policy(state), self.value(state))

    def expected_value(self, logits: Tensor) -> Tensor:
        """Values `[B] float64` of value logits `[B, bins]`."""
        bins = self.sizes.bins
        support = torch.arange(bins, dtype=torch.float64) - bins // 2
        return untransform((torch.softmax(logits.double(), -1) * support).sum(-1) * self.sizes.value_scale)

    def two_hot(self, value: Tensor) -> Tensor:
        """Targets `[B, bins] float32` for values `[B]`: transformed, clipped, shared between the two nearest bins."""
        bins = self.sizes.bins
        place = (transform(value) / self.sizes.value_scale + bins // 2).clamp(0, bins - 1)
        lower = place.floor().clamp(max=bins - 2)[:, None]
        share, left = (place[:, None] - lower).float(), lower.long()
        return torch.zeros(len(value), bins).scatter_(1, left, 1 - share).scatter_(1, left + 1, share)


def transform(value: Tensor) -> Tensor:
    """`sign(v) (sqrt(|v| + 1) - 1) + 0.001 v`: squeezes large values (Pohlen et al. 2018)."""
    return value.sign() * ((value.abs() + 1).sqrt() - 1) + TRANSFORM_EPSILON * value


def untransform(x: Tensor) -> Tensor:
    """Inverse of `transform`; takes float64, since it loses digits near 0."""
    root = (1 + 4 * TRANSFORM_EPSILON * (x.abs() + 1 + TRANSFORM_EPSILON)).sqrt()
    return x.sign() * (((root - 1) / (2 * TRANSFORM_EPSILON)) ** 2 - 1)
