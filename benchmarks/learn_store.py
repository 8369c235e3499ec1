"""What the halves of the store are worth: a learner that has nothing but the store, with one rule changed.

    python -m benchmarks.learn_store [--markets mart,ou] [--bars 40000] [--capacity 20000] [--seeds 1,2] [--keep DIR]

A trader that follows the trend fills a store through the session (`replay --store`); half of what each half was given
is evicted again. From the store alone a learner is trained by the rule (habits by quality, events unselected), with
both drawn uniformly, and without immunity (both by quality). A line says how many pips a bar the market goes with a
clear trend in what is drawn as events; and of 20,000 unseen bars: what the networks believe that the better entry is
worth to who is flat (pips, against staying flat), what it was worth to their own policy on that path, the share of bars
on which they would enter, by how much they hold it likelier that a clear trend goes on than that it turns, and what the
raw policy and the search earn.
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

from benchmarks.follower import CLEAR, TREND
from benchmarks.learn_ablation import LEGAL, TEST_BARS, WARMUP, optimum, tape_of
from broker.types import Action, Float64s
from daemon import cli
from strategy import features
from strategy.network_layout import pack
from strategy.search import new_search
from strategy.search_tree import rules
from training.course import Course, Plan
from training.export import sizes_for
from training.heldout import Score, score
from training.learner import Recipe
from training.memory import Stored, open_store
from training.players import InProcess
from training.quality import Half
from training.remembered import Recall
from training.selfplay import Play, best_actions, play_rules
from training.tape import Tape
from training.targets import FLAT, returns

EDGE20 = features.get("edge20")
SIZES = sizes_for("edge20", bins=63, value_scale=0.1)
COLUMNS = (
    "variant", "market", "seed", "seconds", "drift", "believed", "came true", "would enter", "goes on", "in market",
    "pips", "raw", "search pips", "search", "z", "registered",
)  # fmt: skip
SETTLED = 200
"""Bars at the end of the test that returns are not compared on: what came after them is not known."""
ENTRY_OR_NOT = (Action.HOLD, Action.BUY, Action.SELL)
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
    sys.stdout.write("\t".join(COLUMNS) + "\n")
    with TemporaryDirectory() as folder:
        for seed in map(int, options.seeds.split(",")):
            for name in options.markets.split(","):
                kept = fill(options.keep or Path(folder), name, options.bars, options.capacity, seed)
                for variant in options.variants.split(","):
                    with TemporaryDirectory() as aside:  # scores are written back
                        store = Path(shutil.copy(kept, aside))
                        figures = measure(market, name, store, seed, options.passes, VARIANTS[variant])
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


def measure(market: Any, name: str, store: Path, seed: int, passes: int, recall: Recall) -> list[str]:
    """Train on a store and say what came of it, a figure a column."""
    began = time.perf_counter()
    stored = open_store(store, EDGE20, SIZES.outcomes, seed, {})
    lure = drift(stored, recall.events)
    plan = Plan(Recipe(passes=passes), Play(), None, lambda: 0.0, seed, recall=recall)
    course = Course([], EDGE20, SIZES, LEGAL, plan, InProcess, stored=stored)
    for _ in course.passes():
        pass
    able = course.play()[1].score()
    course.close()
    seconds = time.perf_counter() - began
    unseen = tape_of(market, name, TEST_BARS + WARMUP, 10_000 + seed)
    believed, true, entries, onward, raw = beliefs(course, unseen)
    best = optimum(market, name, 10_000 + seed)
    found = searched(course, unseen)
    return [
        f"{seconds:.0f}", f"{lure:+.3f}", f"{believed:+.2f}", f"{true:+.2f}", f"{entries:.2f}", f"{onward:+.3f}",
        f"{raw.in_market:.2f}", f"{raw.pips:.1f}", share(raw.pips, best), f"{found.pips:.1f}", share(found.pips, best),
        f"{able.z:.1f}", "trained" if course.trades(able) else "abstains",
    ]  # fmt: skip


def drift(stored: Stored, events: Half) -> float:
    """Pips a bar that the market goes with a clear trend, over the steps of a half as they are drawn."""
    columns = {name: values[:, 0] for name, values in stored.reader.steps(events).columns.items()}
    trend = columns["features"][:, TREND]
    weight = columns["score"] if events is Half.QUALITY else np.ones(len(trend))
    clear = np.abs(trend) > CLEAR
    return float(np.average((np.sign(trend) * columns["change"])[clear], weights=weight[clear]))


def share(pips: float, best: float) -> str:
    """Of the optimum; nothing where there is nothing to earn."""
    return f"{pips / best:.3f}" if best > 1.0 else "-"


def beliefs(course: Course, unseen: Tape) -> tuple[float, float, float, float, Score]:
    """Of the learner as it ended: worth of the better entry as believed and as it came, pips, share of bars on which it
    seems worth its price, P(on) - P(back) of a clear trend, and what the raw policy earns."""
    recipe, networks = course.learner.recipe, course.learner.average
    inputs = torch.from_numpy(course.normaliser.from_all_sides(course.normaliser.of(unseen.rows)))
    choice = course.learner.look(inputs)[0].argmax(-1).numpy()
    with torch.no_grad():
        hidden = networks.representation(inputs[:, FLAT])
        actions = [networks.afterstate(hidden, torch.full((len(hidden),), action)) for action in ENTRY_OR_NOT]
        said = networks.outcome(actions[0]).softmax(-1).numpy()
        q = torch.stack([networks.expected_value(networks.value(after)) for after in actions], 1).numpy()
    entry = 1 + q[:, 1:].argmax(1)
    greedy: Float64s = np.eye(len(Action))[choice]
    came = returns(unseen.prices, greedy, np.zeros((len(unseen) + 1, 3)), recipe.discount, 1.0).action[:, FLAT]
    bars = np.arange(len(unseen))
    believed, true = q[bars, entry] - q[:, 0], came[bars, entry] - came[:, 0]
    pips = unseen.prices.sigma
    trend = unseen.rows[:, TREND]
    onward = np.sign(trend) * (said[:, 0] - said[:, -1])
    settled = slice(0, len(bars) - SETTLED)
    return (
        float((believed * pips).mean()),
        float((true * pips)[settled].mean()),
        float((believed > 0.0).mean()),
        float(onward[np.abs(trend) > CLEAR].mean()),
        score(unseen.prices, choice),
    )


def searched(course: Course, unseen: Tape) -> Score:
    """What play with search earns, by the weights with the best held-out score."""
    chosen = rules(simulations=25, discount=course.learner.recipe.discount, **play_rules(Play().beta))
    search = new_search(pack(SIZES, course.best), chosen, 192)
    rows = course.normaliser.of(unseen.rows)
    return score(unseen.prices, best_actions(rows, course.normaliser.side, LEGAL, search))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learn_store", description="what the halves are worth")
    parser.add_argument("--markets", default="mart,ou,regime")
    parser.add_argument("--bars", type=int, default=40_000)
    parser.add_argument("--capacity", type=int, default=20_000)
    parser.add_argument("--seeds", default="1,2")
    parser.add_argument("--passes", type=int, default=Recipe().passes)
    parser.add_argument("--variants", default=",".join(VARIANTS))
    parser.add_argument("--keep", type=Path, help="folder that the stores are kept in, and found again")
    parser.add_argument("--synth", type=Path, default=Path(__file__).parents[2] / "shared" / "synth")
    return parser.parse_args()


if __name__ == "__main__":
    main()
