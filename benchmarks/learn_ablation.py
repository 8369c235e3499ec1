"""What each part of the recipe is worth: the same course with one thing changed, on markets whose optimum is known.

    python -m benchmarks.learn_ablation [--markets ou] [--bars 20000] [--seeds 1,2] [--variants "recipe,no mirror"]
                                        [--searches 8x1,25x1,100x1]

A line is a variant, a market and a seed: the share of the optimum on 20,000 unseen bars, by the raw policy, as the
course would have it played (the beta that the held-out data chose), and by searches of given simulations and betas.
Bars come straight from the market's path.
"""

import argparse
import importlib
import itertools
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.learn import listed
from benchmarks.learn_targets import as_played, seldom
from broker.bars import BarSize
from broker.instruments import instrument
from broker.types import MINUTE, Quotes
from strategy import features
from training.course import Course, Plan
from training.exam import Exam
from training.export import sizes_for
from training.learner import Recipe
from training.players import InProcess
from training.selfplay import Play
from training.tape import Tape, record
from training.targets import legal_table

WARMUP, TEST_BARS = 512, 20_000
LEGAL = legal_table(allow_reverse=False)
EDGE20 = features.get("edge20")
SIZES = sizes_for("edge20", bins=63, value_scale=0.1)
VARIANTS: Mapping[str, dict[str, Any]] = {
    "recipe": {},
    "no mirror": {"mirrored": False},
    "no consistency": {"consistency_weight": 0.0},
    "no self-play": {"self_play": 0.0},
    "more self-play": {"self_play": 2.0},
    "unroll 1": {"unroll": 1},
    "unroll 4": {"unroll": 4},
    "lambda 0.5": {"trace": 0.5},
    "lambda 1": {"trace": 1.0},
    "gamma 0.9": {"discount": 0.9},
    "gamma 0.98": {"discount": 0.98},
    "beta 1": {"beta": 1.0},
    "beta 8": {"beta": 8.0},
    "4 passes": {"passes": 4},
    "8 passes": {"passes": 8},
    "6 passes": {"passes": 6},
    "60 passes": {"passes": 60},
    "targets every 4th pass": {},
    "targets of the first pass": {},
    "only what was done": {},
    "equal partners": {},
}
"""What is changed of the recipe; those without a change take targets away (`learn_targets`)."""
AS_PLAYED: Mapping[str, bool] = {"only what was done": False, "equal partners": True}
"""Whether a whole trade's reward is the return of each of its steps."""
SELDOM: Mapping[str, int] = {"targets every 4th pass": 4, "targets of the first pass": 10**6}


def main() -> None:
    """Run and print."""
    options = _options()
    torch.set_num_threads(1)
    sys.path.insert(0, str(options.synth))
    market = importlib.import_module("synth")
    searches = [(int(n), float(beta)) for n, beta in (some.split("x") for some in options.searches)]
    sys.stdout.write("\t".join(("variant\tmarket\tseed\tseconds\tz\tbeta\traw\tplayed", *options.searches)) + "\n")
    for variant, name, seed in itertools.product(options.variants, options.markets, map(int, options.seeds)):
        course, seconds = learned(market, name, options.bars, seed, variant)
        beta, walked = course.play()
        figures = [f"{share:.3f}" for share in shares(course, market, name, seed, beta, searches)]
        columns = (variant, name, seed, f"{seconds:.0f}", f"{walked.score().z:.1f}", f"{beta:g}", *figures)
        sys.stdout.write("\t".join(map(str, columns)) + "\n")
        sys.stdout.flush()


def learned(market: Any, name: str, bars: int, seed: int, variant: str) -> tuple[Course, float]:
    """A course that is over, and its seconds."""
    settings = dict(VARIANTS[variant])
    play = settings.pop("self_play", 0.5)
    plan = Plan(Recipe(**settings), Play(), None, lambda: 0.0, seed, self_play=play)
    began = time.perf_counter()
    course = Course([tape_of(market, name, bars, 100 + seed)], EDGE20, SIZES, LEGAL, plan, InProcess)
    lessons = course.lessons
    if lessons is not None and variant in AS_PLAYED:
        lessons.prepare = as_played(lessons, seed, AS_PLAYED[variant])  # type: ignore[assignment, method-assign]
    if lessons is not None and variant in SELDOM:
        lessons.prepare = seldom(lessons, SELDOM[variant])  # type: ignore[assignment, method-assign]
    for _ in course.passes():
        pass
    return course, time.perf_counter() - began


def shares(
    course: Course, market: Any, name: str, seed: int, beta: float, searches: Sequence[tuple[int, float]]
) -> Iterator[float]:
    """Of the optimum on unseen bars, or pips per 1000 bars without one: raw, as played, by each search."""
    unseen, best = tape_of(market, name, TEST_BARS + WARMUP, 10_000 + seed), optimum(market, name, 10_000 + seed)
    discount = course.learner.recipe.discount
    exam = {n: Exam([unseen], course.normaliser, LEGAL, SIZES, n, discount) for n, _ in [(25, 0.0), *searches]}
    course.learner.average.load_state_dict({key: torch.from_numpy(value) for key, value in course.best.items()})
    raw = exam[25].raw(course.learner)
    yield raw.score().pips / best
    yield (exam[25].searched(course.best, beta) if beta else raw).score().pips / best
    for simulations, strength in searches:
        yield exam[simulations].searched(course.best, strength).score().pips / best


def tape_of(market: Any, name: str, bars: int, seed: int) -> Tape:
    """One quote a bar at the market's mids, on a grid of 0.1 pip."""
    mid = 110_000 + np.round(market.path(name, bars, seed)[0][1:] * 10).astype(np.int64)
    half = round(market.P[name]["spread"] * 5)
    quotes = Quotes(np.arange(len(mid), dtype=np.int64) * MINUTE, mid - half, mid + half)
    return record([quotes], instrument("EUR_USD"), BarSize(True, MINUTE), EDGE20, WARMUP)


def optimum(market: Any, name: str, seed: int) -> float:
    """Pips per 1000 bars of the optimal policy on the unseen path; 1 where there is nothing to earn."""
    mid, _ = market.path(name, TEST_BARS + WARMUP, seed)
    _, grid, policy = market.dp(name)
    statistic, _ = market.features(name, mid)
    actions = market.act(grid, policy, statistic)
    return max(1.0, float(market.evaluate(mid[WARMUP:], actions[WARMUP:], market.P[name]["spread"])[1]))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learn_ablation", description="the recipe, part by part")
    parser.add_argument("--markets", type=listed, default=["ou", "ou_easy", "regime"])
    parser.add_argument("--bars", type=int, default=20_000)
    parser.add_argument("--seeds", type=listed, default=["1", "2", "3"])
    parser.add_argument("--variants", type=listed, default=list(VARIANTS))
    parser.add_argument("--searches", type=listed, default=["25x1"])
    parser.add_argument("--synth", type=Path, default=Path(__file__).parents[2] / "shared" / "synth")
    return parser.parse_args()


if __name__ == "__main__":
    main()
