"""Every operation's answers against OANDA's published schemas and the fields that clients need."""

from pathlib import Path
from typing import Any

import pytest

from broker.emulator.kinds import FILTERS
from tests.broker.emulator.schema import Json, Schemas
from tests.broker.emulator.served import ACCOUNT, Client, new_exchange, served, still_file

ROOT = "/accounts/{accountID}"
ORDER, TRADE = f"{ROOT}/orders/{{orderSpecifier}}", f"{ROOT}/trades/{{tradeSpecifier}}"


class Checked:
    """Calls operations by their name in the specification, and checks each answer."""

    def __init__(self, client: Client, schemas: Schemas) -> None:
        self._client, self._schemas = client, schemas
        self.called: set[str] = set()

    async def __call__(
        self, method: str, path: str, spec: str = "", status: int = 200, body: Any = None, **params: Any
    ) -> Json:
        filled = path.replace("{accountID}", ACCOUNT).replace("{instrument}", spec or "EUR_USD")
        for name in ("{orderSpecifier}", "{tradeSpecifier}", "{transactionID}", "{userSpecifier}"):
            filled = filled.replace(name, spec)
        got, said = await self._client.call(method, f"/v3{filled}", body, params=params)
        assert got == status, f"{method} {filled}: {got} {said}"
        self._schemas.check_answer(method, path, got, said)
        self.called.add(f"{method} {path}")
        return said


@pytest.fixture
def schemas(shared: Path) -> Schemas:
    """The published ones."""
    return Schemas(shared / "oanda")


async def test_every_operation_answers_as_published(tmp_path: Path, schemas: Schemas) -> None:
    """All operations of priority A and B but the books, with success and with their errors."""
    async with served(new_exchange([still_file(tmp_path)])) as client:
        call = Checked(client, schemas)
        await trade_and_order(call, client)
        await read(call)
        await refuse(call)
    wanted = {name for name in schemas.operations if "Book" not in name and not name.endswith("stream")}
    assert wanted - call.called == set()
    assert len(wanted) == 32


async def trade_and_order(call: Checked, client: Client) -> None:
    """The operations that write."""
    market = {"type": "MARKET", "instrument": "EUR_USD", "units": "1000"}
    links = {"stopLossOnFill": {"distance": "0.01"}, "takeProfitOnFill": {"price": "1.2"}}
    extensions = {"id": "mine", "tag": "a", "comment": "b c"}
    await call(
        "POST", f"{ROOT}/orders", body={"order": {**market, **links, "tradeClientExtensions": extensions}}, status=201
    )
    trail = {"trailingStopLoss": {"distance": "0.02"}, "takeProfit": None, "stopLoss": {"price": "1.05"}}
    await call("PUT", f"{TRADE}/orders", "4", body=trail)
    await call("PUT", f"{TRADE}/clientExtensions", "4", body={"clientExtensions": {"id": "other"}})
    await call("PUT", f"{TRADE}/close", "@other", body={"units": "300"})
    for kind, price in (("LIMIT", "1.0"), ("STOP", "1.2"), ("MARKET_IF_TOUCHED", "1.05")):
        asked = {"type": kind, "instrument": "EUR_USD", "units": "10", "price": price, **links}
        made = await call(
            "POST", f"{ROOT}/orders", body={"order": {**asked, "clientExtensions": extensions}}, status=201
        )
        number = made["orderCreateTransaction"]["id"]
        await call("GET", ORDER, "@mine")
        await call("PUT", f"{ORDER}/clientExtensions", number, body={"clientExtensions": {"tag": "x"}})
        made = await call("PUT", ORDER, number, body={"order": asked}, status=201)
        await call("GET", ORDER, number)
        await call("PUT", f"{ORDER}/cancel", made["orderCreateTransaction"]["id"])
    await client.control("price", instrument="EUR_USD", bid="1.15", ask="1.1502")
    await call("PUT", f"{ROOT}/positions/{{instrument}}/close", body={"longUnits": "100"})
    await call("PATCH", f"{ROOT}/configuration", body={"alias": "x", "marginRate": "0.05"})
    await call("POST", f"{ROOT}/orders", body={"order": {**market, "units": "99999999"}}, status=201)
    await client.control("halt", instrument="EUR_USD", halted=True)
    await call("PUT", f"{TRADE}/close", "4")
    await client.control("halt", instrument="EUR_USD", halted=False)


