"""What training beside it costs the daemon: from a tick to its decision, with a training child and without, in turn.

    python -m benchmarks.neighbours --pairs 5 --seconds 60

This process is the daemon's: service, session, journal and store, fed at a steady rate; every tenth tick decides. The
child is the one that the schedule starts, with its niceness and its end. Which half of a pair comes first is a seeded
coin; the child learns for a while before it is measured beside. A latency is from when a tick was due to when its
decision has been made, by the wall.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random

import numpy as np
import structlog

from benchmarks.fed import fed, prices
from broker.oanda import Price
from broker.types import SECOND
from daemon.assembly import Body
from daemon.cli import main as program
from daemon.config import Config, load
from daemon.running import SWITCH_S
from daemon.slices import go_first

TEXT = 'bar = "5s"\n[model]\nallow_untrained = true\nwarmup_bars = 160\n[training]\nminutes = 30.0\n'
STEP = SECOND // 2  # of the market's clock between ticks: ten to a bar
LEARNING_S = 15.0  # until the child is past its start
MICROSECOND = 1000


@contextlib.contextmanager
def training(config: Config, folder: Path, ticks: Path) -> Iterator[None]:
    """A training child as the daemon starts it, learning."""
    options = ["train", str(ticks), "--no-store", "--state", str(folder), "--config", str(folder / "config.toml")]
    launch = [sys.executable, "-m", "daemon.launch", str(config.schedule.nice), "0", str(os.getpid())]
    command = [*launch, sys.executable, "-m", "daemon", *options]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as child:
        try:
            time.sleep(LEARNING_S)
            assert child.poll() is None, "the training has ended"
            yield
        finally:
            os.killpg(child.pid, signal.SIGKILL)


async def measured(body: Body, feed: Iterator[Price], rate: int, seconds: float) -> list[int]:
    """Feed for so long; latencies of the ticks that decided, ns."""
    found, service, began = [], body.service, time.perf_counter_ns()
    for n, price in enumerate(islice(feed, round(rate * seconds))):
        due = began + n * SECOND // rate
        if (early := due - time.perf_counter_ns()) > 0:
            await asyncio.sleep(early / SECOND)
        decisions = body.days.decisions
        service.hear(price)
        if body.days.decisions > decisions:
            found.append(time.perf_counter_ns() - due)
    await body.durable()
    return found


async def run(config: Config, folder: Path, ticks: Path, options: argparse.Namespace) -> list[tuple[float, float]]:
    """The p99 without and with a training child, us, of each pair."""
    feed, coin, pairs = prices(STEP), Random(1), []
    async with fed(config) as body:
        for price in islice(feed, 200 * 10):  # the warm-up
            body.service.hear(price)
        for n in range(options.pairs):
            p99 = {}
            for beside in (True, False) if coin.random() < 0.5 else (False, True):
                with training(config, folder / "school", ticks) if beside else contextlib.nullcontext():
                    found = await measured(body, feed, options.rate, options.seconds)
                p99[beside] = float(np.quantile(found, 0.99)) / MICROSECOND
            pairs.append((p99[False], p99[True]))
            print(f"pair {n + 1}: alone {p99[False]:,.0f} us, beside {p99[True]:,.0f} us, {p99[True] / p99[False]:.2f}")
    return pairs


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each half")
    parser.add_argument("--rate", type=int, default=200, help="ticks a second")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    sys.setswitchinterval(SWITCH_S)
    go_first()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "school").mkdir()
        for state in (folder, folder / "school"):
            (state / "config.toml").write_text(TEXT)
        ticks = folder / "EUR_USD-synth.csv"
        assert program(["ticks", "synth", "regime", str(ticks), "--bars", "20000", "--seed", "7"]) == 0
        config = load(folder / "config.toml", {}, {"state.dir": ("--state", name)})
        pairs = asyncio.run(run(config, folder, ticks, options))
    print(f"median ratio of {len(pairs)} pairs: {float(np.median([beside / alone for alone, beside in pairs])):.2f}")


if __name__ == "__main__":
    main()
