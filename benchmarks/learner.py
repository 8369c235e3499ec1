"""Learner steps beside a bare torch loop of the same shapes, interleaved; and where a step's time goes.

    heavy all python -m benchmarks.learner [--bars 20000] [--steps 60] [--rounds 5]

Ours draws a batch from the lessons, learns from it and moves the average. The bare loop runs the same networks over
the same shapes on one batch that never changes, with ready targets: forward, losses, backward, AdamW, nothing else.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.tape import EDGE20, LEGAL, SIZES, synthetic_tape
from training.inputs import fit
from training.learner import Batch, Learner, Recipe
from training.lessons import Lessons
from training.networks import Networks
from training.tape import mirror_of
from training.targets import POSITIONS


def main() -> None:
    """Measure and print."""
    options = _options()
    torch.set_num_threads(1)
    recipe, tape = Recipe(), synthetic_tape(options.bars)
    both = [tape, mirror_of(EDGE20).of(tape)]
    normaliser = fit(np.concatenate([one.rows for one in both]), EDGE20)
    lessons, learner = Lessons(both, normaliser, LEGAL), Learner(SIZES, recipe, LEGAL, 0)
    lessons.prepare(learner)
    stream = batches(lessons, recipe)
    bare = bare_step(recipe)
    parts: dict[str, Callable[[], object]] = {
        "ours": lambda: learner.step(next(stream), 0.5),
        "bare": bare,
        "of ours, the batch": lambda: next(stream),
    }
    speeds: dict[str, list[float]] = {name: [] for name in parts}
    for step in parts.values():
        timed(step, 5)
    for number in range(options.rounds):
        for name, step in parts.items():
            speeds[name].append(options.steps / timed(step, options.steps))
        line = "\t".join(f"{name} {found[-1]:,.1f}/s" for name, found in speeds.items())
        sys.stdout.write(f"round {number + 1}\t{line}\n")
    ratios = [ours / bare for ours, bare in zip(speeds["ours"], speeds["bare"], strict=True)]
    sys.stdout.write("\t".join(f"{name} {1e3 / statistics.median(found):.2f} ms" for name, found in speeds.items()))
    sys.stdout.write(f"\nours over bare: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})\n")


def timed(step: Callable[[], object], times: int) -> float:
    """CPU seconds that so many calls take; all of it is one thread."""
    began = time.process_time()
    for _ in range(times):
        step()
    return time.process_time() - began


def batches(lessons: Lessons, recipe: Recipe) -> Iterator[Batch]:
    """Batches without end."""
    generator = np.random.default_rng(0)
    while True:
        yield from lessons.batches(generator, recipe.batch, recipe.unroll, len(lessons) // recipe.batch // 2)


def bare_step(recipe: Recipe) -> Callable[[], None]:
    """A step of the same networks on ready tensors."""
    networks, target = Networks(SIZES, 0), Networks(SIZES, 0)
    predictor = nn.Linear(SIZES.hidden, SIZES.hidden)
    weights = [*networks.parameters(), *predictor.parameters()]
    optimizer = torch.optim.AdamW(weights, lr=1e-3, weight_decay=recipe.decay)
    rows, later = recipe.batch * POSITIONS, recipe.batch * POSITIONS * recipe.unroll
    inputs, following = torch.randn(rows, SIZES.inputs), torch.randn(later, SIZES.inputs)
    action, code = torch.randint(SIZES.actions, (rows,)), torch.randint(SIZES.outcomes, (rows,))
    policy, value = torch.rand(rows, SIZES.actions).softmax(-1), torch.rand(rows, SIZES.bins).softmax(-1)
    earned = torch.randn(rows)

    def step() -> None:
        with torch.no_grad():
            seen = target.representation(following).split(rows)
        hidden, logits, worth = networks.represent(inputs)
        loss = entropy(logits, policy) + entropy(worth, value)
        for k in range(recipe.unroll):
            decided = networks.decide(hidden, action)
            loss = loss + functional.cross_entropy(decided.outcome, code) + entropy(decided.value, value)
            moved = networks.move(decided.afterstate, code)
            hidden = moved.state
            loss = loss + entropy(moved.policy, policy) + entropy(moved.value, value)
            loss = loss + functional.mse_loss(moved.reward, earned)
            loss = loss - functional.cosine_similarity(predictor(hidden), seen[k], dim=-1).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def entropy(logits: Tensor, wanted: Tensor) -> Tensor:
    """Mean cross-entropy."""
    return -(wanted * logits.log_softmax(-1)).sum(-1).mean()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learner", description="the learner and a bare loop")
    parser.add_argument("--bars", type=int, default=20_000)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    main()