async def read(call: Checked) -> None:
    """The operations that read."""
    for path in ("", "/summary", "/instruments", "/orders", "/pendingOrders", "/trades", "/openTrades"):
        await call("GET", f"{ROOT}{path}")
    await call("GET", "/accounts")
    for path in ("/positions", "/openPositions", "/positions/{instrument}", "/transactions"):
        await call("GET", f"{ROOT}{path}")
    for state in ("ALL", "FILLED", "CANCELLED"):
        await call("GET", f"{ROOT}/orders", state=state, instrument="EUR_USD", count="500")
    await call("GET", f"{ROOT}/trades", state="CLOSED")
    await call("GET", TRADE, "4")
    await call("GET", f"{ROOT}/changes", sinceTransactionID="0")
    await call("GET", f"{ROOT}/pricing", instruments="EUR_USD,USD_JPY", includeHomeConversions="true")
    await call("GET", f"{ROOT}/transactions/idrange", **{"from": "1", "to": "9", "type": "ORDER"})
    await call("GET", f"{ROOT}/transactions/sinceid", id="1")
    await call("GET", f"{ROOT}/transactions/{{transactionID}}", "1")
    await call("GET", "/instruments/{instrument}/candles", price="MBA", granularity="H4", count="5")
    await call("GET", f"{ROOT}/instruments/{{instrument}}/candles")
    await call("GET", "/users/{userSpecifier}", "@")
    await call("GET", "/users/{userSpecifier}/externalInfo", "@")


async def refuse(call: Checked) -> None:
    """Errors with their bodies."""
    for asked in ({"type": "MARKET", "instrument": "EUR_USD"}, {"type": "STOP_LOSS", "price": "1"}, None):
        await call("POST", f"{ROOT}/orders", body={"order": asked}, status=400)
    await call("POST", f"{ROOT}/orders", body={"order": {"type": "TAKE_PROFIT", "tradeID": "99"}}, status=404)
    limit = {"type": "LIMIT", "instrument": "EUR_USD", "units": "1", "price": "1"}
    await call("PUT", ORDER, "999", body={"order": limit}, status=404)
    await call("PUT", f"{ORDER}/cancel", "999", status=404)
    await call("PUT", f"{ORDER}/clientExtensions", "999", body={"clientExtensions": {"id": "x"}}, status=404)
    await call("GET", ORDER, "999", status=404)
    await call("GET", TRADE, "@nobody", status=404)
    await call("PUT", f"{TRADE}/close", "999", body={}, status=404)
    await call("PUT", f"{TRADE}/close", "4", body={"units": "99999"}, status=400)
    await call("PUT", f"{TRADE}/orders", "4", body={"stopLoss": {}}, status=400)
    await call("PUT", f"{TRADE}/orders", "999", body={"stopLoss": {}}, status=404)
    await call("PUT", f"{TRADE}/clientExtensions", "999", body={"clientExtensions": {"id": "x"}}, status=404)
    close = f"{ROOT}/positions/{{instrument}}/close"
    await call("PUT", close, body={"shortUnits": "ALL"}, status=400)
    await call("PUT", close, body={}, status=400)
    await call("PATCH", f"{ROOT}/configuration", body={"marginRate": "7"}, status=400)
    await call("GET", f"{ROOT}/changes", sinceTransactionID="99999", status=416)
    await call("GET", f"{ROOT}/transactions/idrange", **{"from": "9", "to": "1"}, status=416)
    await call("GET", f"{ROOT}/transactions/{{transactionID}}", "99999", status=404)
    await call("GET", "/instruments/{instrument}/candles", "EUR_XXX", status=400)
    await call("GET", f"{ROOT}/pricing", instruments="EUR_XXX", status=400)


def test_transactions_are_filtered_by_the_published_words(schemas: Schemas) -> None:
    """By these and no others."""
    assert set(schemas.enum("TransactionFilter")) == FILTERS


async def test_stream_lines_are_as_published(tmp_path: Path, schemas: Schemas) -> None:
    """Prices, transactions and both heartbeats."""
    async with served(new_exchange([still_file(tmp_path)]), speed=600.0) as client:
        async with client.stream("pricing", instruments="EUR_USD,USD_JPY") as lines:
            for _ in range(2):
                schemas.check_object("ClientPrice", await lines.next())
            schemas.check_object("PricingHeartbeat", await lines.next())
        async with client.stream("transactions") as lines:
            await client.order()
            seen = {}
            while len(seen) < 3:
                said = await lines.next()
                seen[said["type"]] = said
                heartbeat = said["type"] == "HEARTBEAT"
                schemas.check_object("TransactionHeartbeat" if heartbeat else "Transaction", said)
        assert set(seen) == {"HEARTBEAT", "MARKET_ORDER", "ORDER_FILL"}
