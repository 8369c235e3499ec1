"""Self-play in worker processes: two against one, interleaved.

    heavy all python -m benchmarks.selfplay [--bars 20000] [--turns 400] [--rounds 5]

Each round plays the same number of decisions with one worker and with two, on a synthetic tape with the recipe's
networks, and prints decisions a second; then the ratio of the medians. Workers are started and warmed up before.
"""

import argparse
import statistics
import sys
import time

import numpy as np

from benchmarks.tape import EDGE20, LEGAL, SIZES, synthetic_tape
from training.inputs import fit
from training.learner import Recipe
from training.networks import Networks
from training.players import Pool
from training.selfplay import Lanes, Play


def main() -> None:
    """Measure and print."""
    options = _options()
    tape = synthetic_tape(options.bars)
    normaliser, play = fit(tape.rows, EDGE20), Play()
    lanes = Lanes(normaliser.of(tape.rows), normaliser, LEGAL, SIZES, play, Recipe().discount)
    tensors = {name: tensor.detach().numpy() for name, tensor in Networks(SIZES, 0).state_dict().items()}
    pools = {workers: Pool(lanes, workers) for workers in (1, 2)}
    speeds: dict[int, list[float]] = {workers: [] for workers in pools}

    def played(pool: Pool, turns: int) -> float:
        """Seconds until all that was handed out has come back."""
        began = time.perf_counter()
        for worker in pool.workers:
            assert not list(worker.collect())
        list(pool.play(tensors, 1, turns))
        count = sum(len(found.index) for worker in pool.workers for found in worker.collect())
        assert count == turns // len(pool.workers) * len(pool.workers) * play.lanes
        return time.perf_counter() - began

    try:
        for pool in pools.values():
            played(pool, 8)
        for number in range(options.rounds):
            for workers, pool in pools.items():
                speeds[workers].append(options.turns * play.lanes / played(pool, options.turns))
            line = "\t".join(f"{speeds[workers][-1]:,.0f}" for workers in pools)
            sys.stdout.write(f"round {number + 1}\t{line}\n")
    finally:
        for pool in pools.values():
            pool.close()
    one, two = (statistics.median(found) for found in speeds.values())
    ratios = [b / a for a, b in zip(*speeds.values(), strict=True)]
    sys.stdout.write(
        f"median decisions/s\t{one:,.0f}\t{two:,.0f}\tratio {two / one:.2f}, of rounds {np.median(ratios):.2f}\n"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.selfplay", description="two workers against one")
    parser.add_argument("--bars", type=int, default=20_000)
    parser.add_argument("--turns", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    main()
