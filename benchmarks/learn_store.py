"""What the halves of the store are worth: a learner that has nothing but the store, with one rule changed.

    python -m benchmarks.learn_store [--markets mart,ou] [--bars 40000] [--capacity 20000] [--seeds 1,2] [--keep DIR]

A trader that follows the trend fills a store through the session (`replay --store`); half of what each half was given
is evicted again. From the store alone a learner is trained by the rule (habits by quality, events unselected), with
both drawn uniformly, and without immunity (both by quality). A line says what the learner came to believe on 20,000
unseen bars: the value bias (predicted value of a position less what the policy then earned, pips), the share of the
time that its raw policy is in the market, its trades and pips per 1000 bars, the share of the optimum that it and the
search earn, and whether the candidate would trade or abstain.
"""

import argparse
import importlib
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from benchmarks.learn_ablation import LEGAL, TEST_BARS, WARMUP, optimum, tape_of
from broker.types import Float64s
from daemon import cli
from strategy import features
from strategy.network_layout import pack
from strategy.search import new_search
from strategy.search_tree import rules
from training.course import Course, Plan, score_of
from training.export import sizes_for
from training.heldout import Score
from training.learner import Recipe
from training.memory import open_store
from training.players import InProcess
from training.quality import Half
from training.remembered import Recall
from training.selfplay import Play, best_actions, play_rules
from training.tape import Tape
from training.targets import FLAT, returns

EDGE20 = features.get("edge20")
SIZES = sizes_for("edge20", bins=63, value_scale=0.1)
SETTLED = 200
"""Bars at the end of the test that returns are not compared on: what came after them is not known."""
VARIANTS: Mapping[str, Recall] = {
    "rule": Recall(),
    "uniform": Recall(habits=Half.UNBIASED),
    "no immunity": Recall(events=Half.QUALITY),
}


def main() -> None:
    """Run and print."""
    options = _options()
    torch.set_num_threads(1)
    sys.path.insert(0, str(options.synth))
    market = importlib.import_module("synth")
    sys.stdout.write("variant\tmarket\tseed\tseconds\tbias\tin market\ttrades\tpips\traw\tsearch\tz\tregistered\n")
    with TemporaryDirectory() as folder:
        for seed in map(int, options.seeds.split(",")):
            for name in options.markets.split(","):
                kept = fill(options.keep or Path(folder), name, options.bars, options.capacity, seed)
                for variant in options.variants.split(","):
                    store = shutil.copy(kept, Path(folder) / "experience.db")  # scores are written back
                    figures = measure(market, name, Path(store), seed, VARIANTS[variant])
                    sys.stdout.write("\t".join([variant, name, str(seed), *figures]) + "\n")
                    sys.stdout.flush()


def fill(folder: Path, name: str, bars: int, capacity: int, seed: int) -> Path:
    """The store that the trend follower filled on a market."""
    state = folder / f"{name}-{bars}-{capacity}-{seed}"
    store = state / "experience.db"
    if not store.exists():
        state.mkdir(parents=True)
        config, ticks = state / "config.toml", state / f"EUR_USD-{name}.csv.gz"
        config.write_text(f"[store]\ncapacity = {capacity}\n")
        _run(["ticks", "synth", name, str(ticks), "--bars", str(bars), "--seed", str(seed), "--ticks-per-bar", "1"])
        follower = f"{Path(__file__).with_name('follower.py')}:Follower"
        chosen = ["--config", str(config), "--state", str(state), "--seed", str(seed)]
        _run(["replay", str(ticks), "--strategy", follower, "--store", *chosen])
    return store


def _run(words: list[str]) -> None:
    if cli.main([*words, "--json"]) != cli.DONE:
        sys.exit(f"failed: {' '.join(words)}")


def measure(market: Any, name: str, store: Path, seed: int, recall: Recall) -> list[str]:
    """Train on a store and say what came of it, a figure a column."""
    began = time.perf_counter()
    stored = open_store(store, EDGE20, SIZES.outcomes, seed, {})
    plan = Plan(Recipe(), Play(), None, lambda: 0.0, seed, recall=recall)
    course = Course([], EDGE20, SIZES, LEGAL, plan, InProcess, stored=stored)
    for _ in course.passes():
        pass
    able = course.searched_score(Play().beta)
    course.close()
    seconds = time.perf_counter() - began
    unseen = tape_of(market, name, TEST_BARS + WARMUP, 10_000 + seed)
    bias, raw = beliefs(course, unseen)
    best = optimum(market, name, 10_000 + seed)
    return [
        f"{seconds:.0f}", f"{bias:+.2f}", f"{raw.in_market:.2f}", f"{raw.trades:.1f}", f"{raw.pips:.1f}",
        share(raw.pips, best), share(searched(course, unseen).pips, best), f"{able.z:.1f}",
        "trained" if course.trades(able) else "abstains",
    ]  # fmt: skip


def share(pips: float, best: float) -> str:
    """Of the optimum; nothing where there is nothing to earn."""
    return f"{pips / best:.3f}" if best > 1.0 else "-"


def beliefs(course: Course, unseen: Tape) -> tuple[float, Score]:
    """Value bias of the learner as it ended, pips, and what its raw policy earns."""
    recipe, inputs = course.learner.recipe, course.normaliser.of(unseen.rows)
    logits, value = course.learner.look(torch.from_numpy(course.normaliser.from_all_sides(inputs)))
    choice = logits.argmax(-1).numpy()
    greedy: Float64s = np.eye(logits.shape[-1])[choice]
    found = returns(unseen.prices, greedy, np.zeros((len(unseen) + 1, 3)), recipe.discount, 1.0).state
    bias = (value.numpy() - found) * unseen.prices.sigma[:, None]
    held = np.delete(bias[:-SETTLED], FLAT, axis=1)
    return float(held.mean()), score_of([unseen], [choice])


def searched(course: Course, unseen: Tape) -> Score:
    """What play with search earns, by the weights with the best held-out score."""
    chosen = rules(simulations=25, discount=course.learner.recipe.discount, **play_rules(Play().beta))
    search = new_search(pack(SIZES, course.best), chosen, 192)
    rows = course.normaliser.of(unseen.rows)
    return score_of([unseen], [best_actions(rows, course.normaliser.side, LEGAL, search)])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learn_store", description="what the halves are worth")
    parser.add_argument("--markets", default="mart,ou,regime")
    parser.add_argument("--bars", type=int, default=40_000)
    parser.add_argument("--capacity", type=int, default=20_000)
    parser.add_argument("--seeds", default="1,2")
    parser.add_argument("--variants", default=",".join(VARIANTS))
    parser.add_argument("--keep", type=Path, help="folder that the stores are kept in, and found again")
    parser.add_argument("--synth", type=Path, default=Path(__file__).parents[2] / "shared" / "synth")
    return parser.parse_args()


if __name__ == "__main__":
    main()
