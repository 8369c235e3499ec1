"""The learner: networks, their moving average, and one gradient step on a batch of unrolled situations.

A situation is a decision looked at from all three positions. Each is unrolled K bars along the tape: an action leads
to an afterstate, the observed outcome of the market is the chance code that leads on. What every part learns:

    policy        the improved policy of each situation                 cross-entropy
    value         TD(lambda) returns of states and of afterstates       cross-entropy, two-hot over transformed values
    outcome       the outcome that was observed                         cross-entropy
    reward        what the bar earned, in sigma                         squared error
    consistency   the state that the next observation has               cosine, through a predictor

Stochastic MuZero: Antonoglou et al. 2022. Consistency: Ye et al. 2021 (EfficientZero). Two-hot and transform: MuZero.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from broker.types import Action
from strategy.network_layout import Sizes
from strategy.network_tile import Float32s
from training.networks import Networks, normalise
from training.targets import NEXT, POSITIONS

GONE = -1e9
"""Logit of an illegal action."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to learn.

    Attributes:
        passes: most times that each situation is learned from.
        batch: situations a step, each from three positions. unroll: bars.
        rate: of AdamW, falling to zero. clip: largest norm of the gradient.
        decay: of the weights. window_decay: of those that read a window of bars: ten times the inputs, and no more bars
            to learn from.
        discount, trace: gamma and lambda of the returns.
        beta: step of the policy improvement, `softmax(logits + beta * return)`.
        average: of the moving average that targets, play and the model use.
        value_weight, outcome_weight, reward_weight, consistency_weight: of the losses; the policy's is 1.
        mirrored: learn from the mirror image too.
    """

    passes: int = 24
    batch: int = 256
    unroll: int = 2
    rate: float = 2e-3
    decay: float = 0.02
    window_decay: float = 4.0
    clip: float = 5.0
    discount: float = 0.96
    trace: float = 0.9
    beta: float = 3.0
    average: float = 0.995
    value_weight: float = 0.25
    outcome_weight: float = 0.25
    reward_weight: float = 0.25
    consistency_weight: float = 0.1
    mirrored: bool = True


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each situation of a batch counts for which losses; 0 where something isn't known.

    Attributes:
        policy: `[B, K + 1, P] float32`. state: `[B, K + 1] float32`, of the consistency, from bar 1 on.
        event: `[B, K + 1] float32`, of value, reward and outcome.
    """

    policy: Tensor
    state: Tensor
    event: Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """B decisions from three positions (P = 3), unrolled K bars.

    Attributes:
        inputs: `[B, K + 1, P, k] float32`, normalised; bar 0 and, for consistency, those that follow.
        label: `[B, K] int64`.
        reward: `[B, K, P, P] float32`, from a position to the next one.
        policy: `[B, K + 1, P, A] float32`. state_value: `[B, K + 1, P] float32`.
        action_value: `[B, K, P, A] float32`, of the afterstates.
        action: `[B, K, P] int64`, what is tried from each position: the path answers any.
        weights: None: everything counts alike.
    """

    inputs: Tensor
    label: Tensor
    reward: Tensor
    policy: Tensor
    state_value: Tensor
    action_value: Tensor
    action: Tensor
    weights: Weights | None = None


@dataclass(frozen=True, slots=True)
class Losses:
    """Mean losses of a step, nats or squared sigma; `td_error` is the mean |value - return| of the batch, sigma."""

    total: float
    value: float
    policy: float
    reward: float
    outcome: float
    consistency: float
    td_error: float


