"""A course: the whole run of a learner over tapes, pass by pass, and the weights that it ends with.

What the store remembers is learned from beside the tapes, or alone. The last quarter of every tape is held out; without
a tape, the last quarter of what is remembered unselected. After each pass the averaged networks are scored on it. The
newest are kept, unless earlier ones earned more than luck explains: the largest of many noisy scores is mostly noise.
How strongly they search is decided there too, and whether they may trade: what they earn must be significantly more
than nothing, counting how often was looked, or the model abstains.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from broker.errors import BadInput
from broker.types import Float64s
from strategy.features import FeatureSet
from strategy.network_layout import Sizes
from strategy.network_tile import Float32s
from training.exam import Exam
from training.heldout import Score, Walked, advantage, strength, threshold
from training.inputs import Normaliser, fit
from training.learner import Batch, Learner, Losses, Recipe
from training.lessons import Lessons
from training.memory import Stored
from training.players import Players
from training.quality import Half
from training.remembered import Recall, Remembered, together
from training.selfplay import Lanes, Play
from training.stopwatch import Stopwatch, standing
from training.tape import Tape, mirror_of
from training.targets import Bools

HELD_OUT = 0.25
"""Share of a tape, its end, that is never learned from."""
FEWEST = 2000
"""Decisions below which nothing can be learned or told from luck."""
STRENGTHS = (0.5, 1.0, 2.0)
"""Betas that are tried on the held-out data, beside 0, the raw policy."""


class NotANumber(Exception):
    """A loss was not finite: nothing of this run can be trusted."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how to train.

    Attributes:
        recipe, play: of the learner and of self-play.
        steps: most learner steps; None: what the recipe's passes make.
        deadline: share of the allowed time that is over, 0 to 1 and beyond; always 0 without a limit.
        seed: of everything random.
        simulations: of the search that the model is to play with.
        self_play: decisions played for each one learned from.
        recall: what of the store is drawn for what.
        watch: told where the time goes.
    """

    recipe: Recipe
    play: Play
    steps: int | None
    deadline: Callable[[], float]
    seed: int
    simulations: int = 25
    self_play: float = 0.5
    recall: Recall = field(default_factory=Recall)
    watch: Stopwatch = field(default_factory=lambda: Stopwatch(standing))


@dataclass(frozen=True, slots=True)
class Look:
    """A look at the held-out data, after a pass."""

    step: int
    score: Score
    losses: Losses


class Course:
    """One run.

    Args:
        tapes: of the data, in time order each; none where only the store is learned from.
        features: of their rows. sizes: of the networks. legal: `[3, 4]`. plan: how. players: makes who plays.
        start: tensors and normaliser to go on from, or None. stored: what the store holds, or None.

    Attributes:
        lessons: of the tapes. remembered: of the store. learner: what learns.
        looks: one a pass. played: decisions of self-play.

    Raises:
        BadInput: there is too little data.
    """

    def __init__(
        self,
        tapes: Sequence[Tape],
        features: FeatureSet,
        sizes: Sizes,
        legal: Bools,
        plan: Plan,
        players: Callable[[Lanes], Players],
        start: tuple[Mapping[str, Float32s], Normaliser] | None = None,
        stored: Stored | None = None,
    ) -> None:
        known, held = _split(tapes) if tapes or stored is None else _split_of(stored)
        mirror = mirror_of(features)
        both = known + [mirror.of(tape, sizes.outcomes) for tape in known]
        self.normaliser = start[1] if start else fit(np.concatenate([tape.rows for tape in both]), features)
        self._exam = Exam(held, self.normaliser, legal, sizes, plan.simulations, plan.recipe.discount)
        self.learner = Learner(sizes, plan.recipe, legal, plan.seed)
        if start:
            self.learner.start_from(start[0])
        self._sizes, self._legal, self._plan = sizes, legal, plan
        image = mirror if plan.recipe.mirrored else None
        self.lessons = Lessons(both if image else known, self.normaliser, legal) if tapes else None
        self._players = None
        if self.lessons:
            lanes = Lanes(self.lessons.rows, self.normaliser, legal, sizes, plan.play, plan.recipe.discount)
            self._players = players(lanes)
        self.remembered = None
        if stored is not None:
            share = len(stored.known[Half.UNBIASED]) / max(sum(map(len, known)), 1)
            size = max(round(plan.recipe.batch * min(share, 1.0)), 1)
            self.remembered = Remembered(
                stored, image, self.normaliser, legal, sizes, plan.recipe, plan.play, plan.recall, size
            )
        self._generator = np.random.Generator(np.random.PCG64(plan.seed))
        self._per_pass = max(sum(map(len, known)) // plan.recipe.batch, 1)
        self.total = min(plan.recipe.passes * self._per_pass, plan.steps or 10**12)
        self.looks: list[Look] = []
        self._leader = self._snapshot()
        self._leading = self._newest = Walked(np.zeros(0), np.zeros(0, np.int64))
        self.played = 0

    @property
    def done(self) -> bool:
        """Whether the steps or the time are over."""
        return self.learner.steps >= self.total or (self._plan.deadline() >= 1.0 and len(self.looks) > 0)

    @property
    def held_out(self) -> list[tuple[Tape, Tensor]]:
        """The tapes that are never learned from, with their inputs from all sides `[n, 3, k]`."""
        return self._exam.inputs

    @property
    def progress(self) -> float:
        """Share of the run that is over."""
        return min(1.0, max(self.learner.steps / self.total, self._plan.deadline()))

    def passes(self) -> Iterator[Look]:
        """Learn; after each pass, the look at the held-out data. A caller may stop between passes and go on later.

        Raises:
            NotANumber: a loss was not finite.
        """
        plan = self._plan
        while not self.done:
            self._play()
            with plan.watch.part("learning"):
                losses = [self._step(batch) for batch in self._batches() if plan.deadline() < 1.0 or not self.looks]
            if not losses:  # the time ran out during self-play
                return
            if self.remembered:
                self.remembered.flush()
            with plan.watch.part("held-out scores"):
                self._newest = self._exam.raw(self.learner)
                look = Look(self.learner.steps, self._newest.score(), mean_losses(losses))
            if not self.looks or self._newest.pips.sum() > self._leading.pips.sum():
                self._leader, self._leading = self._snapshot(), self._newest
            self.looks.append(look)
            yield look

    def _play(self) -> None:
        """Targets of the coming pass: of the path, and where self-play went, of its searches."""
        plan = self._plan
        if self.remembered:
            with plan.watch.part("searching again"):
                self.remembered.prepare(self.learner, self._coming)
        if not self.lessons or not self._players:
            return
        with plan.watch.part("targets"):
            self.lessons.prepare(self.learner)
        turns = int(plan.self_play * self._per_pass * plan.recipe.batch / plan.play.lanes)
        if turns:
            seed = int(self._generator.integers(2**63))
            with plan.watch.part("self-play"):
                found = list(self._players.play(self._snapshot(), seed, turns))
            for visited in found:
                self.lessons.teach(visited.index, visited.position, visited.policy)
                self.played += len(visited.index)

    @property
    def _coming(self) -> int:
        """Learner steps of the coming pass."""
        return min(self._per_pass, self.total - self.learner.steps)

    def _batches(self) -> Iterator[Batch]:
        recipe, remembered, count = self._plan.recipe, self.remembered, self._coming
        if self.lessons:
            for batch in self.lessons.batches(self._generator, recipe.batch, recipe.unroll, count):
                yield together([batch, remembered.batch()]) if remembered else batch
        elif remembered:
            for _ in range(count):
                yield remembered.batch()

    def _step(self, batch: Batch) -> Losses:
        losses = self.learner.step(batch, self.progress)
        if not np.isfinite(losses.total):
            raise NotANumber(f"the loss of step {self.learner.steps} is not a finite number")
        if self.remembered:
            self.remembered.learned(self.learner.td_errors)
        return losses

    def _snapshot(self) -> dict[str, Float32s]:
        return {name: tensor.numpy().copy() for name, tensor in self.learner.average.state_dict().items()}

    @property
    def _fallen(self) -> bool:
        """Whether the newest weights are worse than the leading ones by more than luck."""
        return advantage(self._leading, self._newest) > threshold(len(self.looks))

    @property
    def best(self) -> dict[str, Float32s]:
        """The weights to play with."""
        return self._leader if self._fallen else self._snapshot()

    @property
    def raw(self) -> Walked:
        """What the best weights earn on the held-out data without search."""
        return self._leading if self._fallen else self._newest

    def play(self) -> tuple[float, Walked]:
        """The strength of search that the best weights are to play with, and what they earn so on the held-out data."""
        tensors = self.best
        tried = {0.0: self.raw} | {beta: self._exam.searched(tensors, beta) for beta in STRENGTHS}
        beta = strength(tried, self._plan.play.beta)
        return beta, tried[beta]

    def trades(self, found: Score) -> bool:
        """Whether a held-out score is more than luck."""
        return found.z > threshold(self.counted)

    @property
    def counted(self) -> int:
        """Looks at the held-out data so far, those with search included."""
        return len(self.looks) + len(STRENGTHS)

    def close(self) -> None:
        """End the players, and let go of the store."""
        if self._players:
            self._players.close()
        if self.remembered:
            self.remembered.close()

    def state(self) -> dict[str, Any]:
        """All that a later run needs to go on exactly from the end of a pass."""
        return {
            "learner": self.learner.state(),
            "generator": json.dumps(self._generator.bit_generator.state),
            "looks": json.dumps([asdict(look) for look in self.looks]),
            "leader": {name: torch.from_numpy(values) for name, values in self._leader.items()},
            "leading": [torch.from_numpy(column) for column in (self._leading.pips, self._leading.held)],
            "newest": [torch.from_numpy(column) for column in (self._newest.pips, self._newest.held)],
            "played": self.played,
            "remembered": self.remembered.state() if self.remembered else None,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        self.learner.restore(state["learner"])
        self._generator.bit_generator.state = json.loads(state["generator"])
        self.looks = [
            Look(look["step"], Score(**look["score"]), Losses(**look["losses"])) for look in json.loads(state["looks"])
        ]
        self._leader = {name: tensor.numpy() for name, tensor in state["leader"].items()}
        self._leading, self._newest = (
            Walked(*(column.numpy() for column in state[name])) for name in ("leading", "newest")
        )
        self.played = int(state["played"])
        if self.remembered and state["remembered"]:
            self.remembered.restore(state["remembered"])


def _split(tapes: Sequence[Tape]) -> tuple[list[Tape], list[Tape]]:
    """What is learned from and what is held out of tapes."""
    count = sum(map(len, tapes))
    if count < FEWEST or min(map(len, tapes)) == 0:
        what = f"{count} decisions after the warm-up are too few to learn from"
        raise BadInput(what, mend=f"give at least {FEWEST} bars more than the warm-up")
    known = [tape.part(0, first_held(tape)) for tape in tapes]
    return known, [tape.part(first_held(tape), len(tape)) for tape in tapes]


def first_held(tape: Tape) -> int:
    """Index of the first decision of a tape that is held out."""
    return round(len(tape) * (1.0 - HELD_OUT))


def _split_of(stored: Stored) -> tuple[list[Tape], list[Tape]]:
    """The same of what was remembered without selection."""
    known = stored.known[Half.UNBIASED].tape
    count = len(known) + len(stored.held)
    if count < FEWEST:
        what = f"{count} stored decisions in the unbiased half are too few to learn from"
        raise BadInput(what, mend=f"store {FEWEST} or more, or give tick files")
    return [known], [stored.held]


def mean_losses(losses: Sequence[Losses]) -> Losses:
    """Over the steps of a pass."""
    table: Float64s = np.array([list(asdict(some).values()) for some in losses])
    return Losses(*table.mean(0).tolist())
