"""Hot swaps under ticks: two models take turns while quotes come at a steady rate, with swaps and without in turn.

    python -m benchmarks.hotswap --swaps 10000 --rate 1000 --pause 0.1

Each swap is the daemon's: in another thread the folder is verified and loaded, its strategies are made, a canary asks
them; then one input of the session hands over. Halves of a second with swaps and without take turns, which half first
by a seeded coin; a tick's latency is from when it was due to when it has been handled, by the wall and in CPU time of
the loop's thread. Afterwards the same ticks run again without a swap: the same bars must have been decided on, each
once, and each decision in the journal must be of the model that was activated last before it.
"""

import argparse
import asyncio
import gc
import json
import logging
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from random import Random

import numpy as np
import structlog

from benchmarks.fed import fed, prices
from broker.oanda import Price
from broker.types import SECOND
from daemon.assembly import Body
from daemon.config import Config, load
from daemon.models import BUNDLED
from daemon.running import SWITCH_S
from daemon.slices import go_first
from strategy.model import render
from training.registry import Registry

TEXT = 'bar = "5s"\n[model]\nallow_untrained = true\nsimulations = 8\nwarmup_bars = 160\n'
STEP = SECOND // 10  # of the market's clock between ticks: 50 to a bar
HALF_S = 0.5
LONGEST_MS = 1000.0
PREPARED = 1  # waiting, and one more in the making: the strategies of a version are made once and handed out once
PREPARED_S = 0.2  # until nothing is in the making any more
MICROSECOND = 1000


@dataclass(slots=True)
class Seen:
    """Latencies of ticks, ns, by the wall and of CPU: of a half with swaps and of one without."""

    wall: tuple[list[int], list[int]] = field(default_factory=lambda: ([], []))
    cpu: tuple[list[int], list[int]] = field(default_factory=lambda: ([], []))
    pairs: list[float] = field(default_factory=list)
    pairs_cpu: list[float] = field(default_factory=list)
    ticks: int = 0
    swaps: int = 0


def two_models(state: Path) -> list[str]:
    """Two models in the registry: the bundled one, and the same under another name."""
    registry = Registry(state / "models", "benchmark", lambda: 0)
    files = {path.name: path.read_bytes() for path in BUNDLED.iterdir()}
    weights = {name: content for name, content in files.items() if name != "manifest.json"}
    manifest = json.loads(files["manifest.json"])
    again = {**weights, "manifest.json": render({**manifest, "metrics": {"made": "again"}}, weights)}
    return [registry.folders.add(files), registry.folders.add(again)]


async def prepare(body: Body, keys: list[str], ready: asyncio.Queue[object], pause: float) -> None:
    """Prepare one model after the other, as the daemon does, `pause` seconds between them, until cancelled."""
    n = 0
    while True:
        await ready.put(await asyncio.to_thread(body.prepare, keys[n % 2], body.window.lately(), LONGEST_MS))
        n += 1
        await asyncio.sleep(pause)


async def swapped(config: Config, keys: list[str], swaps: int, rate: int, pause: float) -> Seen:
    """Feed and swap."""
    seen, coin, feed = Seen(), Random(1), prices(STEP)
    ready: asyncio.Queue[object] = asyncio.Queue(PREPARED)
    async with fed(config) as body:
        for price in islice(feed, 200 * 50):  # the warm-up
            body.service.hear(price)
            seen.ticks += 1
        preparing = asyncio.create_task(prepare(body, keys, ready, pause))
        while seen.swaps < swaps:
            first = coin.random() < 0.5
            halves = {
                swapping: await half(body, feed, rate, ready if swapping else None, seen)
                for swapping in (first, not first)
            }
            (wall, cpu), (wall_idle, cpu_idle) = halves[True], halves[False]
            seen.pairs.append(float(np.quantile(wall, 0.99) - np.quantile(wall_idle, 0.99)))
            seen.pairs_cpu.append(float(np.quantile(cpu, 0.99) - np.quantile(cpu_idle, 0.99)))
        preparing.cancel()
    return seen


