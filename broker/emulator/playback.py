"""The emulated clock: shows the recorded quotes at their pace, and lets requests arrive between them.

At a factor of the wall clock, quotes come when their time has come, heartbeats every 5 s. As fast as the client reads
(`speed` 0), the clock moves only while a pricing stream is open; at each boundary of the client's bars it sends
heartbeats, that of the transactions first, and waits for the client's acknowledgement, at most a second. An order sent
meanwhile counts as sent at the boundary: the clock goes on to the moment at which it arrives and no further. Orders
that arrive at the same moment are carried out in the order of their client ids. After the last quote the clock stands.
"""

import asyncio
import heapq
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from broker.account import Account
from broker.bars import BarSize
from broker.emulator.exchange import Exchange
from broker.emulator.streams import Streams
from broker.types import SECOND

HEARTBEAT = 5 * SECOND
_HEARTBEAT_S = 5.0
_ACK_S = 1.0
_BATCH = 256
_NAP_S = 0.05
_GRACE_S = 0.05


@dataclass(order=True, slots=True)
class _Arrival:
    """A request under way."""

    due: int
    name: tuple[int, str]  # the client's id, shorter ones first: what it sent at once reaches us in any order
    number: int
    action: Callable[[Account], Any] = field(compare=False)
    answer: "asyncio.Future[Any]" = field(compare=False)


