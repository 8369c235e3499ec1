"""An emulator in this process, served on a free port of loopback, and a client of it."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp

from broker.account import Account, Market
from broker.emulator import Emulator, Exchange, Faults, Settings, StateFile, load_history
from broker.emulator.indicative import indicative_rates
from broker.instruments import instrument
from broker.rates import Rates
from broker.rfc3339 import rfc3339
from broker.ticks import ReadOptions
from broker.types import SECOND

Json = dict[str, Any]
ACCOUNT = "101-004-1234567-001"
TOKEN = "a-token-for-tests"
START = 1_398_902_400 * SECOND
SETTINGS = Settings(token=TOKEN, speed=1.0)


def tick_file(folder: Path, quotes: Sequence[tuple[float, int, int]], name: str = "EUR_USD") -> Path:
    """A CSV of (seconds after START, bid, ask in points)."""
    scale = 10 ** instrument(name).precision
    rows = [
        f"{rfc3339(START + round(after * 1000) * SECOND // 1000)},{bid / scale},{ask / scale}"
        for after, bid, ask in quotes
    ]
    path = folder / f"{name}-made.csv.gz"
    path.write_bytes(gzip.compress("\n".join(["time,bid,ask", *rows, ""]).encode()))
    return path


def still_file(folder: Path) -> Path:
    """Two quotes an hour apart: between them the market stands still."""
    return tick_file(folder, [(0, 110_000, 110_010), (3600, 110_000, 110_010)])


def new_exchange(files: Sequence[Path], store: Path | None = None, balance: str = "100000") -> Exchange:
    """An exchange of these files, started."""
    history, recorded = load_history(files, ReadOptions())
    known = {name: instrument(name) for name in ("EUR_USD", "USD_JPY", "GBP_JPY", "XAU_USD")}
    account = Account(ACCOUNT, Market({**known, **recorded}, "USD", Rates(indicative_rates())))
    exchange = Exchange(account, history, {**known, **recorded}, StateFile(store) if store is not None else None)
    exchange.start(Decimal(balance))
    return exchange


@dataclass
class Client:
    """Talks to one emulator."""

    session: aiohttp.ClientSession
    emulator: Emulator
    where: Json

    @property
    def account(self) -> str:
        """Path of the account."""
        return f"/v3/accounts/{ACCOUNT}"

    async def call(self, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, Json]:
        """Status and JSON of an answer; a path without /v3 is the account's."""
        if not path.startswith("/v3"):
            path = self.account + path
        async with self.session.request(method, self.where["rest"] + path, json=body, **options) as response:
            return response.status, await response.json()

    async def get(self, path: str, **params: Any) -> Json:
        """A read that must succeed."""
        status, said = await self.call("GET", path, params=params)
        assert status == 200, said
        return said

    async def control(self, name: str, **body: Any) -> Json:
        """An order to the control plane that must succeed."""
        async with self.session.post(f"{self.where['control']}/{name}", json=body) as response:
            assert response.status == 200, await response.text()
            said: Json = await response.json()
            return said

    async def order(self, units: int | str = 1000, kind: str = "MARKET", **more: Any) -> tuple[int, Json]:
        """An order of EUR/USD."""
        asked = {"type": kind, "instrument": "EUR_USD", "units": str(units), **more}
        return await self.call("POST", "/orders", {"order": asked})

    @asynccontextmanager
    async def stream(self, path: str, **params: Any) -> AsyncIterator["Lines"]:
        """An open stream."""
        url = f"{self.where['stream']}{self.account}/{path}/stream"
        async with self.session.get(url, params=params) as response:
            assert response.status == 200, await response.text()
            yield Lines(response.content)


class Lines:
    """Lines of a stream."""

    def __init__(self, content: aiohttp.StreamReader) -> None:
        self._content = content

    async def raw(self) -> bytes:
        """The next line; empty at the end of the stream."""
        return await asyncio.wait_for(self._content.readline(), 20)

    async def next(self) -> Json:
        """The next line, parsed."""
        said: Json = json.loads(await self.raw())
        return said


@asynccontextmanager
async def served(exchange: Exchange, faults: Faults | None = None, **settings: Any) -> AsyncIterator[Client]:
    """The exchange served while the context lasts."""
    emulator = Emulator(exchange, replace(SETTINGS, **settings), faults)
    where = await emulator.start()
    try:
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session:
            yield Client(session, emulator, where)
    finally:
        await emulator.stop()