async def half(
    body: Body, feed: Iterator[Price], rate: int, ready: asyncio.Queue[object] | None, seen: Seen
) -> tuple[list[int], list[int]]:
    """Half a second of ticks, each at its time; latencies by the wall and of CPU, ns."""
    walls, cpus, service = seen.wall[ready is None], seen.cpu[ready is None], body.service
    if ready is None:
        await asyncio.sleep(PREPARED_S)
    start, began = len(walls), time.perf_counter_ns()
    for n, price in enumerate(islice(feed, round(rate * HALF_S))):
        due = began + n * SECOND // rate
        if (early := due - time.perf_counter_ns()) > 0:
            await asyncio.sleep(early / SECOND)
        cpu = time.thread_time_ns()
        if ready is not None and not ready.empty():
            service.take(replace(ready.get_nowait(), time=service.desk.clock))
            seen.swaps += 1
        service.hear(price)
        cpus.append(time.thread_time_ns() - cpu)
        walls.append(time.perf_counter_ns() - due)
        seen.ticks += 1
        if n % 16 == 0:
            await asyncio.sleep(0)
    await body.durable()
    return walls[start:], cpus[start:]


async def unswapped(config: Config, ticks: int) -> None:
    """The same ticks, as fast as they go."""
    feed = prices(STEP)
    async with fed(config) as body:
        for _ in range(-(-ticks // 1000)):
            for price in islice(feed, min(1000, ticks)):
                body.service.hear(price)
            ticks -= 1000
            await body.durable()


def bars_of(state: Path) -> list[tuple[int, str, str]]:
    """Number, time and bar of each decision in the logs."""
    lines = [line for path in sorted(state.rglob("decisions.jsonl")) for line in path.read_text().splitlines()]
    rows = map(json.loads, lines)
    return [(row["seq"], row["time"], json.dumps([row["bid"], row["ask"], row["action"]])) for row in rows]


def mixed(state: Path) -> tuple[int, int]:
    """Decisions in the journal, and how many of them are not of the model activated last before."""
    with closing(sqlite3.connect(state / "journal.db")) as db:
        model, wrong, count = "", 0, 0
        rows = db.execute("SELECT kind, body FROM journal_records WHERE kind IN ('Activated', 'Decided') ORDER BY seq")
        for kind, body in rows:
            name = json.loads(body)["model"]
            if kind == "Activated":
                model = name
            else:
                count += 1
                wrong += bool(model) and name != model
    return count, wrong


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--swaps", type=int, default=10_000)
    parser.add_argument("--rate", type=int, default=1000, help="ticks a second")
    parser.add_argument(
        "--pause", type=float, default=0.1, help="seconds between swaps; 0: one at the heels of another"
    )
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    sys.setswitchinterval(SWITCH_S)
    go_first()
    gc.collect()
    gc.freeze()  # as `run` does
    with tempfile.TemporaryDirectory() as name:
        states = [Path(name) / part for part in ("swapped", "unswapped")]
        configs = []
        for state in states:
            state.mkdir()
            (state / "config.toml").write_text(TEXT)
            configs.append(load(state / "config.toml", {}, {"state.dir": ("--state", str(state))}))
        began = time.perf_counter()
        seen = asyncio.run(swapped(configs[0], two_models(states[0]), options.swaps, options.rate, options.pause))
        spent = time.perf_counter() - began
        asyncio.run(unswapped(configs[1], seen.ticks))
        ours, theirs = map(bars_of, states)
        decisions, wrong = mixed(states[0])
    print(f"{seen.swaps:,} swaps in {spent:.0f} s, {seen.ticks:,} ticks at {options.rate:,} a second while measured")
    same = "the same" if ours == theirs else "NOT the same"
    print(f"{len(ours):,} decisions with swaps, {len(theirs):,} without: numbers, times, prices, actions are {same}")
    print(f"{decisions:,} decisions in the journal, {wrong} of another model than the one activated last")
    for kind, samples, pairs in (("wall", seen.wall, seen.pairs), ("CPU", seen.cpu, seen.pairs_cpu)):
        for which, half_ in zip(("with swaps", "without"), samples, strict=True):
            p50, p99 = (float(np.quantile(half_, q)) / MICROSECOND for q in (0.5, 0.99))
            print(f"a tick by {kind}, {which}: p50 {p50:,.0f}, p99 {p99:,.0f} us ({len(half_):,} ticks)")
        added = np.median(pairs) / MICROSECOND
        print(f"added to the p99 by {kind}: median of {len(pairs)} pairs {added:+,.0f} us")


if __name__ == "__main__":
    main()