class Playback:
    """Moves an exchange along its history.

    Args:
        speed: emulated over wall time; 0 is as fast as the client reads.
        repeat: start again after the last quote.
        bar: the client's bars, for the boundaries at speed 0.
        latency: ns that an order is under way; none while the clock stands.
    """

    def __init__(
        self, exchange: Exchange, streams: Streams, speed: float, repeat: bool, bar: BarSize, latency: int
    ) -> None:
        self._exchange, self._streams = exchange, streams
        self._speed, self._repeat, self._bar, self._latency = speed, repeat, bar, latency
        self._arrivals: list[_Arrival] = []
        self._count = self._orders_seen = self._orders_expected = 0
        self._wake = asyncio.Event()
        self._waiting: int | None = None
        self._acknowledged = False
        self._bar_end: int | None = None
        self._bar_quotes: dict[str, int] = {}
        self._full = False
        self._guards: dict[str, tuple[int, int]] | None = None
        self._heartbeat_due = 0
        self._base: tuple[float, int] | None = None
        history = exchange.history
        if history.next == 1:  # the exchange has shown the first quote at its start
            self._note(history.names[history.which[0]], history.start)

    @property
    def is_moving(self) -> bool:
        """Whether the clock goes on by itself."""
        over = self._exchange.history.is_over and not self._repeat
        return not over and (self._speed > 0 or self._streams.has_reader)

    def set_speed(self, speed: float) -> None:
        """Change the pace; the clock goes on from where it is."""
        self._speed, self._base = speed, None
        self._wake.set()
        self._streams.changed.set()

    def set_bar(self, bar: BarSize) -> None:
        """Say anew what the client's bars are."""
        now = self._exchange.now
        self._bar, self._bar_quotes, self._full = bar, {}, False
        self._bar_end = now - now % bar.size + bar.size if bar.clock else None

    def jump(self, to: int) -> None:
        """Show at once all quotes up to `to`, and stand there."""
        history = self._exchange.history
        while not history.is_over and history.next_time() <= to:
            self._exchange.show_next()
        self._exchange.advance(to)
        self._exchange.rest()
        self._streams.flush(self._exchange.now)
        self._base = None

    def acknowledge(self, time: int | None, orders: int, guards: dict[str, tuple[int, int]] | None = None) -> None:
        """The client has decided at the boundary `time` (None: the one being waited for).

        Args:
            orders: writes that it has sent for it, which may still be under way on the wire.
            guards: side and floor by instrument: where side x the closing price, in points, comes to the floor, the
                client wants to be waited for too, and wherever an order fills. None: at bars' ends alone.
        """
        self._guards = guards
        if self._waiting is not None and (time is None or time >= self._waiting):
            self._acknowledged, self._orders_expected = True, orders
            self._wake.set()

    async def perform(self, action: Callable[[Account], Any], name: str = "") -> Any:
        """Carry out an order when it arrives: `latency` after it was sent; `name` is the client's id of it."""
        self._orders_seen += 1
        if not self._latency or not self.is_moving:
            return self._exchange.do(action)
        sent = self._waiting if self._waiting is not None else self._exchange.now
        answer = asyncio.get_running_loop().create_future()
        arrival = _Arrival(sent + self._latency, (len(name), name), self._count, action, answer)
        self._count += 1
        heapq.heappush(self._arrivals, arrival)
        self._wake.set()
        return await arrival.answer

    async def run(self) -> None:
        """Play until cancelled."""
        while True:
            if self._exchange.history.is_over:
                if self._repeat:
                    self._exchange.history.rewind()
                else:
                    await self._stand()
            elif self._speed > 0:
                await self._pace()
            elif self._streams.has_reader:
                await self._rush()
            elif not await self._sleep(_HEARTBEAT_S):
                self._streams.heartbeat()

    async def _stand(self) -> None:
        """After the last quote: requests are served, heartbeats go on."""
        self._arrive(None)
        await self._streams.drained()
        if not await self._sleep(_HEARTBEAT_S):
            self._streams.flush(self._exchange.now)
            self._streams.heartbeat()
            self._exchange.save()

    async def _sleep(self, seconds: float) -> bool:
        """Sleep, unless something happens first; whether it did."""
        self._streams.changed.clear()
        waits = [asyncio.ensure_future(event.wait()) for event in (self._wake, self._streams.changed)]
        done, rest = await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in rest:
            wait.cancel()
        self._wake.clear()
        return bool(done)

    def _arrive(self, before: int | None) -> None:
        """Carry out the requests that arrive before a time (None: all); after the last quote they meet no market."""
        while self._arrivals and (before is None or self._arrivals[0].due < before):
            arrival = heapq.heappop(self._arrivals)
            if before is not None:
                self._exchange.advance(arrival.due)
            if arrival.answer.cancelled():
                continue
            late = not self._repeat and self._exchange.history.is_over and arrival.due > self._exchange.history.end
            try:
                arrival.answer.set_result(self._exchange.do(arrival.action, halted=late))
            except Exception as error:  # noqa: BLE001 - belongs to whoever asked
                arrival.answer.set_exception(error)

    async def _pace(self) -> None:
        """A stretch at a factor of the wall clock."""
        wall = asyncio.get_running_loop().time()
        if self._base is None:
            self._base = (wall, self._exchange.now)
        now = self._base[1] + int((wall - self._base[0]) * self._speed * SECOND)
        history = self._exchange.history
        while not history.is_over and history.next_time() <= now:
            self._arrive(history.next_time())
            self._streams.flush(history.next_time())
            self._exchange.show_next()
            if history.next % _BATCH == 0:
                await self._streams.drained()
        if history.is_over:
            return
        self._arrive(now + 1)
        self._exchange.advance(max(now, self._exchange.now))
        self._exchange.rest()
        self._streams.flush(self._exchange.now)
        if now >= self._heartbeat_due:
            if self._heartbeat_due:
                self._streams.heartbeat()
                self._exchange.save()
            self._heartbeat_due = now + HEARTBEAT
        due = min(history.next_time(), self._heartbeat_due, *(one.due for one in self._arrivals[:1]))
        nap = min(_NAP_S, max(0.001, (due - now) / SECOND / self._speed))
        await asyncio.sleep(nap)

    async def _rush(self) -> None:
        """A stretch as fast as the client reads."""
        for _ in range(_BATCH):
            if not await self._step(None):
                break
        await self._streams.drained()
        await asyncio.sleep(0)

    async def _step(self, until: int | None) -> bool:
        """One quote, and what comes before it; False where there is none up to `until`, or a boundary is in the way.

        With `until` (while a boundary is being waited for) a further boundary is not crossed.
        """
        history = self._exchange.history
        if history.is_over or (until is not None and history.next_time() > until):
            return False
        time = history.next_time()
        ends = self._bar_end if self._bar.clock and self._bar_end is not None else time
        if self._guards is not None and until is None and self._arrivals and self._arrivals[0].due < min(time, ends):
            due = self._arrivals[0].due
            self._arrive(due + 1)
            await self._boundary(due)
            return True
        if self._bar.clock and self._bar_end is not None and time >= self._bar_end:
            if until is not None:
                return False
            self._arrive(self._bar_end)
            boundary, self._bar_end = self._bar_end, None
            await self._boundary(boundary)
            return True
        if self._full:
            if until is not None:
                return False
            self._full = False
            await self._boundary(self._exchange.now)
        self._arrive(time)
        before = len(self._exchange.account.transactions)
        name = self._exchange.show_next()
        self._note(name, time)
        moved = len(self._exchange.account.transactions) > before
        if until is None and (self._full or (self._guards is not None and (moved or self._is_touched(name)))):
            self._full = False
            await self._boundary(time)
        return True

    def _is_touched(self, name: str) -> bool:
        """Whether the quote just shown is at or beyond what the client guards."""
        assert self._guards is not None, "asked only while the client guards something"
        side, floor = self._guards.get(name, (0, 0))
        history, place = self._exchange.history, self._exchange.history.next - 1
        return side != 0 and int(history.bid[place] if side > 0 else -history.ask[place]) <= floor

    def _note(self, name: str, time: int) -> None:
        """Count a quote into its bar."""
        if self._bar.clock:
            if self._bar_end is None:
                self._bar_end = time - time % self._bar.size + self._bar.size
            return
        count = self._bar_quotes[name] = self._bar_quotes.get(name, 0) + 1
        if count >= self._bar.size:
            self._bar_quotes[name], self._full = 0, True

    async def _boundary(self, time: int) -> None:
        """Heartbeats at a boundary, and the wait for the client's decision."""
        self._exchange.advance(time)
        self._waiting, self._acknowledged = time, False
        self._orders_seen = self._orders_expected = 0
        self._streams.heartbeat()
        loop = asyncio.get_running_loop()
        await self._streams.drained()
        deadline = loop.time() + _ACK_S
        grace = deadline  # a client that waits for its order's answer acknowledges after it
        while not (self._acknowledged and self._orders_seen >= self._orders_expected):
            now, owing = loop.time(), bool(self._arrivals) and not self._acknowledged
            grace = min(grace, now + _GRACE_S) if owing else deadline
            if owing and now >= grace and await self._meet(self._arrivals[0].due):
                grace = deadline
                continue
            if now >= deadline or not self._streams.has_reader:
                break
            self._wake.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), (grace if owing and now < grace else deadline) - now)
        self._waiting = None

    async def _meet(self, due: int) -> bool:
        """Go on to the moment at which a request arrives, and carry it out; False where a boundary comes first."""
        while await self._step(due):
            pass
        history = self._exchange.history
        if not history.is_over and history.next_time() <= due:
            return False
        if self._full or (self._bar.clock and self._bar_end is not None and self._bar_end <= due):
            return False
        self._arrive(due + 1)
        await self._streams.drained()
        return True
