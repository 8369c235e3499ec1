"""What the store costs on disk: a durable append beside a raw write, and opening a full store.

python -m benchmarks.store_disk --steps 1000000 --root /var/tmp
"""

import argparse
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.training.made_experience import made_segment
from training.quality import Half
from training.store_reader import ExperienceReader
from training.store_writer import ExperienceWriter

SET, STEPS = "bench", 20


def timed(action: Callable[[], object]) -> float:
    """Seconds that an action takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def appends(folder: Path, features: int, count: int) -> None:
    """A durable append of a 20-step trade, and a raw write and fdatasync of the same bytes, in turn."""
    writer = ExperienceWriter(folder / "append.db", 1_000_000)
    raw = os.open(folder / "raw", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    ours, theirs = [], []
    for number in range(count):
        segment = made_segment(number * STEPS, STEPS, feature_set=SET, features=features)
        content = segment.steps.tobytes()
        ours.append(timed(lambda segment=segment: writer.append(segment)))
        theirs.append(timed(lambda content=content: (os.write(raw, content), os.fdatasync(raw))))
    writer.close()
    a, b = statistics.median(ours) * 1e3, statistics.median(theirs) * 1e3
    sys.stdout.write(f"append of {STEPS} steps, {features} features: {a:.2f} ms, raw {b:.2f} ms, ratio {a / b:.1f}\n")


def opening(folder: Path, features: int, steps: int) -> None:
    """Open a full store: without a record cache, with one, and in memory."""
    path, cache = folder / "full.db", folder / "cache"
    writer = ExperienceWriter(path, 2 * steps)
    made = [made_segment(0, STEPS, run=f"run-{i}", feature_set=SET, features=features) for i in range(steps // STEPS)]
    seconds = sum(timed(lambda segment=segment: writer.append(segment)) for segment in made)
    writer.close()
    del made
    found: list[ExperienceReader] = []
    rng = np.random.default_rng(0)

    def open_it() -> None:
        found.append(ExperienceReader(path, SET, features, rng, cache))

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    anew = timed(open_it)
    size = sum(found[0].size(half) for half in Half)
    found.pop().close()
    again = timed(open_it)
    first = timed(lambda: found[0].sample(Half.QUALITY, 256))
    found.pop().close()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    files = {file.name: file.stat().st_size for file in folder.iterdir() if file.name.startswith(("full", "cache"))}
    sys.stdout.write(
        f"{size:,} steps of {features} features: filled in {seconds:.0f} s, opened anew {anew:.1f} s, with its cache"
        f" {again * 1e3:.0f} ms, first batch {first * 1e3:.1f} ms, on disk {files['full.db'] / size:.0f} bytes a step,"
        f" cache {(files['cache.rows'] + files['cache.marks']) / size:.0f},"
        f" peak memory grew {(after - before) / 1e3:.0f} MB\n"
    )


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--features", type=int, default=26)
    parser.add_argument("--root", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.root) as folder:
        appends(Path(folder), options.features, 500)
        opening(Path(folder), options.features, options.steps)


if __name__ == "__main__":
    main()
