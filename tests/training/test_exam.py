"""The exam walks the held-out tapes as the policy would, with search and without."""

import numpy as np
import torch

from strategy.network_layout import Sizes
from tests.training.made_tape import EDGE20, swinging, tape_of
from training.exam import Exam
from training.inputs import fit
from training.learner import Learner, Recipe
from training.targets import FLAT, NEXT, legal_table, walk

LEGAL = legal_table(allow_reverse=False)
SIZES = Sizes(inputs=EDGE20.size, hidden=16, bins=63)


def test_search_of_no_strength_is_the_raw_policy() -> None:
    """With beta 0 the improved policy is the prior: the two ways of taking the exam walk alike; pips are the walk's."""
    tape = tape_of(swinging(500, 3))
    half = len(tape) // 2
    normaliser = fit(tape.rows, EDGE20)
    exam = Exam([tape.part(0, half), tape.part(half, len(tape))], normaliser, LEGAL, SIZES, 4, 0.96)
    learner = Learner(SIZES, Recipe(), LEGAL, 0)
    generator = torch.Generator().manual_seed(0)
    for parameter in learner.average.policy.output.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator)
    raw = exam.raw(learner)
    tensors = {name: tensor.numpy() for name, tensor in learner.average.state_dict().items()}
    searched = exam.searched(tensors, 0.0)
    assert np.array_equal(raw.held, searched.held)
    assert np.allclose(raw.pips, searched.pips)
    inputs = np.concatenate([sides.numpy() for _, sides in exam.inputs])
    assert np.array_equal(inputs[:, FLAT], normaliser.from_all_sides(normaliser.of(tape.rows))[:, FLAT])
    before = np.concatenate([[FLAT], raw.held[:-1] + FLAT])
    assert all(held + FLAT in NEXT[at][LEGAL[at]] for at, held in zip(before, raw.held, strict=True))
    choice = np.array([[int(np.flatnonzero(NEXT[p] == held + FLAT)[0]) for p in range(3)] for held in raw.held])
    assert np.allclose(walk(tape.prices, choice)[0], raw.pips)
