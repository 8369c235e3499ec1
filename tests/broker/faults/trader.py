"""A client that trades at random through the real transport, feed and account; in virtual time, or as a process."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from broker.durable import Writer
from broker.oanda import (
    Account,
    Answer,
    FeedWaits,
    KeeperWaits,
    OrderLimits,
    OrderLog,
    Price,
    PriceFeed,
    Transport,
)
from broker.oanda.endpoints import APIRequest, OrderCreate
from broker.types import Order
from tests.broker.oanda.rig import EUR_USD, Heard

LIMIT = 10_000
FAR = 5000  # points; a stop that nothing reaches


class Watched(Transport):
    """The real one, which notes each order as it leaves, and how long the streams had been silent then."""

    note: Callable[[str, bool], None]

    async def _once(self, request: APIRequest, path: str) -> Answer:
        if isinstance(request, OrderCreate):
            order = request.data["order"]
            self.note(order["clientExtensions"]["id"], order["positionFill"] == "DEFAULT")
        return await super()._once(request, path)


@dataclass(frozen=True, slots=True)
class Patience:
    """The waits of account and feed, and the longest pause between orders, seconds."""

    keeper: KeeperWaits
    feed: FeedWaits
    pause: float


class Trader:
    """One life of the client.

    Args:
        life: names its orders; its own for each start.
        now: ns.
    """

    def __init__(
        self, transport: Watched, disk: Writer, life: str, patience: Patience, dice: Random, now: Callable[[], int]
    ) -> None:
        self.transport, self._disk, self._life, self._patience = transport, disk, life, patience
        self._dice, self._now = dice, now
        self._number = 0
        self._heard_at = asyncio.get_running_loop().time()
        transport.note = self._note
        disk.ask(lambda db: db.execute("CREATE TABLE IF NOT EXISTS sent (id TEXT, opens INTEGER, silent_s REAL)"))
        self.heard, self.log = Heard(disk), OrderLog(disk, transport.access.account)
        limits = OrderLimits(LIMIT, LIMIT, bound_pips=20.0)
        self.account = Account(transport, self.log, self, self.heard, limits, patience.keeper, dice, now)
        self.feed: PriceFeed | None = None

    def fresh(self, instrument: str) -> Price | None:
        """As the feed says."""
        return self.feed.fresh(instrument) if self.feed is not None else None

    def keep(self, line: bytes, time: int, instrument: str) -> None:
        """As the feed's tape: a line came."""
        self._heard_at = asyncio.get_running_loop().time()

    def drop(self, line: bytes, time: int, instrument: str, why: str) -> None:
        """As the feed's tape: a line came."""
        self._heard_at = asyncio.get_running_loop().time()

    def gap(self, start: int, end: int) -> None:
        """As the feed's tape: nothing came."""

    async def run(self, then: Callable[[], Any]) -> None:
        """Start, as often as it takes, and follow both streams until `then()` is over."""
        while True:
            try:
                known = await self.account.start()
                break
            except Exception as failure:
                if isinstance(failure, AssertionError):
                    raise
                await asyncio.sleep(self._patience.keeper.retry_longest / 10)
        pair = {EUR_USD: known[EUR_USD]}
        self.feed = PriceFeed(self.transport, pair, lambda _: None, self, self._patience.feed, self._dice)
        jobs = [asyncio.ensure_future(job) for job in (self.account.run(), self.feed.run(), then())]
        try:
            done, _ = await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
            for job in done:
                job.result()
        finally:
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)

    async def trade(self) -> None:
        """Order at random times, for ever: mostly as a session would."""
        while True:
            await asyncio.sleep(self._dice.uniform(0.0, self._patience.pause))
            if not self.log.open() or self._dice.random() < 0.2:
                self.account.submit(self._order())

    async def settle(self) -> None:
        """Wait until all is known; then get out of what is held, in, and out again, to show that trading goes on."""
        await self._until(lambda: self._calm)
        while held := self.account.position(EUR_USD):
            await self._do(-held, 0)
        await self._do(1000, 1)
        assert self.account.position(EUR_USD) == 1000, "trading does not go on"
        await self._until(lambda: all(trade.stop_id for trade in self.account.book.state.trades.values()))
        await self._do(-1000, 0)
        assert self.account.position(EUR_USD) == 0
        await self._until(lambda: self._calm)
        await self._disk.durable()

    @property
    def _calm(self) -> bool:
        price = self.fresh(EUR_USD)
        return self.account.ready and not self.log.open() and price is not None and price.tradeable

    async def _do(self, units: int, opens: int) -> None:
        self.account.submit(self._make(units, opens, FAR, "entry" if opens else "close"))
        await self._until(lambda: self._calm)

    async def _until(self, met: Callable[[], bool]) -> None:
        while not met():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(self._patience.pause / 20)

    def _order(self) -> Order:
        """In while flat, out while not; at times a reversal, an addition, or more than the limit allows."""
        dice, held = self._dice, self.account.position(EUR_USD)
        units = dice.choice([-1, 1]) * dice.randrange(1, LIMIT)
        side = 1 if held > 0 else -1
        match dice.randrange(10) if held else 9:
            case 0:
                return self._make(-held - side * abs(units), -side, 40, "reverse")
            case 1:
                return self._make(side * abs(units), side, 40, "entry")
            case 9 if not held:
                return self._make(units * dice.choice([1, 1, 1, 2]), 1 if units > 0 else -1, 40, "entry")
        return self._make(-held, 0, 0, "close")

    def _make(self, units: int, opens: int, stop: int, reason: str) -> Order:
        self._number += 1
        take = self._dice.choice([0, 0, 60]) if opens and stop != FAR else 0
        name = f"mt-{self._life}-{self._number}"
        return Order(name, self._now(), EUR_USD, units, stop if opens else 0, take, reason, opens, "m")

    def _note(self, name: str, opens: bool) -> None:
        silent = max(asyncio.get_running_loop().time() - self._heard_at, self.account.keeper.silence)
        self._disk.put(lambda db: db.execute("INSERT INTO sent VALUES (?, ?, ?)", (name, opens, silent)))
