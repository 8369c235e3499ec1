"""Self-play in worker processes: two against one, interleaved.

    heavy all python -m benchmarks.selfplay [--bars 20000] [--turns 400] [--rounds 5]

Each round plays the same number of decisions with one worker and with two, on a synthetic tape with the recipe's
networks. Two ratios: of decisions a second, which needs two idle cores; and of the CPU time that lies one after the
other, the parent's and the busiest worker's, which other work on the machine hardly touches.
"""

import argparse
import os
import statistics
import sys
import time
from pathlib import Path

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
    walls: dict[int, list[float]] = {workers: [] for workers in pools}
    chains: dict[int, list[float]] = {workers: [] for workers in pools}

    def played(pool: Pool, turns: int) -> tuple[float, float]:
        """Seconds until all that was handed out has come back: by the wall, and of CPU one after the other."""
        workers = [cpu_seconds(worker.pid) for worker in pool.workers]
        began, parent = time.perf_counter(), time.process_time()
        list(pool.play(tensors, 1, turns))
        count = sum(len(found.index) for worker in pool.workers for found in worker.collect())
        wall, parent = time.perf_counter() - began, time.process_time() - parent
        assert count == turns // len(pool.workers) * len(pool.workers) * play.lanes
        spent = [cpu_seconds(worker.pid) - before for worker, before in zip(pool.workers, workers, strict=True)]
        return wall, parent + max(spent)

    try:
        for pool in pools.values():
            played(pool, 8)
        for number in range(options.rounds):
            for workers, pool in pools.items():
                wall, chain = played(pool, options.turns)
                walls[workers].append(wall)
                chains[workers].append(chain)
            speeds = "\t".join(f"{options.turns * play.lanes / walls[workers][-1]:,.0f}/s" for workers in pools)
            sys.stdout.write(f"round {number + 1}\t{speeds}\n")
    finally:
        for pool in pools.values():
            pool.close()
    for name, found in (("wall", walls), ("CPU one after the other", chains)):
        ratios = [one / two for one, two in zip(found[1], found[2], strict=True)]
        middle = statistics.median(ratios)
        sys.stdout.write(f"{name}: two over one {middle:.2f} ({min(ratios):.2f} to {max(ratios):.2f})\n")


def cpu_seconds(pid: int | None) -> float:
    """CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.selfplay", description="two workers against one")
    parser.add_argument("--bars", type=int, default=20_000)
    parser.add_argument("--turns", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    main()
