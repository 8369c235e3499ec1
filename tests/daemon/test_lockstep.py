"""Lock-step: what is heard waits for the beat behind it, and the beat for the account."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web

from broker.errors import BadInput
from broker.oanda import Beat, Down, Price
from daemon.lockstep import Lockstep


def price(time: int) -> Price:
    return Price(time, "EUR_USD", 1, 2, ((1, 1),), ((2, 1),), True)


class Keeper:
    """An account whose stream's clock the test moves."""

    def __init__(self) -> None:
        self.time, self.gate = 0, None
        self._moved = asyncio.Event()

    def move(self, time: int) -> None:
        self.time = time
        self._moved.set()

    async def told(self, time: int) -> None:
        while self.time < time:
            self._moved.clear()
            await self._moved.wait()


@pytest.mark.parametrize("guards", [None, {"EUR_USD": (1, 100)}])
async def test_quotes_account_beat_and_then_the_acknowledgement(guards: Any) -> None:
    """Nothing is heard before the account caught up; with guards quotes are, and transactions wait for them."""
    acks, heard, orders = [], [], [0]

    async def ack(request: web.Request) -> web.Response:
        acks.append(await request.json())
        return web.json_response({})

    def hear(event: object) -> None:
        heard.append(event)
        orders[0] += isinstance(event, Beat)

    app = web.Application()
    app.add_routes([web.post("/secret/ack", ack)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    keeper = Keeper()
    step = Lockstep(f"http://127.0.0.1:{runner.addresses[0][1]}/secret", hear, lambda: orders[0], lambda: guards)
    running = asyncio.create_task(step.run(keeper))  # type: ignore[arg-type]
    try:
        for event in (price(1), price(2), Beat(3), price(4)):
            step.offer(event)
        await asyncio.sleep(0.05)
        assert heard == ([price(1), price(2)] if guards else [])
        if guards:
            await asyncio.wait_for(keeper.gate(3), 1)
        keeper.move(3)
        while not acks:  # noqa: ASYNC110 - the server's side has no event
            await asyncio.sleep(0.01)
        assert heard == [price(1), price(2), Beat(3)]
        said = {"time": "1970-01-01T00:00:00.000000003Z", "orders": 1, "near_stops": True}
        assert acks == [said | ({"guards": {"EUR_USD": [1, 100]}} if guards else {})]
        step.drain()
        assert heard[-1] == price(4)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await runner.cleanup()


async def test_a_lost_stream_holds_nothing_back() -> None:
    """What was heard before it is handed on, and there is nobody to acknowledge."""
    heard: list[object] = []
    step = Lockstep("http://127.0.0.1:1/x", heard.append, lambda: 0, lambda: None)
    keeper = SimpleNamespace(time=0, gate=None, told=lambda time: asyncio.sleep(0))
    running = asyncio.create_task(step.run(keeper))  # type: ignore[arg-type]
    step.offer(price(1))
    step.offer(Down(1, "gone"))
    await asyncio.sleep(0.05)
    assert heard == [price(1), Down(1, "gone")]
    assert step.late == 0
    running.cancel()


@pytest.mark.parametrize("url", ["http://example.invalid/x", "https://127.0.0.1/x", "nonsense"])
async def test_the_control_plane_is_on_this_machine(url: str) -> None:
    """Anything else is refused."""
    with pytest.raises(BadInput, match="OANDA_CONTROL_URL"):
        Lockstep(url, lambda event: None, lambda: 0, lambda: None)
