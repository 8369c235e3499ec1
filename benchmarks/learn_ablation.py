"""What each part of the recipe is worth: the same course with one thing changed, on markets whose optimum is known.

    python -m benchmarks.learn_ablation [--markets ou] [--bars 20000] [--seeds 1,2] [--variants recipe,one-sided,...]

A line is a variant, a market and a seed: the share of the optimum on 20,000 unseen bars, by the raw policy and by
searches of several budgets and strengths, and seconds of training. Bars come straight from the market's path.
"""

import argparse
import importlib
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from broker.bars import BarSize
from broker.instruments import instrument
from broker.types import MINUTE, Quotes
from strategy import features
from strategy.network_layout import pack
from strategy.search import new_search
from strategy.search_tree import rules
from training.course import Course, Plan, score_of
from training.export import sizes_for
from training.learner import Recipe
from training.players import InProcess
from training.selfplay import Play, best_actions, play_rules
from training.tape import Tape, record
from training.targets import legal_table

WARMUP, TEST_BARS = 512, 20_000
LEGAL = legal_table(allow_reverse=False)
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
    "60 passes": {"passes": 60},
}
SEARCHES = ((25, 0.5), (25, 1.0), (25, 2.0), (25, 4.0), (8, 1.0), (100, 1.0))
"""Simulations and beta of the searches that each result is scored with."""


def main() -> None:
    """Run and print."""
    options = _options()
    torch.set_num_threads(1)
    sys.path.insert(0, str(options.synth))
    market = importlib.import_module("synth")
    searches = "\t".join(f"{simulations}x{beta:g}" for simulations, beta in SEARCHES)
    sys.stdout.write(f"variant\tmarket\tbars\tseed\tseconds\tz\traw\t{searches}\n")
    for seed in map(int, options.seeds.split(",")):
        for name in options.markets.split(","):
            for variant in options.variants.split(","):
                shares, seconds, z = measure(market, name, options.bars, seed, VARIANTS[variant])
                figures = "\t".join(f"{share:.3f}" for share in shares)
                sys.stdout.write(f"{variant}\t{name}\t{options.bars}\t{seed}\t{seconds:.0f}\t{z:.1f}\t{figures}\n")
                sys.stdout.flush()


def measure(
    market: Any, name: str, bars: int, seed: int, changed: Mapping[str, Any]
) -> tuple[list[float], float, float]:
    """Shares by the raw policy and by each search (pips per 1000 bars without an optimum), seconds, held-out z."""
    settings = dict(changed)
    played = settings.pop("self_play", 0.5)
    plan = Plan(Recipe(**settings), Play(), None, lambda: 0.0, seed, self_play=played)
    sizes = sizes_for("edge20", bins=63, value_scale=0.1)
    began = time.perf_counter()
    tape = tape_of(market, name, bars, 100 + seed)
    course = Course([tape], features.get("edge20"), sizes, LEGAL, plan, InProcess)
    for _ in course.passes():
        pass
    seconds = time.perf_counter() - began
    unseen = tape_of(market, name, TEST_BARS + WARMUP, 10_000 + seed)
    rows = course.normaliser.of(unseen.rows)
    network = pack(sizes, course.best)
    best = optimum(market, name, 10_000 + seed)
    course.learner.average.load_state_dict({key: torch.from_numpy(value) for key, value in course.best.items()})
    raw, _ = course.learner.look(torch.from_numpy(course.normaliser.from_all_sides(rows)))
    shares = [score_of([unseen], [raw.argmax(-1).numpy()]).pips / best]
    for simulations, beta in SEARCHES:
        chosen = rules(simulations=simulations, discount=plan.recipe.discount, **play_rules(beta))
        choice = best_actions(rows, course.normaliser.side, LEGAL, new_search(network, chosen, 192))
        shares.append(score_of([unseen], [choice]).pips / best)
    return shares, seconds, course.looks[-1].score.z


def tape_of(market: Any, name: str, bars: int, seed: int) -> Tape:
    """One quote a bar at the market's mids, on a grid of 0.1 pip."""
    mid = 110_000 + np.round(market.path(name, bars, seed)[0][1:] * 10).astype(np.int64)
    half = round(market.P[name]["spread"] * 5)
    quotes = Quotes(np.arange(len(mid), dtype=np.int64) * MINUTE, mid - half, mid + half)
    return record([quotes], instrument("EUR_USD"), BarSize(True, MINUTE), features.get("edge20"), WARMUP)


def optimum(market: Any, name: str, seed: int) -> float:
    """Pips per 1000 bars of the optimal policy on the unseen path; 1 where there is nothing to earn."""
    mid, _ = market.path(name, TEST_BARS + WARMUP, seed)
    _, grid, policy = market.dp(name)
    statistic, _ = market.features(name, mid)
    actions = market.act(grid, policy, statistic)
    return max(1.0, float(market.evaluate(mid[WARMUP:], actions[WARMUP:], market.P[name]["spread"])[1]))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learn_ablation", description="the recipe, part by part")
    parser.add_argument("--markets", default="ou,ou_easy,regime")
    parser.add_argument("--bars", type=int, default=20_000)
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--variants", default=",".join(VARIANTS))
    parser.add_argument("--synth", type=Path, default=Path(__file__).parents[2] / "shared" / "synth")
    return parser.parse_args()


if __name__ == "__main__":
    main()
