"""The two streams: lines for each connection, conflated where OANDA conflates, and what may go wrong with them."""

import asyncio
import json
from typing import Any

from aiohttp import web

from broker.emulator.answers import in_unix_time
from broker.emulator.exchange import Exchange
from broker.emulator.faults import Faults
from broker.rfc3339 import parse_rfc3339, rfc3339
from broker.types import SECOND

Json = dict[str, Any]
WINDOW = SECOND // 4
"""OANDA sends at most one price an instrument in 250 ms, the last."""

_BACKLOG_MAXIMUM = 100_000


class Subscriber:
    """One open stream.

    Args:
        kind: `pricing` or `transactions`.
        names: instruments, for a pricing stream.
    """

    def __init__(self, kind: str, names: tuple[str, ...], unix: bool, faults: Faults) -> None:
        self.kind, self.names, self._unix, self._faults = kind, frozenset(names), unix, faults
        self._lines: list[str] = []
        self._held: dict[str, Json] = {}
        self._windows: dict[str, int] = {}
        self._more, self._empty = asyncio.Event(), asyncio.Event()

        self._empty.set()
        self.closed = False
        self._silent = False

    def offer(self, name: str, price: Json, now: int, conflate: bool) -> None:
        """A price: sent now, or at the end of the window that a price before has opened."""
        if name not in self.names:
            return
        if conflate and self._windows.get(name, 0) > now:
            self._held[name] = price
            return
        self._held.pop(name, None)
        self._windows[name] = now + WINDOW
        self.send(price)

    def flush(self, now: int) -> None:
        """Send the held prices whose window is over."""
        for name in [name for name in self._held if self._windows[name] <= now]:
            self._windows[name] += WINDOW
            self.send(self._held.pop(name))

    def send(self, said: Json) -> None:
        """Queue a line, with what may go wrong with it."""
        if self.closed or self._silent:
            return
        if self._faults.hits(f"stall_{self.kind}"):
            self._silent = True
            return
        if said.get("type") == "PRICE" and self._faults.hits("backwards"):
            early = parse_rfc3339(said["time"]) - int(self._faults.value("backwards_s") * SECOND)
            said = {**said, "time": rfc3339(early)}
        line = json.dumps(in_unix_time(said) if self._unix else said, separators=(",", ":")) + "\n"
        cut = self._faults.hits(f"cut_{self.kind}")
        if self._faults.hits("half_line"):
            line, cut = line[: len(line) // 2], True
        self._lines.append(line * 2 if not cut and self._faults.hits("duplicate") else line)
        self.closed = cut or len(self._lines) > _BACKLOG_MAXIMUM
        self._empty.clear()
        self._more.set()

    def close(self) -> None:
        """End the stream after what is queued."""
        self.closed = True
        self._more.set()

    async def drained(self) -> None:
        """Wait until the client has been written all there is."""
        await self._empty.wait()

    async def serve(self, response: web.StreamResponse) -> None:
        """Write lines until the stream or the connection ends."""
        try:
            while True:
                await self._more.wait()
                self._more.clear()
                lines, self._lines = self._lines, []
                if lines:
                    await response.write("".join(lines).encode())
                if not self._lines:
                    self._empty.set()
                    if self.closed:
                        return
        except ConnectionError:
            return  # the client has gone
        finally:
            self.closed = True
            self._empty.set()


class Streams:
    """All open streams.

    Args:
        exchange: whose prices and transactions they carry.
        conflate: whether prices are held back as OANDA does.
    """

    def __init__(self, exchange: Exchange, faults: Faults, conflate: bool) -> None:
        self._exchange, self._faults, self.conflate = exchange, faults, conflate
        self._open: list[Subscriber] = []
        self.changed = asyncio.Event()
        exchange.on_price.append(self._price)
        exchange.on_transaction.append(self._transaction)

    def subscribe(self, kind: str, names: tuple[str, ...] = (), unix: bool = False) -> Subscriber:
        """Open a stream, with UNIX times if asked for."""
        subscriber = Subscriber(kind, names, unix, self._faults)
        self._open = [one for one in self._open if not one.closed] + [subscriber]
        self.changed.set()
        return subscriber

    @property
    def has_reader(self) -> bool:
        """Whether a pricing stream is open."""
        return any(one.kind == "pricing" and not one.closed for one in self._open)

    def heartbeat(self) -> None:
        """A heartbeat to every stream, that of the transactions first."""
        now = rfc3339(self._exchange.now)
        last = self._exchange.account.last_id
        for one in self._open:
            if one.kind == "transactions":
                one.send({"type": "HEARTBEAT", "lastTransactionID": last, "time": now})
        for one in self._open:
            if one.kind == "pricing":
                one.send({"type": "HEARTBEAT", "time": now})

    def flush(self, now: int) -> None:
        """Send what conflation has held back until `now`."""
        for one in self._open:
            one.flush(now)

    def close(self) -> None:
        """End all streams."""
        for one in self._open:
            one.close()

    async def drained(self) -> None:
        """Wait until every open stream is written."""
        for one in self._open:
            if not one.closed:
                await one.drained()

    def _price(self, name: str, said: Json) -> None:
        for one in self._open:
            if one.kind == "pricing" and not one.closed:
                one.offer(name, said, self._exchange.now, self.conflate)

    def _transaction(self, said: Json) -> None:
        for one in self._open:
            if one.kind == "transactions":
                one.send(said)
