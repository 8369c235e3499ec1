"""Kill -9 of writer and learners at random instants, and several processes at full rate: is anything lost?

    python -m benchmarks.store_crash --kills 200
    python -m benchmarks.store_crash --seconds 300      # a writer, two learners, no kills

Run it from the repository's root; it says how many acknowledged segments were lost (0), and checks every row.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.training.store_process import STEPS
from tests.training.test_store_faults import PLENTY, check_whole, start
from training.store_maintenance import ExperienceMaintenance
from training.store_writer import ExperienceWriter


def kills(folder: Path, count: int, seed: int) -> None:
    """Kill a writer and two learners `count` times, and check every row after each."""
    path, stored, lost, unacknowledged, rng = folder / "experience.db", 0, 0, 0, random.Random(seed)
    ExperienceWriter(path, PLENTY).close()
    for number in range(count):
        if number % 20 == 0:
            path = folder / f"experience-{number}.db"
            ExperienceWriter(path, PLENTY).close()
            stored = 0
        writer = start("write", path, stored, PLENTY, PLENTY)
        learners = [start("learn", path, seed, PLENTY) for seed in (1, 2)]
        assert writer.stdout is not None
        first = writer.stdout.readline()
        time.sleep(rng.uniform(0.0, 0.4))
        for process in (writer, *learners):
            os.kill(process.pid, signal.SIGKILL)
        rest, _ = writer.communicate()
        for process in learners:
            process.communicate()
        last = max(int(line) for line in [first, *rest.splitlines(keepends=True)] if line.endswith("\n"))
        whole = check_whole(path)
        lost += max(0, last + 1 - whole)
        unacknowledged += max(0, whole - last - 1)
        stored = whole
        if number % 20 == 19:
            sys.stdout.write(
                f"{number + 1} kills, {lost} acknowledged segments lost, {unacknowledged} stored but unsaid\n"
            )
            sys.stdout.flush()


def full_rate(folder: Path, seconds: float) -> None:
    """A writer and two learners at full rate for so long; then check what there is."""
    path = folder / "experience.db"
    ExperienceWriter(path, 50_000).close()
    processes = [
        start("write", path, 0, 50_000, PLENTY),
        start("learn", path, 1, PLENTY),
        start("learn", path, 2, PLENTY),
    ]
    said = [process.stdout for process in processes]
    files = [open(folder / f"said-{i}", "w+") for i in range(len(said))]  # noqa: SIM115 - closed with the process
    pumps = [subprocess.Popen(["cat"], stdin=out, stdout=file) for out, file in zip(said, files, strict=True)]
    time.sleep(seconds)
    alive = [process.poll() is None for process in processes]
    for process in processes:
        os.kill(process.pid, signal.SIGKILL)
    complaints = [process.stderr.read() if process.stderr else "" for process in processes]
    for pump in pumps:
        pump.wait()
    keeper = ExperienceMaintenance(path)
    stats = keeper.stats()
    rounds = [len((folder / f"said-{i}").read_text().splitlines()) for i in range(len(said))]
    sys.stdout.write(
        f"{seconds:.0f} s: all alive {alive}, complaints {complaints}, {rounds[0]} segments of {STEPS} steps stored,"
        f" {rounds[1:]} learner rounds, {keeper.verify()['integrity']}, {stats['size']} steps\n"
    )


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.kills:
            kills(Path(folder), options.kills, options.seed)
        if options.seconds:
            full_rate(Path(folder), options.seconds)


if __name__ == "__main__":
    main()
