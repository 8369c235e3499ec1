"""Emulator and client in virtual time, byte for byte over a pipe in memory; both may be killed at any moment."""

import asyncio
import contextlib
import sqlite3
from collections import Counter
from decimal import Decimal
from pathlib import Path
from random import Random

import aiohttp
import numpy as np
from aiohttp import web

from broker.account import Account, Market
from broker.account.placing import create_order
from broker.durable import Inline, Job
from broker.emulator import Emulator, Exchange, Faults, History, Settings, StateFile
from broker.emulator.control import Control
from broker.emulator.history import Shown
from broker.emulator.indicative import indicative_rates
from broker.instruments import instrument
from broker.oanda import FeedWaits, KeeperWaits, Pace, Waits
from broker.rates import Rates
from broker.types import SECOND
from tests.broker.faults.trader import LIMIT, Patience, Trader, Watched
from tests.broker.faults.verdict import Json, check_books, read_books, tally
from tests.broker.faults.weather import CALM, gust
from tests.broker.oanda.desk import ACCOUNT, START, TOKEN
from tests.broker.oanda.rig import EUR_USD, access, database
from tests.broker.oanda.virtual import VirtualLoop, run

DOOR = "emulator"
STORM_S, PATIENCE_S, LENGTH_S = 300.0, 900.0, 1600
PATIENCE = Patience(KeeperWaits(), FeedWaits(), pause=6.0)


class Mortal(Inline):
    """A disk that keeps nothing of what the dead still write."""

    dead = False

    def put(self, job: Job) -> None:
        """Write it, while alive."""
        if not self.dead:
            super().put(job)


