"""What there is to learn on tapes: every decision from every position, with targets made fresh for each pass.

Making targets anew from the current networks is reanalysis: situations are recorded once, what they teach moves on.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from broker.types import Float64s
from strategy.network_tile import Float32s
from training.inputs import Normaliser
from training.learner import Batch, Learner
from training.tape import Tape
from training.targets import ACTIONS, FLAT, POSITIONS, Bools, Ints, Prices, returns

CHUNK = 4096
"""Decisions looked at at once."""
CURIOUS = 0.5
"""Share of the tried actions that are drawn uniformly; the others come from the policy. Never from the policy target:
that knows how the path went on, and a model fed so believes that buying makes the market rise."""


class Lessons:
    """Tapes as batches.

    Args:
        tapes: mirrored ones included. normaliser: of their rows. legal: `[P, A]`.
    """

    def __init__(self, tapes: Sequence[Tape], normaliser: Normaliser, legal: Bools) -> None:
        self.tapes = tapes
        self._normaliser, self._legal = normaliser, legal
        self._starts = np.cumsum([0, *map(len, tapes)])
        self.rows = np.concatenate([normaliser.of(tape.rows) for tape in tapes])
        n = len(self.rows)
        self._label = np.concatenate([tape.label for tape in tapes])
        self._reward = np.concatenate([rewards(tape.prices) for tape in tapes])
        self._policy = np.zeros((n, POSITIONS, ACTIONS), np.float32)
        self._tried = np.zeros((n, POSITIONS, ACTIONS), np.float32)
        self._state_value = np.zeros((n, POSITIONS), np.float32)
        self._action_value = np.zeros((n, POSITIONS, ACTIONS), np.float32)

    def __len__(self) -> int:
        return len(self.rows)

    def inputs(self, index: Ints) -> Tensor:
        """`[..., P, k]` inputs of decisions, short, flat and long."""
        return torch.from_numpy(self._normaliser.from_all_sides(self.rows[index]))

    def look(self, learner: Learner, first: int, last: int) -> tuple[Float32s, Float64s]:
        """Policy logits `[n, P, A]` and values `[n, P]` of decisions `first` to `last`, by the averaged networks."""
        logits, values = [], []
        for start in range(first, last, CHUNK):
            some = learner.look(self.inputs(np.arange(start, min(start + CHUNK, last))))
            logits.append(some[0].numpy())
            values.append(some[1].numpy())
        return np.concatenate(logits), np.concatenate(values).astype(np.float64)

    def prepare(self, learner: Learner) -> None:
        """Make the targets of the next pass from the averaged networks."""
        recipe = learner.recipe
        for tape, start, stop in zip(self.tapes, self._starts[:-1], self._starts[1:], strict=True):
            logits, values = self.look(learner, start, stop)
            ahead = np.vstack([values, values[-1:]])
            policy = softmax(logits)
            found = returns(tape.prices, policy, ahead, recipe.discount, recipe.trace)
            self._tried[start:stop] = policy
            self._policy[start:stop] = softmax(logits + recipe.beta * found.action)
            self._state_value[start:stop] = found.state
            self._action_value[start:stop] = found.action

    def teach(self, index: Ints, position: Ints, policy: Float32s) -> None:
        """Replace policy targets of this pass by what a search found.

        Args:
            index, position: `[m]`, the situations. policy: `[m, A]`.
        """
        self._policy[index, position] = policy

    def batches(self, generator: np.random.Generator, size: int, unroll: int, count: int) -> Iterator[Batch]:
        """`count` batches, no decision twice; those too near the end of a tape to be unrolled are left out."""
        spans = zip(self._starts[:-1], self._starts[1:] - unroll, strict=True)
        starts = generator.permutation(np.concatenate([np.arange(a, b) for a, b in spans]))
        for i in range(count):
            yield self.batch(generator, starts[i * size : (i + 1) * size, None] + np.arange(unroll + 1))

    def batch(self, generator: np.random.Generator, bars: Ints) -> Batch:
        """Decisions `[B, K + 1]`, each row of them in order."""
        before = bars[:, :-1]
        return Batch(
            inputs=self.inputs(bars),
            label=torch.from_numpy(self._label[before]),
            reward=torch.from_numpy(self._reward[before]),
            policy=torch.from_numpy(self._policy[bars]),
            state_value=torch.from_numpy(self._state_value[bars]),
            action_value=torch.from_numpy(self._action_value[before]),
            action=torch.from_numpy(self._tries(generator, before)),
        )

    def _tries(self, generator: np.random.Generator, bars: Ints) -> Ints:
        """`[..., P]` actions to unroll: half of them drawn from the policy, half uniformly."""
        uniform = self._legal / self._legal.sum(1, keepdims=True)
        share = (1.0 - CURIOUS) * self._tried[bars] + CURIOUS * uniform
        drawn = generator.random((*bars.shape, POSITIONS, 1))
        action: Ints = (share.cumsum(-1) / share.sum(-1, keepdims=True) <= drawn).sum(-1)
        return np.minimum(action, ACTIONS - 1)


def rewards(prices: Prices) -> Float32s:
    """`[n, P, P] float32`: what a bar earns from a position to the next one, sigma (`targets.reward`)."""
    position = np.arange(POSITIONS) - FLAT
    moved = np.abs(position[None, :] - position[:, None])
    earned = position[None, None, :] * prices.change[:, None, None] - prices.half_spread[:, None, None] * moved
    result: Float32s = (earned / prices.sigma[:, None, None]).astype(np.float32)
    return result


def softmax(logits: Float64s | Float32s) -> Float64s:
    """Over the last axis, float64."""
    shifted = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    power = np.exp(shifted)
    result: Float64s = power / power.sum(-1, keepdims=True)
    return result
