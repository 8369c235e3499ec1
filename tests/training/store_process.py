"""Processes that share a store, for tests that kill them: a writer that says what it stored, and a learner."""

import sys
from pathlib import Path

import numpy as np

from tests.training.made_experience import FEATURES, SET, made_segment
from training.quality import Half
from training.store_reader import ExperienceReader
from training.store_writer import ExperienceWriter

STEPS = 8


def write(path: Path, start: int, capacity: int, count: int) -> None:
    """Append segments from number `start` on, and say each number once it is durable."""
    writer = ExperienceWriter(path, capacity)
    for number in range(start, start + count):
        writer.append(made_segment(number * STEPS, STEPS, pips=float(number % 17 - 8)))
        say(number)
    writer.close()


def learn(path: Path, seed: int, count: int) -> None:
    """Draw, score, write back, and follow the store; `count` times."""
    rng = np.random.default_rng(seed)
    reader = ExperienceReader(path, SET, FEATURES, rng, path.with_name(f"cache-{seed}"))
    for number in range(count):
        reader.refresh()
        for half in Half:
            if reader.size(half):
                batch = reader.sample(half, 32, unroll=3)
                reader.learned(batch.slots[:, 0], batch.ids[:, 0], rng.standard_normal(len(batch.ids)) * 3)
        reader.flush()
        say(number)
    reader.close()


def say(number: int) -> None:
    """Tell the parent, at once."""
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def main() -> None:
    """`write PATH START CAPACITY COUNT` or `learn PATH SEED COUNT`."""
    kind, path, *numbers = sys.argv[1:]
    {"write": write, "learn": learn}[kind](Path(path), *map(int, numbers))


if __name__ == "__main__":
    main()
