"""Self-play: many lanes along recorded tapes in lock-step, every decision searched with the current model.

A lane takes its own decisions from its own positions, so it visits the situations that the policy leads to. What the
search found there, its improved policy, becomes the policy target of that situation in the next pass.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from strategy.network_layout import Sizes, pack
from strategy.network_tile import Float32s
from strategy.search import Search, new_search
from strategy.search_tree import ONE_SIDE, REVERSIBLE, Bools, rules
from training.inputs import Normaliser
from training.targets import FLAT, NEXT, Ints

EPISODE = 500
"""Bars after which a lane begins anew elsewhere, flat."""


@dataclass(frozen=True, slots=True)
class Play:
    """How to search in self-play.

    Attributes:
        lanes: in lock-step. simulations: a decision. beta: `softmax(logits + beta * q)`. noise: of Gumbel's scale.
    """

    lanes: int = 64
    simulations: int = 12
    beta: float = 1.0
    noise: float = 1.0


def play_rules(beta: float) -> dict[str, Any]:
    """Search rules under which the improved policy is `softmax(logits + beta * q)`, whatever the visits."""
    still = 1e6
    return {"value_scale": beta / still, "visits_init": still}


@dataclass(frozen=True, slots=True)
class Visited:
    """Situations and what the search found there.

    Attributes:
        index, position: `[m] int64`. policy: `[m, 4] float32`, improved.
    """

    index: Ints
    position: Ints
    policy: Float32s


class Lanes:
    """Lanes over normalised rows.

    Args:
        rows: `[n, k] float32`. normaliser: says which column is the side. legal: `[3, 4]`.
        sizes: of the networks. play: how to search. discount: of a bar.
    """

    def __init__(
        self, rows: Float32s, normaliser: Normaliser, legal: Bools, sizes: Sizes, play: Play, discount: float
    ) -> None:
        self._rows, self._side, self._legal = rows, normaliser.side, legal
        self._sizes, self._play = sizes, play
        self._rules = rules(
            simulations=play.simulations,
            outcomes=sizes.outcomes,
            legality=REVERSIBLE if legal[0, 1] else ONE_SIDE,
            discount=discount,
            **play_rules(play.beta),
        )

    def run(self, tensors: Mapping[str, Float32s], generator: np.random.Generator, turns: int) -> Visited:
        """Play `turns` decisions in every lane with the networks of `tensors`."""
        play, count = self._play, self._play.lanes
        search = new_search(pack(self._sizes, tensors), self._rules, count)
        at = generator.integers(0, len(self._rows), count)
        position = np.full(count, FLAT)
        left = generator.integers(1, EPISODE + 1, count)
        visited = Visited(
            np.empty((turns, count), np.int64),
            np.empty((turns, count), np.int64),
            np.empty((turns, count, self._legal.shape[1]), np.float32),
        )
        for turn in range(turns):
            search.roots.noise[:] = play.noise * generator.gumbel(size=search.roots.noise.shape)
            self._ask(search, at, position)
            found = search.run()
            visited.index[turn], visited.position[turn], visited.policy[turn] = at, position, found.policy
            position = NEXT[position, found.action]
            at, left = at + 1, left - 1
            over = (left == 0) | (at == len(self._rows))
            at = np.where(over, generator.integers(0, len(self._rows), count), at)
            position, left = np.where(over, FLAT, position), np.where(over, EPISODE, left)
        return Visited(visited.index.ravel(), visited.position.ravel(), visited.policy.reshape(turns * count, -1))

    def _ask(self, search: Search, at: Ints, position: Ints) -> None:
        search.work.features[:] = self._rows[at]
        search.work.features[:, self._side] = position - FLAT
        search.roots.side[:] = position - FLAT
        search.roots.legal[:] = self._legal[position]


def best_actions(rows: Float32s, side: int, legal: Bools, search: Search) -> Ints:
    """`[n, 3]` what play with this search chooses at every row from every position.

    Args:
        rows: `[n, k]`, normalised. side: column of the position. search: its batch a multiple of 3.
    """
    batch = len(search.roots.side)
    size = batch // 3
    choice = np.empty((len(rows), 3), np.int64)
    position = np.tile(np.arange(3), size)
    search.roots.noise[:] = 0.0
    for start in range(0, len(rows), size):
        index = np.repeat(np.minimum(np.arange(start, start + size), len(rows) - 1), 3)
        search.work.features[:] = rows[index]
        search.work.features[:, side] = position - FLAT
        search.roots.side[:] = position - FLAT
        search.roots.legal[:] = legal[position]
        choice[index, position] = search.run().best
    return choice
