"""The exam: networks on tapes that are never learned from, by their raw policy and with search."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from strategy.network_layout import Sizes, pack
from strategy.network_tile import Float32s
from strategy.search import new_search
from strategy.search_tree import ONE_SIDE, REVERSIBLE, rules
from training.heldout import Walked
from training.inputs import Normaliser
from training.learner import Learner
from training.selfplay import best_actions, play_rules
from training.tape import Tape
from training.targets import Bools, Ints, Prices, walk

AT_ONCE = 64


class Exam:
    """The held-out tapes, one after the other.

    Args:
        tapes: in order. normaliser: of their rows. legal: `[3, 4]`. sizes: of the networks.
        simulations: of a search. discount: of a bar.
    """

    def __init__(
        self,
        tapes: Sequence[Tape],
        normaliser: Normaliser,
        legal: Bools,
        sizes: Sizes,
        simulations: int,
        discount: float,
    ) -> None:
        self._tapes, self._normaliser, self._legal, self._sizes = tapes, normaliser, legal, sizes
        self._simulations, self._discount = simulations, discount
        self._rows = [normaliser.of(tape.rows) for tape in tapes]

    @property
    def inputs(self) -> list[tuple[Tape, Tensor]]:
        """The tapes, with their inputs from all sides `[n, 3, k]`."""
        sides = [torch.from_numpy(self._normaliser.from_all_sides(rows)) for rows in self._rows]
        return list(zip(self._tapes, sides, strict=True))

    def raw(self, learner: Learner) -> Walked:
        """By the averaged networks' policy without search."""
        return self._walked([learner.look(inputs)[0].argmax(-1).numpy() for _, inputs in self.inputs])

    def searched(self, tensors: Mapping[str, Float32s], beta: float) -> Walked:
        """By play with search."""
        chosen = rules(
            simulations=self._simulations,
            outcomes=self._sizes.outcomes,
            legality=REVERSIBLE if self._legal[0, 1] else ONE_SIDE,
            discount=self._discount,
            **play_rules(beta),
        )
        search = new_search(pack(self._sizes, tensors), chosen, 3 * AT_ONCE)
        return self._walked([best_actions(rows, self._normaliser.side, self._legal, search) for rows in self._rows])

    def _walked(self, choices: Sequence[Ints]) -> Walked:
        """Along all tapes as if they were one."""
        prices = Prices(*(np.concatenate(columns) for columns in zip(*(t.prices for t in self._tapes), strict=True)))
        return Walked(*walk(prices, np.concatenate(choices)))
