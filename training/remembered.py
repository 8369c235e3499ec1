"""What there is to learn from the store: who is drawn by quality learns what to do, who is drawn blindly what happens.

Selection by outcome is a winner's curse: among the trades that are kept because they won, the market seems to favour
whatever was done. So the two halves of the store serve different losses (rules: Two halves):

    quality half    drawn by score    policy and consistency; every situation drawn is searched again with the current
                                      averaged networks, whose policy it gets as target: never what became of it
    unbiased half   drawn uniformly   value, reward and outcome, with returns of the path as on a tape

Where a piece ends, what came next is unknown, or in the half that may not be looked at. Its last decisions are learned
from all the same, as far as they go: to leave out a step because a trade ended after it, or began, would be a selection
by outcome too. Their returns go on from the state that the averaged networks imagine after the observed outcome.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from strategy.network_layout import Sizes, pack
from strategy.network_tile import Float32s
from strategy.search import Search, new_search
from strategy.search_tree import ONE_SIDE, REVERSIBLE, rules
from training.inputs import Normaliser
from training.learner import Batch, Learner, Recipe, Weights
from training.lessons import Lessons, softmax
from training.memory import Memory, Stored
from training.quality import Half
from training.selfplay import Play, play_rules
from training.tape import Mirror
from training.targets import FLAT, POSITIONS, Bools, Ints, Prices, returns

SWAPPED: Ints = np.array([0, 2, 1, 3])
"""Actions in the mirrored market: SELL is BUY."""
SEARCHED_AT_ONCE = 192


@dataclass(frozen=True, slots=True)
class Recall:
    """Which half is drawn from. Anything else than this is for measuring what the rule is worth.

    Attributes:
        habits: for policy and consistency. events: for value, reward and outcome.
    """

    habits: Half = Half.QUALITY
    events: Half = Half.UNBIASED


class Recollection(Lessons):
    """The lessons of one half: every remembered decision and its mirror image, from every position.

    Args:
        memory: at least one decision. mirror: None: without the mirror image. outcomes: of the market.
    """

    def __init__(
        self, memory: Memory, mirror: Mirror | None, outcomes: int, normaliser: Normaliser, legal: Bools
    ) -> None:
        super().__init__([memory.tape, *([mirror.of(memory.tape, outcomes)] if mirror else [])], normaliser, legal)
        n = len(memory)
        self.memory, self.images = memory, len(self.tapes)
        self._place = np.full(memory.slots.max() + 1, -1)
        self._place[memory.slots] = np.arange(n)
        self._last = np.concatenate([memory.last + image * n for image in range(self.images)])
        self._position = np.concatenate([memory.position, 2 * FLAT - memory.position][: self.images])
        self._searched = np.zeros((len(self), POSITIONS), np.bool_)

    def prepare(self, learner: Learner) -> None:
        """Make the returns of the next pass from the averaged networks; policy targets are for `found` to bring."""
        recipe = learner.recipe
        logits, values = self.look(learner, 0, len(self))
        policy = softmax(logits)
        ends = np.unique(self._last)
        beyond = learner.foresee(self.inputs(ends), torch.from_numpy(self._label[ends])).numpy()
        prices = Prices(*(np.concatenate(some) for some in zip(*(tape.prices for tape in self.tapes), strict=True)))
        for start, stop, ahead in zip([0, *(ends[:-1] + 1)], ends + 1, beyond, strict=True):
            piece = Prices(*(some[start:stop] for some in prices))
            known = np.vstack([values[start:stop], ahead])
            found = returns(piece, policy[start:stop], known, recipe.discount, recipe.trace)
            self._action_value[start:stop], self._state_value[start:stop] = found.action, found.state
        self._tried[:], self._searched[:] = policy, False

    def places(self, slots: Ints) -> Ints:
        """Where steps of the reader are."""
        return self._place[slots]

    def situations(self, index: Ints) -> tuple[Float32s, Ints]:
        """Normalised rows `[m, k]` and positions `[m]` of decisions as they were met."""
        return self.rows[index], self._position[index]

    def found(self, index: Ints, policy: Float32s) -> None:
        """Take what searches found at `index` `[m]`, unmirrored, as policy targets `[m, A]`."""
        n = len(self.memory)
        for image, seen in enumerate([policy, policy[:, SWAPPED]][: self.images]):
            at = index + image * n
            self.teach(at, self._position[at], seen)
            self._searched[at, self._position[at]] = True

    def meet(self, generator: np.random.Generator, index: Ints, unroll: int) -> "Met":
        """Decisions `[B]` of the memory, each or its mirror image."""
        index = index + generator.integers(0, self.images, len(index)) * len(self.memory)
        ahead = index[:, None] + np.arange(unroll + 1)
        bars = np.minimum(ahead, self._last[index, None])
        known = torch.from_numpy((ahead == bars).astype(np.float32))
        searched = torch.from_numpy(self._searched[bars].astype(np.float32)) * known[..., None]
        return Met(self.batch(generator, bars), index, self._position[index], known, searched)


@dataclass(frozen=True, slots=True)
class Met:
    """Situations drawn.

    Attributes:
        batch: without weights. index, position: `[B] int64`.
        known: `[B, K + 1] float32`, 1 up to the end of the piece.
        searched: `[B, K + 1, P] float32`, 1 where the policy target comes from a search.
    """

    batch: Batch
    index: Ints
    position: Ints
    known: Tensor
    searched: Tensor


class Remembered:
    """What is drawn from the store for a learner, and how wrong the learner was about it.

    Args:
        stored: known steps; a half without any isn't drawn from. mirror: None: without the mirror image.
        sizes: of the networks. recipe: of the learner; its beta is that of the searches too, a step of improvement.
        play: how many simulations.
        recall: which half serves what. size: situations of each half in a learner step.

    Attributes:
        drawn: situations drawn so far. searched: of them searched again. written: TD errors written to the store.
    """

    def __init__(
        self,
        stored: Stored,
        mirror: Mirror | None,
        normaliser: Normaliser,
        legal: Bools,
        sizes: Sizes,
        recipe: Recipe,
        play: Play,
        recall: Recall,
        size: int,
    ) -> None:
        self._stored, self._recall, self._size, self._unroll = stored, recall, size, recipe.unroll
        self._halves = {
            half: Recollection(stored.known[half], mirror, sizes.outcomes, normaliser, legal)
            for half in dict.fromkeys((recall.habits, recall.events))
            if len(stored.known[half])
        }
        self._sizes, self._side, self._legal = sizes, normaliser.side, legal
        self._rules = rules(
            simulations=play.simulations,
            outcomes=sizes.outcomes,
            legality=REVERSIBLE if legal[0, 1] else ONE_SIDE,
            discount=recipe.discount,
            **play_rules(recipe.beta),
        )
        self._coming: list[Ints] = []
        self._met: list[tuple[Met, Memory]] = []
        self.drawn = self.searched = self.written = 0

    def prepare(self, learner: Learner, steps: int) -> None:
        """Draw the habits of the next `steps` learner steps, and make targets from the averaged networks."""
        for half in self._halves.values():
            half.prepare(learner)
        habits = self._halves.get(self._recall.habits)
        if habits is None:
            return
        self._coming = [self._draw(self._recall.habits) for _ in range(steps)]
        again = np.unique(np.concatenate(self._coming))
        tensors = {name: tensor.numpy() for name, tensor in learner.average.state_dict().items()}
        search = new_search(pack(self._sizes, tensors), self._rules, SEARCHED_AT_ONCE)
        habits.found(again, improved(search, *habits.situations(again), self._side, self._legal))
        self.searched += len(again)

    def batch(self) -> Batch:
        """The situations of the next learner step: habits first, then events."""
        self._met, parts = [], []
        if self._recall.habits in self._halves:
            met = self._meet(self._recall.habits, self._coming.pop(0))
            parts.append(replace(met.batch, weights=Weights(met.searched, met.known, torch.zeros_like(met.known))))
        if self._recall.events in self._halves:
            met = self._meet(self._recall.events, self._draw(self._recall.events))
            nothing = torch.zeros_like(met.searched), torch.zeros_like(met.known)
            parts.append(replace(met.batch, weights=Weights(*nothing, met.known)))
        return together(parts)

    def learned(self, td_errors: Tensor) -> None:
        """Score what the last batch drew again.

        Args:
            td_errors: `[B, P]` of a learner step that the batch was the end of.
        """
        errors = td_errors.numpy().astype(np.float64)
        rest = errors[len(errors) - sum(len(met.index) for met, _ in self._met) :]
        for met, memory in self._met:
            some, rest = rest[: len(met.index)], rest[len(met.index) :]
            index = met.index % len(memory)
            met_errors = some[np.arange(len(some)), met.position]
            self._stored.reader.learned(memory.slots[index], memory.ids[index], met_errors)

    def flush(self) -> None:
        """Write what was learned about the steps back to the store, in one transaction.

        Raises:
            StorageFault: the disk failed; it stays for the next time.
        """
        self.written += self._stored.reader.flush()

    def close(self) -> None:
        """Let go of the store; what was not flushed is forgotten."""
        self._stored.reader.abandon()

    def state(self) -> dict[str, Any]:
        """All that a later run needs to go on exactly, from the end of a pass and the same store."""
        steps = [self._stored.reader.steps(half) for half in Half]
        return {
            "revision": self._stored.revision,
            "generator": json.dumps(self._stored.generator.bit_generator.state),
            "ids": torch.from_numpy(np.concatenate([some.ids[:, 0] for some in steps])),
            "td_errors": torch.from_numpy(np.concatenate([some.columns["td_error"][:, 0] for some in steps])),
            "counts": [self.drawn, self.searched, self.written],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`. Where the store has changed since, with what of it is still there."""
        self._stored.generator.bit_generator.state = json.loads(state["generator"])
        ids, errors = state["ids"].numpy(), state["td_errors"].numpy()
        for half in Half:
            steps = self._stored.reader.steps(half)
            _, here, there = np.intersect1d(steps.ids[:, 0], ids, return_indices=True)
            self._stored.reader.learned(steps.slots[here, 0], steps.ids[here, 0], errors[there])
        self._stored.reader.flush()
        self.drawn, self.searched, self.written = state["counts"]

    def _draw(self, half: Half) -> Ints:
        """Places of up to `size` situations."""
        index = self._halves[half].places(self._stored.reader.sample(half, self._size).slots[:, 0])
        self.drawn += len(index)
        return index

    def _meet(self, half: Half, index: Ints) -> Met:
        lessons = self._halves[half]
        met = lessons.meet(self._stored.generator, index, self._unroll)
        self._met.append((met, lessons.memory))
        return met


