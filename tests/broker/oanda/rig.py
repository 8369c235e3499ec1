"""The client under test, wired to a scripted desk in memory."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TypeVar

import aiohttp
from aiohttp import web

from broker.durable import Inline, Writer
from broker.oanda import (
    Access,
    Account,
    Event,
    FeedEvent,
    FeedWaits,
    Filled,
    Hosts,
    KeeperWaits,
    OrderLimits,
    OrderLog,
    Pace,
    PriceFeed,
    Secret,
    Transport,
    Waits,
)
from broker.oanda.feed import Tape
from broker.types import DAY, Instrument, Order
from tests.broker.oanda.desk import ACCOUNT, START, TOKEN, Desk
from tests.broker.oanda.virtual import VirtualLoop

EUR_USD = "EUR_USD"
LIMITS = OrderLimits(max_units=10_000, first_day_units=10_000, bound_pips=20.0)
MEMORY = Hosts("http://rest.test", "http://stream.test")
T = TypeVar("T")


@dataclass
class Heard:
    """A listener that keeps everything, and writes it into the same database."""

    disk: Writer
    applied: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        schema = "CREATE TABLE IF NOT EXISTS heard (n INTEGER PRIMARY KEY, kind TEXT, fill INTEGER) STRICT"
        self.disk.ask(lambda db: db.execute(schema))

    def record(self, events: tuple[Event, ...]) -> None:
        rows = [(type(e).__name__, e.transaction if isinstance(e, Filled) else 0) for e in events]
        self.disk.put(lambda db: db.executemany("INSERT INTO heard (kind, fill) VALUES (?, ?)", rows))

    def apply(self, events: tuple[Event, ...]) -> None:
        self.applied.extend(events)

    def of(self, kind: type[T]) -> list[T]:
        """The events of a kind."""
        return [event for event in self.applied if isinstance(event, kind)]


def database(path: Path | None = None) -> sqlite3.Connection:
    """A durable database."""
    db = sqlite3.connect(path or ":memory:")
    db.execute("PRAGMA synchronous = FULL")
    return db


def access(hosts: Hosts = MEMORY, token: str = TOKEN) -> Access:
    """The desk's own token and account."""
    return Access(Secret(token), ACCOUNT, hosts)


def in_memory(waits: Waits | None = None, seed: int = 0, token: str = TOKEN) -> Transport:
    """A transport whose connections the virtual loop makes."""
    loop = asyncio.get_running_loop()

    def now() -> int:
        return START + round(loop.time() * 1e9)

    def connector() -> aiohttp.BaseConnector:
        return aiohttp.UnixConnector("desk")

    return Transport(access(token=token), Pace.usual(), waits or Waits(), Random(seed), now, connector)


async def listen(desk: Desk, name: str = "desk") -> web.AppRunner:
    """Let a desk listen in memory."""
    runner = web.AppRunner(desk.app, handler_cancellation=True)
    await runner.setup()
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    assert runner.server is not None
    loop.listeners[name] = runner.server
    return runner


@dataclass
class Rig:
    """Everything that a test of the account looks at."""

    desk: Desk
    transport: Transport
    feed: PriceFeed
    account: Account
    heard: Heard
    log: OrderLog
    told: list[FeedEvent]
    instruments: dict[str, Instrument]
    db: sqlite3.Connection

    async def until(self, met: Callable[[], object], seconds: float = 300.0) -> None:
        """Let time pass until a condition holds."""
        async with asyncio.timeout(seconds):
            while not met():  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.05)

    def units(self) -> int:
        """What the desk holds."""
        return sum(trade["units"] for trade in self.desk.trades.values())


@asynccontextmanager
async def rig(
    desk: Desk,
    db: sqlite3.Connection | None = None,
    limits: OrderLimits = LIMITS,
    tape: Tape | None = None,
    seed: int = 0,
    day: int = 2 * DAY,
    wait: bool = True,
) -> AsyncIterator[Rig]:
    """A started client: feed and account run, and the account is ready. `day`: how long after its first use it is."""
    runner = await listen(desk)
    transport = in_memory(seed=seed)
    db = db or database()
    disk = Inline(db)
    heard, log, told = Heard(disk), OrderLog(disk, ACCOUNT), []
    loop = asyncio.get_running_loop()
    dice = Random(seed)

    def now() -> int:
        return START + round(loop.time() * 1e9) + (day if log.since() else 0)

    feeds: list[PriceFeed] = []

    class Market:
        def fresh(self, instrument: str) -> object:
            return feeds[0].fresh(instrument)

    account = Account(transport, log, Market(), heard, limits, KeeperWaits(), dice, now)  # type: ignore[arg-type]
    instruments = await account.start()
    feed = PriceFeed(transport, {EUR_USD: instruments[EUR_USD]}, told.append, tape, FeedWaits(), dice)
    feeds.append(feed)
    tasks = [asyncio.create_task(job) for job in (account.run(), feed.run(), desk.beating())]
    made = Rig(desk, transport, feed, account, heard, log, told, instruments, db)
    try:
        if wait:
            await made.until(lambda: account.ready and feed.fresh(EUR_USD))
        yield made
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        await transport.close()
        await runner.cleanup()
        assert [e for e in ends if not isinstance(e, asyncio.CancelledError)] == []


def order(n: int, units: int, opens: int | None = None, stop: int = 300, take: int = 0, reason: str = "entry") -> Order:
    """A market order; an exit where it opens nothing."""
    side = ((units > 0) - (units < 0)) if opens is None else opens
    return Order(f"mt-test-{n}", START, EUR_USD, units, stop if side else 0, take, reason, side, "m")


def entry(n: int, units: int = 1000) -> Order:
    """An entry with its stop."""
    return order(n, units)


def leave(n: int, units: int) -> Order:
    """An exit."""
    return order(n, units, opens=0, reason="close")
