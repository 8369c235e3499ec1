"""The price stream: never given up, watched by its heartbeats, its gaps marked and filled with candles.

The feed's clock is the later of the last price's and the last heartbeat's time. A price older than the one before of
its instrument, or the same one again (the snapshot after a reconnect), is counted and passed over. Every line is
handed to the tape as it came.
"""

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Protocol

from broker.errors import Transient
from broker.oanda import wire
from broker.oanda.endpoints import PricingStream
from broker.oanda.failures import Denied, Failure, StreamLost, Unauthorised
from broker.oanda.history import candles
from broker.oanda.pacing import Backoff
from broker.oanda.transport import Transport
from broker.oanda.wire import Beat, Candle, Price
from broker.types import HOUR, SECOND, Instrument


@dataclass(frozen=True, slots=True)
class Down:
    """The stream is gone: no price is fresh until it stands again."""

    time: int
    why: str


@dataclass(frozen=True, slots=True)
class Gap:
    """Prices between these times were missed; ns of the feed's clock."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Backfill:
    """Candles of a gap: for bars and their features, never for fills or trading; empty where they could not be had."""

    instrument: str
    granularity: str
    candles: tuple[Candle, ...]


FeedEvent = Price | Beat | Down | Gap | Backfill


class Tape(Protocol):
    """Keeps what came over the stream."""

    def keep(self, line: bytes, time: int, instrument: str) -> None:
        """A line as it came; `instrument` is "" for one that is about all of them."""
        ...

    def drop(self, line: bytes, time: int, instrument: str, why: str) -> None:
        """A line that was passed over."""
        ...

    def gap(self, start: int, end: int) -> None:
        """Lines between these times never came."""
        ...


@dataclass(frozen=True, slots=True)
class FeedWaits:
    """Seconds, and the candles that fill gaps.

    Attributes:
        retry_first, retry_longest, healthy, barred: as for the account's stream.
        backfill: granularity of the candles. backfill_longest: ns; of a longer gap only the last part is filled.
        backfill_patience: seconds that the stream may wait for them.
    """

    retry_first: float = 1.0
    retry_longest: float = 60.0
    healthy: float = 60.0
    barred: float = 60.0
    backfill: str = "S5"
    backfill_longest: int = 24 * HOUR
    backfill_patience: float = 10.0


class PriceFeed:
    """The prices of some instruments.

    Args:
        transport: how OANDA is reached.
        instruments: by name, as the broker defines them.
        listener: called with each event, in order, at once.
        tape: keeps the raw lines, or None.
        waits: see FeedWaits. dice: jitter.

    Attributes:
        time: the feed's clock, ns; 0 before the first line.
        reconnects, repeated, regressed, broken: streams after the first, and lines passed over.
        missed: ns of all gaps together.
    """

    def __init__(
        self,
        transport: Transport,
        instruments: Mapping[str, Instrument],
        listener: Callable[[FeedEvent], None],
        tape: Tape | None,
        waits: FeedWaits,
        dice: Random,
    ) -> None:
        self._transport, self._instruments, self._listener = transport, instruments, listener
        self._tape, self._waits, self._dice = tape, waits, dice
        self._latest: dict[str, Price] = {}
        self._fresh: set[str] = set()
        self.time = 0
        self.reconnects = -1
        self.repeated = self.regressed = self.broken = self.missed = 0
        self._heard_at = -math.inf  # loop time

    def fresh(self, instrument: str) -> Price | None:
        """The latest price, if the stream is alive and has shown one since it stands."""
        return self._latest.get(instrument) if instrument in self._fresh else None

    @property
    def silence(self) -> float:
        """Seconds since the last line, infinite before the first."""
        return asyncio.get_running_loop().time() - self._heard_at

    async def run(self) -> None:
        """Follow the stream until cancelled."""
        loop = asyncio.get_running_loop()
        backoff = Backoff(self._waits.retry_first, self._waits.retry_longest, self._dice.random)
        while True:
            started = loop.time()
            try:
                await self._follow()
                why, wait = "ended", 0.0
            except Unauthorised as failure:
                why, wait = str(failure), self._waits.barred
            except (Transient, Denied) as failure:
                why, wait = str(failure), failure.retry_after if isinstance(failure, Failure) else 0.0
            self._fresh.clear()
            self._listener(Down(self.time, why))
            if loop.time() - started > self._waits.healthy:
                backoff.reset()
            await asyncio.sleep(max(wait, backoff.next()))

    async def _follow(self) -> None:
        params = {"instruments": ",".join(self._instruments), "snapshot": "true"}
        before, loop = self.time, asyncio.get_running_loop()
        request = PricingStream(self._transport.access.account, params=params)
        async with self._transport.stream(request) as lines:
            self.reconnects += 1
            async for line in lines:
                self._heard_at = loop.time()
                message = self._understood(line)
                if before and message is not None:
                    await self._bridge(before, message.time)
                    before = 0
                self._take(line, message)

    def _understood(self, line: bytes) -> Price | Beat | None:
        """What a line says; None where it says nothing that we know.

        Raises:
            StreamLost: it is no whole message: what follows it can't be trusted either.
        """
        try:
            message = wire.parse_line(line)
        except ValueError as error:
            self.broken += 1
            self._drop(line, "", "broken")
            raise StreamLost(f"a broken line: {error}") from None
        try:
            match message.get("type", "PRICE"):
                case "PRICE":
                    return wire.price(message, self._instruments)
                case "HEARTBEAT":
                    return wire.beat(message)
        except ValueError:
            self.broken += 1
        return None

    def _take(self, line: bytes, message: Price | Beat | None) -> None:
        if message is None:
            self._drop(line, "", "unknown")
        elif isinstance(message, Beat):
            self.time = max(self.time, message.time)
            self._keep(line, "")
            self._listener(message)
        else:
            self._take_price(line, message)

    def _take_price(self, line: bytes, price: Price) -> None:
        name = price.instrument
        before = self._latest.get(name)
        anew = name not in self._fresh
        if before is not None and price.time < before.time:
            self.regressed += 1
            self._drop(line, name, "regressed")
        elif before is not None and anew and price == before:
            self.repeated += 1
            self._fresh.add(name)
            self._drop(line, name, "repeated")
        else:
            self._fresh.add(name)
            self._latest[name] = price
            self.time = max(self.time, price.time)
            self._keep(line, name)
            self._listener(price)

    async def _bridge(self, start: int, end: int) -> None:
        """Mark the gap, and fetch its candles while the stream waits."""
        if end <= start:
            return
        self.missed += end - start
        self._listener(Gap(start, end))
        if self._tape is not None:
            self._tape.gap(start, end)
        first = max(start, end - self._waits.backfill_longest)
        try:
            async with asyncio.timeout(self._waits.backfill_patience):
                for instrument in self._instruments.values():
                    await self._backfill(instrument, first, end)
        except (TimeoutError, Transient, Denied):
            return  # the gap stays marked, which is what counts

    async def _backfill(self, instrument: Instrument, start: int, end: int) -> None:
        found = [
            candle
            async for candle in candles(self._transport, instrument, self._waits.backfill, start - start % SECOND, end)
        ]
        if found:
            self._listener(Backfill(instrument.name, self._waits.backfill, tuple(found)))

    def _keep(self, line: bytes, instrument: str) -> None:
        if self._tape is not None:
            self._tape.keep(line, self.time, instrument)

    def _drop(self, line: bytes, instrument: str, why: str) -> None:
        if self._tape is not None:
            self._tape.drop(line, self.time, instrument, why)
