"""What the features and the baselines cost: ns a closed bar, ns a row, ns a baseline's decision. One thread.

    .venv/bin/python -m benchmarks.features [--bars 200000] [--rounds 5]

Each figure is the best of the rounds, after a warm round; the features are called from compiled code, as the fast
path calls them, and the baselines from Python, as the session does.
"""

import argparse
import time
from collections.abc import Callable
from decimal import Decimal

import numpy as np
from numba import njit

from broker.types import MINUTE, Bar, Float64s, Instrument
from strategy.baselines import BASELINES
from strategy.features import BUILT_IN, NONE, new_state, observe, on_close
from strategy.plugin import Context, Observation


@njit(nogil=True)
def close_all(kind: int, state: Float64s, closes: Float64s) -> None:
    """Take in every bar."""
    for i in range(len(closes)):
        on_close(kind, state, closes[i], 1.0, 0.1, i * MINUTE)


@njit(nogil=True)
def observe_all(kind: int, state: Float64s, row: Float64s, times: int) -> None:
    """Make a row again and again."""
    for i in range(times):
        observe(kind, state, row, 1, 2.0, 1.0, 3.0, 4.0, i)


def best_ns(items: int, rounds: int, work: Callable[..., None], *args: object) -> float:
    """Shortest time for one of the items, ns; the first round isn't counted."""
    seconds = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        work(*args)
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:]) / items * 1e9


def decide_all(name: str, closes: Float64s) -> None:
    """Walk a fresh baseline over the bars, flat."""
    euro = Instrument("EUR_USD", -4, 5, Decimal("0.02"))
    strategy = BASELINES[name](Context(euro, np.random.SeedSequence(0)))
    bar = Bar(0, MINUTE, 1.0, 1.0, 1.0, 1.0, 1.0, 1, 1, 1)
    seen = Observation(0, MINUTE, euro, bar, 1, 1, 0, 0, (True, True, True, False), None, 1.0, 1.0, 0.0, 0)
    for _ in range(len(closes)):
        strategy.on_bar(bar)
        strategy.decide(seen)


def main() -> None:
    """Measure and print one line a thing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--bars", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    steps = np.random.default_rng(0).integers(-30, 31, options.bars)
    closes = (277_352 + np.cumsum(steps)) / 20.0
    row = np.zeros(max(features.size for features in BUILT_IN.values()))
    for name, kind in (("none", NONE), *((name, features.kind) for name, features in BUILT_IN.items())):
        state = new_state(kind)
        bar_ns = best_ns(options.bars, options.rounds, close_all, kind, state, closes)
        row_ns = best_ns(options.bars, options.rounds, observe_all, kind, state, row, options.bars)
        print(f"{name:16} {bar_ns:8.1f} ns a bar {row_ns:8.1f} ns a row")
    for name in BASELINES:
        decision_ns = best_ns(options.bars, options.rounds, decide_all, name, closes)
        print(f"{name:16} {decision_ns:8.1f} ns a bar and decision")


if __name__ == "__main__":
    main()
