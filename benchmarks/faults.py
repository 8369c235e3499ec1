"""Many seeded runs of client and emulator through every fault of the plane, and kill -9 of both.

    python -m benchmarks.faults --runs 1000               # in virtual time, over a pipe in memory
    python -m benchmarks.faults --processes --runs 100    # as processes, over sockets
    python -m benchmarks.faults --service --runs 10       # the same with `micro-trader run` as the client
    python -m benchmarks.faults --seed 59                 # one run alone, with its traceback

Run it from the repository's root. After each run no order is doubled or forgotten, no fill lost or counted twice, the
ledger is the account's, the limit was kept, no entry left while a stream was stale, and trading goes on
(tests/broker/faults/verdict.py).
"""

import argparse
import asyncio
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.broker.faults.processes import Pair, killing
from tests.broker.faults.service import Service
from tests.broker.faults.world import stormy


def one(seed: int, kind: str) -> Counter[str]:
    """One run, in a folder of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if kind == "virtual":
            return stormy(seed, folder)
        return asyncio.run(killing(Service(seed, folder) if kind == "service" else Pair(seed, folder)))


def many(seeds: range, kind: str) -> int:
    """Run them all, say what they were about, and how many failed."""
    counts: Counter[str] = Counter()
    failed = 0
    for seed in seeds:
        try:
            counts += one(seed, kind)
        except (Exception, asyncio.CancelledError) as wrong:  # noqa: BLE001 - the next seed is another matter
            failed += 1
            print(f"seed {seed}: {type(wrong).__name__}: {str(wrong)[:300]}", flush=True)
        if sys.stderr.isatty():
            print(f"\r{seed - seeds.start + 1}/{len(seeds)}", end="", file=sys.stderr, flush=True)
    print(f"{len(seeds)} runs, {failed} failed")
    for name, count in sorted(counts.items()):
        print(f"  {name}: {count:,}")
    return failed


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="seed of the first run")
    parser.add_argument("--seed", type=int, help="this run alone")
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--processes", action="store_const", dest="kind", const="processes", help="real ones, killed")
    kinds.add_argument("--service", action="store_const", dest="kind", const="service", help="`run` itself, killed")
    parser.set_defaults(kind="virtual")
    options = parser.parse_args()
    if options.seed is not None:
        print(dict(one(options.seed, options.kind)))
        return
    sys.exit(min(1, many(range(options.first, options.first + options.runs), options.kind)))


if __name__ == "__main__":
    main()