def together(batches: Sequence[Batch]) -> Batch:
    """Batches as one; one without weights counts fully."""
    weights = [batch.weights or _full(batch) for batch in batches]
    columns = [field.name for field in fields(Batch) if field.name != "weights"]
    return Batch(
        **{name: torch.cat([getattr(batch, name) for batch in batches]) for name in columns},
        weights=Weights(
            **{field.name: torch.cat([getattr(some, field.name) for some in weights]) for field in fields(Weights)}
        ),
    )


def _full(batch: Batch) -> Weights:
    policy = torch.ones(batch.policy.shape[:-1])
    return Weights(policy, policy[..., 0], policy[..., 0])


def improved(search: Search, rows: Float32s, position: Ints, side: int, legal: Bools) -> Float32s:
    """`[m, A]` policies that a search finds better in situations.

    Args:
        rows: `[m, k]`, normalised. position: `[m]`. side: column of the position. legal: `[P, A]`.
    """
    size = len(search.roots.side)
    policy = np.empty((len(rows), legal.shape[1]), np.float32)
    search.roots.noise[:] = 0.0
    for start in range(0, len(rows), size):
        index = np.minimum(np.arange(start, start + size), len(rows) - 1)
        search.work.features[:] = rows[index]
        search.work.features[:, side] = position[index] - FLAT
        search.roots.side[:] = position[index] - FLAT
        search.roots.legal[:] = legal[position[index]]
        policy[index] = search.run().policy
    return policy
