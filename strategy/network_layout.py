"""Sizes of the networks, the layout of their packed weights, and the rows that the kernels work on."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from strategy.network_tile import Float32s, aligned, padded

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Sizes:
    """Shapes of a model's networks.

    Attributes:
        inputs: columns of an observation.
        window, columns: where `window` > 0, a row is `window` x `columns` (oldest first), then the static inputs;
            `window` is a power of two.
        channels: of the TCN, a multiple of 16.
        hidden: a multiple of 16.
        *_blocks: residual blocks of each net.
        bins: of the value's support, odd; `value_scale` is the distance between two in transformed units.
        outcomes: market outcomes (3, 5, 7), strongest rise first.
    """

    inputs: int
    window: int = 0
    columns: int = 0
    channels: int = 32
    hidden: int = 64
    representation_blocks: int = 1
    afterstate_blocks: int = 1
    outcome_blocks: int = 1
    dynamics_blocks: int = 1
    policy_blocks: int = 1
    value_blocks: int = 1
    bins: int = 51
    value_scale: float = 0.1
    actions: int = 4
    outcomes: int = 3

    @property
    def levels(self) -> int:
        """Layers of the TCN: kernel 2, dilations 1, 2, 4, ... up to half the window."""
        return max(self.window.bit_length() - 1, 0)

    @property
    def flat_inputs(self) -> int:
        """Inputs of the representation's first linear layer."""
        return self.inputs - self.window * self.columns + self.channels if self.window else self.inputs


@dataclass(frozen=True, slots=True)
class Part:
    """One linear layer (`weight [outputs, inputs]`, `bias`) or, with `inputs` 0, a layer norm (`weight`, `bias`)."""

    name: str
    inputs: int
    outputs: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of `weight` in the file."""
        return (self.outputs, self.inputs) if self.inputs else (self.outputs,)

    @property
    def length(self) -> int:
        """Floats in the packed buffer: weight rows, each padded to whole tiles, then the bias."""
        return (max(self.inputs, 1) + 1) * padded(self.outputs)


def parts(sizes: Sizes) -> Iterator[Part]:
    """Every layer in the order of the packed buffer, named as in the torch twin's state dict."""
    hidden = sizes.hidden

    def net(name: str, blocks: int) -> Iterator[Part]:
        for i in range(blocks):
            yield Part(f"{name}.blocks.{i}.norm", 0, hidden)
            yield Part(f"{name}.blocks.{i}.first", hidden, hidden)
            yield Part(f"{name}.blocks.{i}.second", hidden, hidden)

    if sizes.window:
        yield Part("representation.lift", sizes.columns, sizes.channels)
        for level in range(sizes.levels):
            yield Part(f"representation.merges.{level}", 2 * sizes.channels, sizes.channels)
    yield Part("representation.input", sizes.flat_inputs, hidden)
    yield from net("representation", sizes.representation_blocks)
    yield Part("afterstate.input", hidden + sizes.actions, hidden)
    yield from net("afterstate", sizes.afterstate_blocks)
    yield from net("outcome", sizes.outcome_blocks)
    yield Part("outcome.output", hidden, sizes.outcomes)
    yield Part("dynamics.input", hidden + sizes.outcomes, hidden)
    yield from net("dynamics", sizes.dynamics_blocks)
    yield Part("dynamics.reward", hidden, 1)
    yield from net("policy", sizes.policy_blocks)
    yield Part("policy.output", hidden, sizes.actions)
    yield from net("value", sizes.value_blocks)
    yield Part("value.output", hidden, sizes.bins)


class Network(NamedTuple):
    """Packed weights and where each net begins; what the kernels take.

    Attributes:
        weights: `[n] float32`, aligned.
        *_at: index of a net's first float; its blocks follow its first layer.
        value_scale: float64.
    """

    weights: Float32s
    inputs: int
    window: int
    columns: int
    channels: int
    levels: int
    hidden: int
    actions: int
    outcomes: int
    bins: int
    value_scale: float
    representation_at: int
    representation_blocks: int
    afterstate_at: int
    afterstate_blocks: int
    outcome_at: int
    outcome_blocks: int
    dynamics_at: int
    dynamics_blocks: int
    policy_at: int
    policy_blocks: int
    value_at: int
    value_blocks: int


def pack(sizes: Sizes, tensors: Mapping[str, Float32s]) -> Network:
    """Lay the named tensors of a torch state dict out for the kernels.

    Args:
        tensors: `<part>.weight` and `<part>.bias` of every part, float32.

    Raises:
        KeyError: a tensor is missing. ValueError: one has another shape.
    """
    layout = list(parts(sizes))
    weights = aligned(sum(part.length for part in layout))
    starts: dict[str, int] = {}
    at = 0
    for part in layout:
        starts.setdefault(part.name.split(".")[0], at)
        weight, bias = tensors[f"{part.name}.weight"], tensors[f"{part.name}.bias"]
        if weight.shape != part.shape or bias.shape != (part.outputs,):
            raise ValueError(f"{part.name} has shape {list(weight.shape)}, expected {list(part.shape)}")
        rows = weights[at : at + part.length].reshape(-1, padded(part.outputs))
        rows[:-1, : part.outputs] = weight.T if part.inputs else weight
        rows[-1, : part.outputs] = bias
        at += part.length
    return Network(
        weights, sizes.inputs, sizes.window, sizes.columns, sizes.channels, sizes.levels, sizes.hidden,
        sizes.actions, sizes.outcomes, sizes.bins, float(sizes.value_scale),
        starts["representation"], sizes.representation_blocks, starts["afterstate"], sizes.afterstate_blocks,
        starts["outcome"], sizes.outcome_blocks, starts["dynamics"], sizes.dynamics_blocks,
        starts["policy"], sizes.policy_blocks, starts["value"], sizes.value_blocks,
    )  # fmt: skip


class Work(NamedTuple):
    """Rows that the kernels read and write; one row a leaf.

    Attributes:
        features: `[B, inputs]` normalised observations. steps: `[2, window, channels]` of the TCN.
        given: `[B, hidden]` states or afterstates to go on from; code: `[B]` action or outcome taken there.
        hidden: `[B, hidden]` what follows.
        inner, outer: `[B, hidden]` scratch of the blocks. wide: `[B, padded bins]` value logits.
        logits: `[B, padded]` of policy or outcome. reward: `[B, 16]`, column 0. value: `[B] float64`.
    """

    features: Float32s
    steps: Float32s
    given: Float32s
    code: Ints
    hidden: Float32s
    inner: Float32s
    outer: Float32s
    wide: Float32s
    logits: Float32s
    reward: Float32s
    value: npt.NDArray[np.float64]


def workspace(network: Network, batch: int) -> Work:
    """Room for `batch` rows."""

    def rows(width: int) -> Float32s:
        return aligned(batch * width).reshape(batch, width)

    hidden = network.hidden
    steps = aligned(2 * max(network.window, 1) * network.channels).reshape(2, -1, network.channels)
    return Work(
        rows(network.inputs), steps, rows(hidden), np.zeros(batch, np.int64), rows(hidden),
        rows(hidden), rows(hidden), rows(padded(network.bins)),
        rows(padded(max(network.actions, network.outcomes))), rows(padded(1)), np.zeros(batch),
    )  # fmt: skip
