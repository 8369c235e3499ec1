"""How often the outcomes come that the model says: on held-out data, bin by bin, for a reliability diagram."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from broker.types import Float64s
from training.learner import represent
from training.networks import Networks
from training.targets import FLAT, Bools, Ints

BINS = 10
CHUNK = 4096


@dataclass(frozen=True, slots=True)
class Bin:
    """Predictions of one outcome that lie in one tenth.

    Attributes:
        outcome: from 0, the lowest. count: predictions. said: their mean. came: how often the outcome came.
    """

    outcome: int
    count: int
    said: float
    came: float


@dataclass(frozen=True, slots=True)
class Reliability:
    """Of n decisions: the bins that hold any, and the expected calibration error: the mean gap of said and came."""

    bins: tuple[Bin, ...]
    error: float


def reliability(said: Float64s, label: Ints) -> Reliability:
    """Of probabilities `[n, outcomes]` and what came, `[n]`.

    >>> reliability(np.array([[0.25, 0.75], [0.25, 0.75]]), np.array([0, 1])).bins[0]
    Bin(outcome=0, count=2, said=0.25, came=0.5)
    """
    place = np.minimum((said * BINS).astype(np.int64), BINS - 1)
    bins = []
    for outcome in range(said.shape[1]):
        for tenth in range(BINS):
            here = place[:, outcome] == tenth
            if here.any():
                came = float((label[here] == outcome).mean())
                bins.append(Bin(outcome, int(here.sum()), float(said[here, outcome].mean()), came))
    error = sum(one.count * abs(one.said - one.came) for one in bins)
    return Reliability(tuple(bins), error / max(said.size, 1))


def outcomes_said(networks: Networks, inputs: Iterable[Tensor], legal: Bools) -> Float64s:
    """`[n, outcomes]`: what the networks expect of the market at every decision, after the flat trader's best action.

    Args:
        inputs: stretches `[., 3, k]`, normalised, from all sides. legal: `[3, 4]`.
    """
    allowed = torch.from_numpy(legal[FLAT])
    found = []
    with torch.no_grad():
        for chunk in (part for stretch in inputs for part in torch.split(stretch, CHUNK)):
            hidden = represent(networks, chunk)[:, FLAT]
            action = networks.policy(hidden).masked_fill(~allowed, -torch.inf).argmax(-1)
            found.append(networks.outcome(networks.afterstate(hidden, action)).double().softmax(-1).numpy())
    return np.concatenate(found)