def walk(seed: int) -> Shown:
    """Quotes about every two seconds, whose price wanders far enough to reach stops."""
    dice = np.random.default_rng(seed)
    time = START + np.cumsum(dice.integers(SECOND // 5, 4 * SECOND, LENGTH_S // 2))
    bid = 138_000 + np.cumsum(dice.integers(-12, 13, len(time)))
    return Shown(time, bid, bid + 10)


class World:
    """All that one run has.

    Args:
        folder: for the emulator's state.
    """

    def __init__(self, seed: int, folder: Path) -> None:
        self.seed, self.dice = seed, Random(seed)
        self._state, self._quotes = folder / f"state-{seed}.db", walk(seed)
        self._faults = Faults({"seed": seed})
        self._db: sqlite3.Connection = database()
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self._loop = loop
        self._lives = 0
        self._kills: Counter[str] = Counter()
        self.emulator: Emulator | None = None
        self._runner: web.AppRunner | None = None
        self._playing: asyncio.Task[None] | None = None
        self.trader: Trader | None = None
        self._disk: Mortal | None = None
        self._trading: asyncio.Task[None] | None = None

    # The emulator.

    async def open_exchange(self) -> None:
        """Start the emulator, from its state file if there is one."""
        pair = instrument(EUR_USD)
        account = Account(ACCOUNT, Market({EUR_USD: pair}, "USD", Rates(indicative_rates())))
        exchange = Exchange(account, History({EUR_USD: self._quotes}), {EUR_USD: pair}, StateFile(self._state))
        exchange.start(Decimal(100_000))
        self.emulator = Emulator(exchange, Settings(token=TOKEN, latency=SECOND // 10), self._faults)
        self._runner = web.AppRunner(self.emulator.app(), access_log=None, shutdown_timeout=0.001)
        await self._runner.setup()
        self._playing = asyncio.create_task(self.emulator.playback.run())
        assert self._runner.server is not None
        self._loop.listeners[DOOR] = self._runner.server

    async def kill_exchange(self) -> None:
        """Nothing is written from now on, and every connection breaks."""
        if self.emulator is None or self._runner is None or self._playing is None:
            return
        exchange = self.emulator.exchange
        assert exchange._store is not None
        exchange._store.close()
        exchange._store = None
        self._loop.listeners.pop(DOOR, None)
        self._loop.unplug()
        self._playing.cancel()
        self.emulator, runner = None, self._runner
        await asyncio.gather(self._playing, return_exceptions=True)
        await runner.cleanup()

    @property
    def log(self) -> list[Json]:
        """The emulator's transactions."""
        assert self.emulator is not None
        return self.emulator.exchange.account.transactions

    # The client.

    def open_client(self, settling: bool = False) -> None:
        """Start the client, from its order log."""
        self._lives += 1
        dice = Random(f"{self.seed}-{self._lives}")
        connectors: list[aiohttp.BaseConnector] = []

        def now() -> int:
            return START + round(self._loop.time() * SECOND)

        def connector() -> aiohttp.BaseConnector:
            connectors.append(aiohttp.UnixConnector(DOOR))
            return connectors[-1]

        transport = Watched(access(), Pace.usual(), Waits(), dice, now, connector)
        self._disk = Mortal(self._db)
        self.trader = trader = Trader(transport, self._disk, f"{self.seed}-{self._lives}", PATIENCE, dice, now)
        self._trading = asyncio.create_task(trader.run(trader.settle if settling else trader.trade))

    async def kill_client(self) -> None:
        """Nothing is written from now on, and every connection breaks."""
        if self.trader is None or self._disk is None or self._trading is None:
            return
        self._disk.dead = True
        self._loop.unplug()
        trader, task, self.trader = self.trader, self._trading, None
        if task.done():
            task.result()  # it failed before it was killed
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await trader.transport.close()

    # What happens.

    def tell(self, operation: str, body: Json) -> None:
        """Use the control plane."""
        if self.emulator is None:
            return
        e = self.emulator
        getattr(Control(e.exchange, e.playback, e.streams, e.faults), operation)(body)

    async def disturb(self) -> None:
        """One thing goes wrong, or stops going wrong."""
        match self.dice.randrange(14):
            case 0:
                self._kills["client killed"] += 1
                await self.kill_client()
                await asyncio.sleep(self.dice.choice([0.0, 1.0, 20.0]))
                self.open_client()
            case 1:
                self._kills["emulator killed"] += 1
                await self.kill_exchange()
                await asyncio.sleep(self.dice.choice([0.0, 1.0, 20.0]))
                await self.open_exchange()
            case 2:
                self._meddle()
            case _:
                operation, body = gust(self.dice)
                if body.get("next", {}).pop("refuse", 0):
                    await self._refuse(body["refuse_s"])
                self.tell(operation, body)

    def _meddle(self) -> None:
        """Somebody else trades on the account."""
        assert self.emulator is not None
        asked = {"type": "MARKET", "instrument": EUR_USD, "units": str(self.dice.choice([-100, 100]))}
        self.emulator.exchange.do(lambda account: create_order(account, asked))

    async def _refuse(self, seconds: float) -> None:
        """New connections are refused for a while."""
        door = self._loop.listeners.pop(DOOR)
        await asyncio.sleep(seconds)
        self._loop.listeners[DOOR] = door

    async def storm(self) -> None:
        """Trade through faults."""
        await self.open_exchange()
        self.open_client()
        while self._loop.time() < STORM_S:
            await asyncio.sleep(self.dice.uniform(0.0, 16.0))
            await self.disturb()

    async def settle(self) -> None:
        """Let everything calm down, and the client show that it trades on."""
        self.tell(*CALM)
        self.tell("halt", {"instrument": EUR_USD, "halted": False})
        await self.kill_client()
        self.open_client(settling=True)
        assert self._trading is not None
        async with asyncio.timeout(PATIENCE_S):
            await self._trading

    async def close(self) -> None:
        """End both."""
        await self.kill_client()
        await self.kill_exchange()
        self._db.close()

    def check(self) -> Counter[str]:
        """The books are right; what the run was about."""
        check_books(read_books(self._db), self.log, LIMIT, Waits().silence)
        return tally(self._db, self.log) + self._kills


def stormy(seed: int, folder: Path) -> Counter[str]:
    """One run, and what it was about.

    Raises:
        AssertionError: the books are wrong. TimeoutError: it did not settle.
    """

    async def main() -> Counter[str]:
        world = World(seed, folder)
        try:
            await world.storm()
            await world.settle()
            return world.check()
        finally:
            await world.close()

    return run(main)
