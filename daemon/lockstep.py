"""Lock-step with the emulator at `--speed max`: it waits at each boundary until the client says that it has decided.

Quotes wait for the heartbeat behind them. By then the transactions of the time before are known too: the stream that
tells them beats first. So a run over the wire sees everything in the order in which a replay does. With limits of loss
it must see a fill exactly between the quotes before and after it, and act between two bars: the emulator then waits at
each fill too, and where a guarded price is met, and a transaction waits for the quotes before it. It is also told to
fill an entry whose stop lies within the spread, as the replay does and OANDA does not.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from urllib.parse import urlsplit

import aiohttp

from broker.errors import BadInput
from broker.oanda import Beat, Down, FeedEvent
from broker.oanda.keeping import Keeper
from broker.rfc3339 import rfc3339

PATIENCE_S = 1.0  # the emulator's own
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Lockstep:
    """Hands events on as far as the emulator's clock has come, and acknowledges.

    Args:
        control: URL of the emulator's control plane.
        hear: takes each event. sent: orders sent so far.
        guards: side and floor of what the session guards in each instrument, points; None where it has no limits.

    Raises:
        BadInput: the URL is none of this machine.
    """

    def __init__(
        self,
        control: str,
        hear: Callable[[FeedEvent], None],
        sent: Callable[[], int],
        guards: Callable[[], dict[str, tuple[int, int]] | None],
    ) -> None:
        parts = urlsplit(control)
        if parts.scheme != "http" or parts.hostname not in LOOPBACK:
            raise BadInput("is no address of this machine", where="OANDA_CONTROL_URL", mend="as the emulator says it")
        self._url, self._hear, self._sent = f"{control.rstrip('/')}/ack", hear, sent
        self._guards = guards
        self._held: deque[FeedEvent] = deque()
        self._ready, self._moved = asyncio.Event(), asyncio.Event()
        self._reached = 0
        self.late = 0

    def offer(self, event: FeedEvent) -> None:
        """An event of the price stream."""
        self._held.append(event)
        if isinstance(event, Beat | Down):
            self._ready.set()

    def drain(self) -> None:
        """Hand on what is held: there will be no more."""
        while self._held:
            self._hear(self._held.popleft())

    async def run(self, keeper: Keeper) -> None:
        """Go along until cancelled."""
        timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
        if self._guards() is not None:
            self._reached, keeper.gate = keeper.time, self._gate
        async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as session:
            while True:
                await self._ready.wait()
                self._ready.clear()
                while any(isinstance(event, Beat | Down) for event in self._held):
                    await self._step(session, keeper)

    async def _step(self, session: aiohttp.ClientSession, keeper: Keeper) -> None:
        """Hand on all up to the next beat, and acknowledge it."""
        beat = next(event for event in self._held if isinstance(event, Beat | Down))
        before = self._sent()
        if keeper.gate is not None:
            self._quotes_before(beat)
            self._reached, moved, self._moved = max(self._reached, beat.time), self._moved, asyncio.Event()
            moved.set()
        try:
            async with asyncio.timeout(PATIENCE_S):
                await keeper.told(beat.time)
        except TimeoutError:
            self.late += 1
        self._quotes_before(beat)
        self._hear(self._held.popleft())
        if isinstance(beat, Beat):
            await self._acknowledge(session, beat.time, self._sent() - before)

    def _quotes_before(self, beat: FeedEvent) -> None:
        while self._held[0] is not beat:
            self._hear(self._held.popleft())

    async def _gate(self, time: int) -> None:
        while self._reached < time:
            await self._moved.wait()

    async def _acknowledge(self, session: aiohttp.ClientSession, time: int, orders: int) -> None:
        try:
            guards = self._guards()
            said = {"time": rfc3339(time), "orders": orders, "near_stops": True} | (
                {} if guards is None else {"guards": guards}
            )
            async with session.post(self._url, json=said) as answer:
                await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError):
            self.late += 1
