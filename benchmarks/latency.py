"""From a tick's line read to the order written: the whole client beside a bare aiohttp client, tick by tick.

    python -m benchmarks.latency --orders 3000
    python -m benchmarks.latency --busy 60     # and how long the event loop is blocked, for so long

Both run in one process against one emulator (a process of its own). Two instruments tick in turn; the client trades the
one, the bare client the other, an order for each tick. A sample runs from the arrival of the bytes that hold the
price (before aiohttp sees them) to the return of the socket's write of the whole order, by the wall and in CPU time of
the thread, which other work on the machine spares. The model is left out (the order is ready), and so is the journal
(what the order log would write goes nowhere): see docs/performance.md.

The busy run is the client as it runs: 200 ticks a second, orders all the while, the order log on disk, a recording,
polls. Every callback of its event loop is timed likewise, and what of it was spent runnable without a core (Linux's
schedstat): the machine's other work, not ours.
"""

import argparse
import asyncio
import contextlib
import gc
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import numpy as np

from benchmarks.callbacks import LABELS, Callbacks, show
from broker.clock import SystemClock
from broker.durable import Inline, Job, Threaded, Writer, connect
from broker.oanda import (
    Access,
    Account,
    Event,
    FeedEvent,
    FeedWaits,
    Hosts,
    KeeperWaits,
    OrderLimits,
    OrderLog,
    Pace,
    Price,
    PriceFeed,
    Recorder,
    Secret,
    TokenBucket,
    Transport,
    Waits,
)
from broker.rfc3339 import rfc3339
from broker.types import SECOND, Order

Json = dict[str, str]
TOKEN, OURS, BARE = "for-the-benchmark", "EUR_USD", "USD_JPY"
START = 1_714_521_600 * SECOND  # a Wednesday
MICROSECOND = 1000
WARM_UP = 100  # orders
BUSY_SPEED = 200


@dataclass(slots=True)
class Stamps:
    """When the last price was read, when the one that an order is about, and how long after it that was written.

    Each by the wall and in CPU time of the thread, ns.
    """

    read: tuple[int, int] = (0, 0)
    cause: tuple[int, int] = (0, 0)
    samples: list[tuple[int, int]] = field(default_factory=list)


def now() -> tuple[int, int]:
    """Wall and CPU time, ns."""
    return time.perf_counter_ns(), time.thread_time_ns()


class Stamped(aiohttp.TCPConnector):
    """Connections that tell the stamps; an order leaves in one write."""

    def __init__(self, stamps: Stamps) -> None:
        super().__init__(keepalive_timeout=75.0)
        self._stamps = stamps

    async def _create_connection(self, *args: Any) -> Any:
        protocol, stamps = await super()._create_connection(*args), self._stamps
        received, write = protocol.data_received, protocol.transport.write

        def on_received(data: bytes) -> None:
            if b'"PRICE"' in data:
                stamps.read = now()
            received(data)

        def on_write(data: bytes) -> None:
            write(data)
            if data.startswith(b"POST"):
                assert data.endswith(b"}"), "an order in two parts"
                wall, worked = now()
                stamps.samples.append((wall - stamps.cause[0], worked - stamps.cause[1]))

        protocol.data_received, protocol.transport.write = on_received, on_write
        return protocol


