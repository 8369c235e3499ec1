"""A daemon's service fed from memory: session, journal, folders and store as `run` has them, without network."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from broker.oanda import Price, Transport
from broker.types import SECOND
from daemon.assembly import Body, assemble
from daemon.config import Config
from daemon.console import Ui
from daemon.experience import ExperienceAside
from daemon.journal import opened
from daemon.running import JOURNAL
from daemon.stages import TimedDisk
from daemon.web import Metrics

PAIR = "EUR_USD"
START = 1_714_521_600 * SECOND  # a Wednesday
BLOCK = 1 << 16


class Listed:
    """A transport that knows one instrument and nothing else."""

    access = SimpleNamespace(account="101-001-0000001-001")

    async def send(self, _request: object) -> Any:
        """The account's instruments."""
        known = {"name": PAIR, "pipLocation": -4, "displayPrecision": 5, "marginRate": "0.02"}
        return SimpleNamespace(body={"instruments": [known]})


@asynccontextmanager
async def fed(config: Config) -> AsyncIterator[Body]:
    """The service, open, until it is done with; its day is completed then."""
    state = Path(config.state.dir)
    jobs: list[asyncio.Future[object]] = []

    def aside(job: Any) -> None:
        jobs.append(asyncio.get_running_loop().run_in_executor(None, job))

    async with AsyncExitStack() as held:
        metrics = Metrics()
        disk = TimedDisk(opened(state / JOURNAL), metrics)
        held.callback(disk.close)
        store = ExperienceAside(state, config.store.capacity, print, disk.wait)
        held.callback(store.close)
        ui, transport = Ui(json=True), cast(Transport, Listed())
        body = await assemble(config, {}, transport, disk, store, metrics, aside, lambda: None, ui)
        store.begin()
        body.open()
        yield body
        body.days.finish()
        await asyncio.gather(*jobs)


def prices(step: int, seed: int = 1) -> Iterator[Price]:
    """Quotes without end, `step` ns apart: a walk that returns to where it began, 1 pip wide."""
    dice, time, mid = np.random.Generator(np.random.PCG64(seed)), START, 0.0
    while True:
        for jump in dice.normal(0.0, 1.0, BLOCK).tolist():
            mid += jump - 0.0005 * mid
            bid = 110_000 + round(mid)
            yield Price(time, PAIR, bid, bid + 10, ((bid, 10**6),), ((bid + 10, 10**6),), True)
            time += step
