"""Search speed beside mctx: the peer's folder gives sizes, weights and the peer; this interleaves the two, one thread.

    python3 -m venv V && V/bin/pip install "jax[cpu]" mctx==0.0.71 numpy numba
    V/bin/python -m benchmarks.search --net small --batch 1 --sims 25 [--peer ../shared/bench/search] [--seconds 20]

Run from the root of this repository. It does what the peer folder's own `run.py` does (whose `--adapter` loses the
adapter's function to a loop variable of the same name): blocks of calls in turn, p50 and p99 of wall time, ratios.
"""

import argparse
import importlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
STATES = 16


def main() -> None:
    """Measure and print one line a search, with ratios to mctx."""
    options = _options()
    for name in THREADS:
        os.environ[name] = "1"
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
    sys.path.insert(0, str(options.peer))
    spec_of, peer_of = importlib.import_module("netspec"), importlib.import_module("peer_mctx")
    adapter = importlib.import_module("benchmarks.search_adapter")

    spec = spec_of.SPEC[options.net]
    weights = spec_of.weights(spec)
    peer = peer_of.make(options.net, weights)
    ours = adapter.make(spec, weights, options.batch, options.sims, spec_of.A, spec_of.C)
    width = spec["H"]
    states = [np.random.default_rng(i).normal(size=(options.batch, width)).astype(np.float32) for i in range(STATES)]
    times = interleave(
        {"mctx": lambda state: peer["sto"](state, options.sims), "micro-trader": ours},
        states, options.seconds, options.block,
    )  # fmt: skip
    show(times, options.batch * options.sims)


def interleave(
    searches: dict[str, Callable[[Any], Any]], states: list[Any], seconds: float, block: int
) -> dict[str, list[float]]:
    """Wall times of each search, blocks of calls in turn, so that a busy moment hits all alike."""
    times: dict[str, list[float]] = {name: [] for name in searches}
    for search in searches.values():
        search(states[0])
        search(states[1])
    end, i = time.perf_counter() + seconds, 0
    while time.perf_counter() < end:
        for name, search in searches.items():
            search(states[i % STATES])
            for j in range(block):
                start = time.perf_counter()
                search(states[(i + j) % STATES])
                times[name].append(time.perf_counter() - start)
        i += 1
    return times


def show(times: dict[str, list[float]], simulations: int) -> None:
    """Print p50, p99 and the ratios to the first search."""
    base = np.percentile(next(iter(times.values())), [50, 99])
    for name, taken in times.items():
        p50, p99 = np.percentile(taken, [50, 99])
        print(
            f"{name:14s} n={len(taken):6d}  p50 {p50 * 1e3:8.3f} ms  p99 {p99 * 1e3:8.3f} ms  "
            f"sims/s {simulations / p50:10.0f}  x mctx: p50 {base[0] / p50:6.2f}  p99 {base[1] / p99:6.2f}"
        )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="search speed beside mctx")
    parser.add_argument("--net", choices=("small", "big"), default="small")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--sims", type=int, default=25)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--block", type=int, default=8)
    parser.add_argument("--peer", type=Path, default=Path("../shared/bench/search"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