@contextlib.contextmanager
def emulator(folder: Path, speed: int, seconds: int) -> Iterator[Json]:
    """An emulator of two instruments that tick in turn, each once a second of its clock."""
    for name, shift, price in ((OURS, 0, 1.1), (BARE, SECOND // 2, 110.0)):
        digits = 5 if name == OURS else 3
        rows = "".join(
            f"{rfc3339(START + n * SECOND + shift)},{price:.{digits}f},{price + 10**-digits:.{digits}f}\n"
            for n in range(seconds)
        )
        (folder / f"{name}-made.csv").write_text("time,bid,ask\n" + rows)
    files = [part for name in (OURS, BARE) for part in ("--ticks", str(folder / f"{name}-made.csv"))]
    command = [sys.executable, "-m", "daemon", "emulator", *files, "--speed", f"{speed}x", "--latency-ms", "0"]
    environ = {**os.environ, "OANDA_TOKEN": TOKEN}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


class Nowhere(Inline):
    """A disk that takes everything and keeps nothing; it answers what is asked at the start."""

    def put(self, job: Job) -> None:
        """Nothing is written."""


class Client:
    """The whole client: an order at each tick, in and out in turn, as soon as the one before has ended."""

    def __init__(self, where: Json, disk: Writer, stamps: Stamps, tape: Recorder | None = None) -> None:
        access = Access(Secret(TOKEN), where["account"], Hosts(where["rest"], where["stream"]))
        pace = Pace(TokenBucket(1e6, 1e6, reserve=5.0), TokenBucket(1e6, 1e6))
        clock, dice = SystemClock().now, Random(0)
        self.transport = Transport(access, pace, Waits(), dice, clock, lambda: Stamped(stamps))
        self._stamps = stamps
        self._log, self._tape, self._dice, self._number = OrderLog(disk, where["account"]), tape, dice, 0
        limits = OrderLimits(10**6, 10**6, bound_pips=20.0)
        self.account = Account(self.transport, self._log, self, self, limits, KeeperWaits(), dice, clock)
        self._feed: PriceFeed | None = None

    def fresh(self, instrument: str) -> Price | None:
        """As the feed says."""
        return self._feed.fresh(instrument) if self._feed is not None else None

    def record(self, told: tuple[Event, ...]) -> None:
        """Nothing more is kept."""

    def apply(self, told: tuple[Event, ...]) -> None:
        """Nothing more is done."""

    async def run(self) -> None:
        """Trade until cancelled."""
        known = await self.account.start()
        self._feed = PriceFeed(self.transport, {OURS: known[OURS]}, self._heard, self._tape, FeedWaits(), self._dice)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.account.run())
            tasks.create_task(self._feed.run())

    def _heard(self, event: FeedEvent) -> None:
        if not isinstance(event, Price) or self._log.open() or not self.account.ready:
            return
        self._stamps.cause = self._stamps.read
        self._number += 1
        name, held = f"mt-latency-{self._number}", self.account.position(OURS)
        if held:
            order = Order(name, event.time, OURS, -held, 0, 0, "close", 0, "m")
        else:
            order = Order(name, event.time, OURS, 1000, 500, 0, "entry", 1, "m")
        self.account.submit(order)


async def bare(where: Json, stamps: Stamps) -> None:
    """What aiohttp alone can do: read a line, parse it, post an order, read the answer."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    account = f"/v3/accounts/{where['account']}"
    number = 0
    async with aiohttp.ClientSession(connector=Stamped(stamps), headers=headers) as session:
        url = f"{where['stream']}{account}/pricing/stream?instruments={BARE}"
        async with session.get(url, timeout=aiohttp.ClientTimeout(total=None)) as stream:
            async for line in stream.content:
                price = json.loads(line)
                if price["type"] != "PRICE":
                    continue
                stamps.cause = stamps.read
                number += 1
                units = "1000" if number % 2 else "-1000"
                order = {"type": "MARKET", "instrument": BARE, "units": units, "timeInForce": "FOK"}
                order |= {"priceBound": price["asks" if number % 2 else "bids"][1]["price"]}
                async with session.post(f"{where['rest']}{account}/orders", json={"order": order}) as answer:
                    await answer.json()


async def beside(where: Json, orders: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Both at once, tick by tick; samples of ours and of the bare client."""
    ours, theirs = Stamps(), Stamps()
    client = Client(where, Nowhere(_in_memory()), ours)
    jobs = [asyncio.create_task(job) for job in (client.run(), bare(where, theirs))]
    while min(len(ours.samples), len(theirs.samples)) < orders + WARM_UP:
        await asyncio.sleep(0.2)
        for job in jobs:
            if job.done():
                job.result()
    await _end(jobs, client)
    return ours.samples[WARM_UP:], theirs.samples[WARM_UP:]


async def busy(where: Json, seconds: float, folder: Path) -> tuple[Callbacks, int]:
    """How long the callbacks of the client's event loop took, and how many orders left."""
    stamps, callbacks = Stamps(), Callbacks()
    disk, tape = Threaded(connect(folder / "orders.db")), Recorder(folder / "ticks", [OURS])
    client = Client(where, disk, stamps, tape)
    job = asyncio.create_task(client.run())
    while len(stamps.samples) < WARM_UP:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.1)
    before = len(stamps.samples)
    with callbacks.timing():
        for _ in range(round(seconds)):
            await asyncio.sleep(1.0)
            tape.flush()
    await _end([job], client)
    disk.close()
    tape.close()
    return callbacks, len(stamps.samples) - before


async def _end(jobs: list["asyncio.Task[None]"], client: Client) -> None:
    for job in jobs:
        job.cancel()
    await asyncio.gather(*jobs, return_exceptions=True)
    await client.transport.close()


def _in_memory() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.execute("PRAGMA synchronous = FULL")
    return db


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=3000)
    parser.add_argument("--busy", type=float, default=0.0, metavar="SECONDS")
    options = parser.parse_args()
    gc.collect()
    gc.freeze()  # as `run` does
    with tempfile.TemporaryDirectory() as name, emulator(Path(name), 40, 4 * options.orders + 4000) as where:
        ours, theirs = asyncio.run(beside(where, options.orders))
    for place, kind in enumerate(("", ", CPU time")):
        mine, bare_ = ([sample[place] for sample in samples] for samples in (ours, theirs))
        ratios = np.array(show(f"the client{kind}", mine)) / np.array(show(f"bare aiohttp{kind}", bare_))
        print("ratio: " + ", ".join(f"{label} {ratio:.2f}" for label, ratio in zip(LABELS, ratios, strict=True)))
    if options.busy:
        seconds = round((options.busy + 30) * BUSY_SPEED)
        with tempfile.TemporaryDirectory() as name, emulator(Path(name), BUSY_SPEED, seconds) as where:
            callbacks, orders = asyncio.run(busy(where, options.busy, Path(name)))
        show(f"callbacks of the event loop in {options.busy:.0f} s with {orders:,} orders", callbacks.wall)
        show("the same, less their waits for a core", callbacks.blocked)
        show("the same, of CPU", callbacks.cpu)


if __name__ == "__main__":
    main()
