"""Candles come whole, once, in order and complete, whatever the pages."""

import pytest

from broker.errors import BadInput
from broker.instruments import instrument
from broker.oanda import candles
from broker.rfc3339 import rfc3339
from broker.types import DAY, SECOND
from tests.broker.oanda.desk import START, Desk
from tests.broker.oanda.rig import in_memory, listen
from tests.broker.oanda.virtual import run

SIDES = {side: {"o": "1.1", "h": "1.3", "l": "1.0", "c": "1.2"} for side in ("bid", "ask")}


def test_pages_join_without_holes_or_doubles() -> None:
    """Windows of at most 5000 candles; gaps are legal; an incomplete candle and one outside are left out."""

    async def main() -> None:
        desk = Desk()
        runner, transport = await listen(desk), in_memory()
        starts = [START + 5 * SECOND * n for n in range(20_000) if n % 7 and not 6000 < n < 14_000]
        for start in starts:
            desk.candles.append({"time": rfc3339(start), "volume": 1, "complete": start != starts[-1], **SIDES})
        end = START + 5 * DAY
        got = [c.start async for c in candles(transport, instrument("EUR_USD"), "S5", START, end)]
        assert got == starts[:-1]
        windows = [request.query for request in desk.seen]
        assert all(query["price"] == "BA" and "count" not in query for query in windows)
        assert [q["from"] for q in windows[1:]] == [q["to"] for q in windows[:-1]]
        with pytest.raises(BadInput, match="no granularity"):
            await anext(candles(transport, instrument("EUR_USD"), "S1", START, end))
        await transport.close()
        await runner.cleanup()

    run(main)
