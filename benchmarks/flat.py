"""The daemon's memory over many ticks: quotes through service, session, journal, folders and store, in one process.

    python -m benchmarks.flat --ticks 10000000

Ticks are 20 ms apart: 10 million are 2.3 days, so that days are completed and packed on the way. Printed at each
twentieth: resident memory, and what the journal takes on the disk.
"""

import argparse
import asyncio
import logging
import tempfile
import time
from itertools import islice
from pathlib import Path

import structlog

from benchmarks.fed import fed, prices
from daemon.config import load

STEP = 20_000_000  # ns
HANDFUL = 2000  # ticks handed in before the loop gets its turn
MINUTE = 60 * 1_000_000_000 // STEP  # ticks in one
MEGABYTE = 1e6


def resident() -> float:
    """Resident memory of this process, MB."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024 / MEGABYTE


async def run(state: Path, ticks: int) -> list[float]:
    """Feed them; memory at each twentieth, MB."""
    text = 'bar = "5s"\n[model]\nallow_untrained = true\nsimulations = 4\n'
    (state / "config.toml").write_text(text)
    config = load(state / "config.toml", {}, {"state.dir": ("--state", str(state))})
    found, feed, fed_so_far, began = [], prices(STEP), 0, time.perf_counter()
    async with fed(config) as body:
        while fed_so_far < ticks:
            for price in islice(feed, HANDFUL):
                body.service.hear(price)
            fed_so_far += HANDFUL
            if fed_so_far // MINUTE > (fed_so_far - HANDFUL) // MINUTE:
                body.memory.look_after()
                body.days.flush()
            await body.durable()
            if fed_so_far * 20 // ticks > (fed_so_far - HANDFUL) * 20 // ticks:
                found.append(resident())
                journal = (state / "journal.db").stat().st_size / MEGABYTE
                spent = time.perf_counter() - began
                print(
                    f"{fed_so_far:>12,} ticks {found[-1]:7.1f} MB, journal {journal:7.1f} MB, {spent:6.0f} s",
                    flush=True,
                )
    return found


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ticks", type=int, default=10_000_000)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    with tempfile.TemporaryDirectory() as name:
        found = asyncio.run(run(Path(name), options.ticks))
    half = found[len(found) // 2 - 1]
    print(f"largest {max(found):.1f} MB; the second half added {found[-1] - half:+.1f} MB")


if __name__ == "__main__":
    main()