class Learner:
    """Networks in training.

    Args:
        sizes: of the networks. recipe: how to learn. legal: `[P, A]`, legal actions by position. seed: of the weights.

    Attributes:
        networks, average: the weights, and their moving average. steps: made so far.
        td_errors: `[B, P]`, |value - return| of the last batch's decisions, sigma.
    """

    def __init__(self, sizes: Sizes, recipe: Recipe, legal: Any, seed: int) -> None:
        self.networks = Networks(sizes, seed)
        self.predictor = nn.Linear(sizes.hidden, sizes.hidden)
        nn.init.eye_(self.predictor.weight)
        nn.init.zeros_(self.predictor.bias)
        for head in (self.networks.policy, self.networks.value, self.networks.outcome):
            nn.init.zeros_(head.output.weight)
            nn.init.zeros_(head.output.bias)
        self.average = copy.deepcopy(self.networks).requires_grad_(False)
        self.recipe, self.steps = recipe, 0
        self.td_errors = torch.zeros(0, POSITIONS)
        self._mask = torch.where(torch.as_tensor(legal), 0.0, GONE)
        self._next = torch.as_tensor(NEXT)
        self._weights = [*self.networks.parameters(), *self.predictor.parameters()]
        decay = recipe.window_decay if sizes.window else recipe.decay
        self._optimizer = torch.optim.AdamW(self._weights, lr=recipe.rate, weight_decay=decay)

    def step(self, batch: Batch, progress: float) -> Losses:
        """Learn from a batch.

        Args:
            progress: share of the run that is over, 0 to 1; the rate falls to zero with it.
        """
        total, losses = self._losses(batch)
        warm = min(1.0, (self.steps + 1) / 100.0)
        for group in self._optimizer.param_groups:
            group["lr"] = self.recipe.rate * warm * max(1.0 - progress, 0.0)
        self._optimizer.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._weights, self.recipe.clip)
        self._optimizer.step()
        self.steps += 1
        with torch.no_grad():
            share = max(1.0 - self.recipe.average, 1.0 / (self.steps / 10.0 + 1.0))
            torch._foreach_lerp_(list(self.average.parameters()), list(self.networks.parameters()), share)
        return losses

    def _losses(self, batch: Batch) -> tuple[Tensor, Losses]:
        recipe, networks, weights = self.recipe, self.networks, batch.weights
        count = len(batch.label)
        position = torch.arange(POSITIONS).expand(count, POSITIONS)
        hidden = represent(networks, batch.inputs[:, 0])
        policy, value, guess = self._heads(batch, 0, position, hidden)
        with torch.no_grad():
            self.td_errors = (networks.expected_value(guess) - batch.state_value[:, 0]).abs()
        outcome, reward, consistency = torch.zeros(()), torch.zeros(()), torch.zeros(())
        with torch.no_grad():
            seen = represent(self.average, batch.inputs[:, 1:]) if recipe.consistency_weight else None
        for k in range(recipe.unroll):
            event = weights.event[:, k] if weights else None
            action = batch.action[:, k].gather(1, position)
            after = networks.afterstate(hidden, action)
            code = batch.label[:, k, None].expand(-1, POSITIONS)
            guess = networks.outcome(after).flatten(0, 1)
            surprise = functional.cross_entropy(guess, code.flatten(), reduction="none").reshape(code.shape)
            outcome = outcome + mean(surprise, event)
            worth = pick(batch.action_value[:, k], position).gather(-1, action.unsqueeze(-1)).squeeze(-1)
            value = value + mean(self._value_loss(networks.value(after), worth), event)
            following = self._next[position, action]
            hidden = networks.dynamics(after, code)
            earned = pick(batch.reward[:, k], position).gather(-1, following.unsqueeze(-1)).squeeze(-1)
            reward = reward + mean(
                functional.mse_loss(networks.dynamics.reward(hidden).squeeze(-1), earned, reduction="none"), event
            )
            position = following
            if seen is not None:
                likeness = functional.cosine_similarity(self.predictor(hidden), pick(seen[:, k], position), dim=-1)
                consistency = consistency - mean(likeness, weights.state[:, k + 1] if weights else None)
            more_policy, more_value, _ = self._heads(batch, k + 1, position, hidden)
            policy, value = policy + more_policy / recipe.unroll, value + more_value
            hidden = half_gradient(hidden)
        scale = 1.0 / max(recipe.unroll, 1)
        value = value / (2 * recipe.unroll + 1)
        outcome, reward, consistency = outcome * scale, reward * scale, consistency * scale
        total = (
            policy
            + recipe.value_weight * value
            + recipe.outcome_weight * outcome
            + recipe.reward_weight * reward
            + recipe.consistency_weight * consistency
        )
        parts = (total, value, policy, reward, outcome, consistency, self.td_errors.mean())
        return total, Losses(*(float(part.detach()) for part in parts))

    def _heads(self, batch: Batch, k: int, position: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Policy loss, value loss and value logits of the states `hidden`, k bars on."""
        weights = batch.weights
        wanted = pick(batch.policy[:, k], position)
        logits = self.networks.policy(hidden) + self._mask[position]
        policy = mean(
            -(wanted * logits.log_softmax(-1)).sum(-1), weights.policy[:, k].gather(1, position) if weights else None
        )
        worth = batch.state_value[:, k].gather(1, position)
        guess = self.networks.value(hidden)
        return policy, mean(self._value_loss(guess, worth), weights.event[:, k] if weights else None), guess

    def _value_loss(self, logits: Tensor, worth: Tensor) -> Tensor:
        """`[B, P]`, of value logits `[B, P, bins]` and returns `[B, P]`."""
        wanted = self.networks.two_hot(worth.flatten())
        return -(wanted * logits.flatten(0, -2).log_softmax(-1)).sum(-1).reshape(worth.shape)

    def look(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """What the averaged networks think: policy logits `[..., A]` (GONE where illegal), values `[...]`.

        Args:
            inputs: `[..., P, k]`, normalised.
        """
        with torch.no_grad():
            hidden = represent(self.average, inputs)
            return self.average.policy(hidden) + self._mask, self.average.expected_value(self.average.value(hidden))

    def foresee(self, inputs: Tensor, label: Tensor) -> Tensor:
        """Values `[B, P]` of the states after a HOLD, as the averaged networks imagine them, given what happened.

        Args:
            inputs: `[B, P, k]`, normalised. label: `[B] int64`, the outcome that was observed.
        """
        with torch.no_grad():
            held = torch.full(inputs.shape[:-1], Action.HOLD)
            after = self.average.afterstate(represent(self.average, inputs), held)
            state = self.average.dynamics(after, label[:, None].expand(held.shape))
            return self.average.expected_value(self.average.value(state))

    def start_from(self, tensors: Mapping[str, Float32s]) -> None:
        """Begin with the weights of another model, by name."""
        state = {name: torch.from_numpy(values.copy()) for name, values in tensors.items()}
        self.networks.load_state_dict(state)
        self.average.load_state_dict(state)

    def state(self) -> dict[str, Any]:
        """All that a later run needs to go on exactly from here; a copy."""
        state = {
            "networks": self.networks.state_dict(),
            "predictor": self.predictor.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "steps": self.steps,
        }
        return copy.deepcopy(state)

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.networks.load_state_dict(state["networks"])
        self.predictor.load_state_dict(state["predictor"])
        self.average.load_state_dict(state["average"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.steps = int(state["steps"])


def mean(loss: Tensor, weight: Tensor | None) -> Tensor:
    """Of losses `[B, P]`, by weights `[B, P]` or `[B]`; None: all alike."""
    if weight is None:
        return loss.mean()
    wide = weight.reshape(len(weight), -1).expand_as(loss)
    return (loss * wide).sum() / wide.sum().clamp(min=1.0)


def represent(networks: Networks, inputs: Tensor) -> Tensor:
    """`[..., P, k]` inputs to states `[..., P, hidden]`; what does not depend on the position is computed once."""
    shape, net = inputs.shape[:-1], networks.representation
    rows = inputs.flatten(0, -2)
    if net.window:
        first = net.window * net.columns
        steps = inputs[..., 0, :first].reshape(-1, net.window, net.columns)
        summary = net.last_step(steps).repeat_interleave(shape[-1], 0)
        rows = torch.cat([summary, rows[:, first:]], -1)
        return normalise(net.blocks(net.input(rows))).reshape(*shape, -1)
    hidden: Tensor = net(rows)
    return hidden.reshape(*shape, -1)


def pick(table: Tensor, position: Tensor) -> Tensor:
    """`[B, P, d]` by `[B, P]` positions to `[B, P, d]`."""
    return table.gather(1, position.unsqueeze(-1).expand(-1, -1, table.shape[-1]))


def half_gradient(hidden: Tensor) -> Tensor:
    """The same, with half of the gradient: deep unrolls do not drown the first step (MuZero)."""
    return hidden * 0.5 + hidden.detach() * 0.5
