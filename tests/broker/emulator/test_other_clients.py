"""OANDA's own `v20` and `fivetwenty`, unchanged but for the host, against the emulator as its own process."""

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from decimal import Decimal
from typing import Any

import fivetwenty
import httpx
import pytest
import v20
from fivetwenty.models import ClientExtensions

from tests.broker.emulator.served import tick_file
from tests.broker.emulator.test_clients import TOKEN, Json, control, running

Context = Any
"""v20 has no types."""


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Json]:
    """An emulator at sixty times the wall's pace."""
    quotes = [(n * 5.0, 110_000 + n % 7, 110_010 + n % 7) for n in range(10_000)]
    with running("--ticks", str(tick_file(tmp_path_factory.mktemp("ticks"), quotes)), "--speed", "60x") as (said, _):
        yield said


@pytest.fixture
def api(where: Json) -> Iterator[Context]:
    """The official client; its sessions live as long as it does."""
    host, port = where["rest"].removeprefix("http://").split(":")
    context = v20.Context(host, int(port), ssl=False, token=TOKEN, stream_chunk_size=1)
    yield context
    context._session.close()


def test_v20_trades(where: Json, api: Context) -> None:
    """Every order type with create, fill, replace, cancel, dependents, partial closes and look-ups by its own ids."""
    me = where["account"]
    fill = api.order.market(me, instrument="EUR_USD", units=50, stopLossOnFill={"distance": "0.05"})
    trade = fill.get("orderFillTransaction", 201).tradeOpened.tradeID
    set_ = api.trade.set_dependent_orders(me, trade, takeProfit={"price": "1.3"}, trailingStopLoss={"distance": "0.04"})
    assert set_.get("takeProfitOrderTransaction", 200).price == 1.3
    api.trade.set_client_extensions(me, trade, clientExtensions={"id": "held"}).get("lastTransactionID", 200)
    assert api.trade.get(me, "@held").get("trade", 200).stopLossOrder.tradeID == trade
    assert api.trade.close(me, trade, units="20").get("orderFillTransaction", 200).tradeReduced.units == -20
    assert api.trade.close(me, trade).get("orderFillTransaction", 200).pl is not None
    for kind, create, replace, price in (
        ("LIMIT", api.order.limit, api.order.limit_replace, "1.0"),
        ("STOP", api.order.stop, api.order.stop_replace, "1.3"),
        ("MARKET_IF_TOUCHED", api.order.market_if_touched, api.order.market_if_touched_replace, "1.05"),
    ):
        asked = {"instrument": "EUR_USD", "units": 10, "price": price, "clientExtensions": {"id": f"v-{kind}"}}
        create(me, **asked).get("orderCreateTransaction", 201)
        found = api.order.get(me, f"@v-{kind}").get("order", 200)
        made = replace(me, found.id, **{**asked, "units": 11}).get("orderCreateTransaction", 201)
        assert (found.type, api.order.cancel(me, made.id).get("orderCancelTransaction", 200).orderID) == (kind, made.id)
    api.order.market(me, instrument="EUR_USD", units=7).get("orderFillTransaction", 201)
    assert api.position.get(me, "EUR_USD").get("position", 200).long.units == 7
    assert api.position.close(me, "EUR_USD", longUnits="ALL").get("longOrderFillTransaction", 200).units == -7
    assert api.order.cancel(me, "999999").get("orderCancelRejectTransaction", 404).rejectReason is not None
    refused = api.order.limit(me, instrument="EUR_USD", units=1, price="1.123456")
    assert refused.get("errorCode", 400) == "PRICE_PRECISION_EXCEEDED"


def test_v20_reads(where: Json, api: Context) -> None:
    """Accounts, changes, instruments, prices, candles, transactions and both streams."""
    me = where["account"]
    assert [one.id for one in api.account.list().get("accounts", 200)] == [me]
    since = int(api.account.summary(me).get("account", 200).lastTransactionID)
    assert api.account.get(me).get("account", 200).currency == "USD"
    assert api.account.changes(me, sinceTransactionID=since - 1).get("changes", 200).transactions[0].id == str(since)
    assert api.account.instruments(me, instruments="EUR_USD").get("instruments", 200)[0].displayPrecision == 5
    assert api.pricing.get(me, instruments="EUR_USD").get("prices", 200)[0].tradeable
    candles = api.instrument.candles("EUR_USD", granularity="S5", price="BA", count=3).get("candles", 200)
    assert len(candles) <= 3
    assert candles[0].bid.o > 1
    assert api.transaction.range(me, fromID=1, toID=since).get("transactions", 200)[0].type == "CREATE"
    assert len(api.transaction.since(me, id=since - 2).get("transactions", 200)) == 2
    for stream, wanted in (
        (api.pricing.stream(me, instruments="EUR_USD"), "pricing.ClientPrice"),
        (api.transaction.stream(me), "transaction.TransactionHeartbeat"),
    ):
        assert wanted in (kind for kind, _ in stream.parts())


class Redirected(httpx.AsyncHTTPTransport):
    """Takes every request to the emulator, whatever host it names."""

    def __init__(self, root: str) -> None:
        super().__init__()
        self._root = httpx.URL(root)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        root = self._root
        request.url = request.url.copy_with(scheme=root.scheme, host=root.host, port=root.port)
        return await super().handle_async_request(request)


@pytest.fixture
async def client(where: Json) -> AsyncIterator[fivetwenty.AsyncClient]:
    """fivetwenty's client over that transport."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    url = "https://api-fxpractice.oanda.com/v3"
    async with httpx.AsyncClient(base_url=url, headers=headers, transport=Redirected(where["rest"])) as http:
        yield fivetwenty.AsyncClient(TOKEN, account_id=where["account"], transport=http)


async def test_fivetwenty_trades(where: Json, client: fivetwenty.AsyncClient) -> None:
    """Orders of each type through its strict models, dependents, partial closes, look-ups, refusals."""
    me, price = where["account"], Decimal
    made = await client.orders.post_market_order(me, "EUR_USD", 60, take_profit=price("1.3"), stop_loss=price("1.0"))
    trade = made["orderFillTransaction"].trade_opened.trade_id
    await client.trades.put_trade_orders(me, trade, take_profit=None, trailing_stop_loss={"distance": "0.04"})
    await client.trades.put_trade_client_extensions(me, trade, client_extensions=ClientExtensions(id="mine"))
    found = (await client.trades.get_trade(me, "@mine"))["trade"]
    assert (found.take_profit_order, found.stop_loss_order is None) == (None, False)
    await client.trades.close_trade(me, trade, units="20")
    await client.trades.close_trade(me, trade)
    for post, level in (
        (client.orders.post_limit_order, "1.0"),
        (client.orders.post_stop_order, "1.3"),
        (client.orders.post_market_if_touched_order, "1.05"),
    ):
        made = (await post(me, "EUR_USD", 10, price(level)))["orderCreateTransaction"]
        order = made.id
        named = ClientExtensions(id=f"f-{order}")
        await client.orders.put_order_client_extensions(me, order, client_extensions=named)
        assert (await client.orders.get_order(me, f"@f-{order}"))["order"].id == order
        asked = {"type": made.type.removesuffix("_ORDER"), "instrument": "EUR_USD", "units": "11", "price": level}
        replaced = await client.orders.put_order(me, order, asked)
        await client.orders.cancel_order(me, replaced["orderCreateTransaction"].id)
    await client.orders.post_market_order(me, "EUR_USD", -5)
    await client.positions.close_position(me, "EUR_USD", short_units="ALL")
    assert (await client.positions.get_open_positions(me))["positions"] == []
    control(where, "halt", instrument="EUR_USD", halted=True)
    halted = await client.orders.post_market_order(me, "EUR_USD", 5)
    control(where, "halt", instrument="EUR_USD", halted=False)
    assert halted["orderCancelTransaction"].reason == "MARKET_HALTED"
    nobody = ClientExtensions(id="whoever")
    for ask in (
        client.orders.cancel_order(me, "999999"),
        client.orders.cancel_order(me, "@nobody"),
        client.orders.put_order_client_extensions(me, "@nobody", client_extensions=nobody),
        client.trades.put_trade_client_extensions(me, "@nobody", client_extensions=nobody),
        client.trades.close_trade(me, "@nobody"),
    ):
        with pytest.raises(fivetwenty.FiveTwentyError) as refused:
            await ask
        assert refused.value.status == 404
    said = (await client.transactions.get_transactions_since_id(me, "0"))["transactions"]
    assert {"TRADE_CLIENT_EXTENSIONS_MODIFY_REJECT", "ORDER_CANCEL"} <= {one.type for one in said}
    assert (await client.accounts.get_account_changes(me, since_transaction_id="1"))["changes"].transactions == said[1:]


async def test_fivetwenty_reads(where: Json, client: fivetwenty.AsyncClient) -> None:
    """Accounts, changes, instruments, prices, candles, transactions and both streams, through its strict models."""
    me = where["account"]
    assert [one.id for one in await client.accounts.get_accounts()] == [me]
    last = (await client.accounts.get_account(me))["lastTransactionID"]
    await client.accounts.get_account_summary(me)
    before = str(int(last) - 1)
    changes = await client.accounts.get_account_changes(me, since_transaction_id=before)
    assert len(changes["changes"].transactions) == 1
    assert (await client.accounts.get_account_instruments(me, instruments=["EUR_USD"]))["instruments"]
    assert (await client.pricing.get_pricing(me, ["EUR_USD"], include_home_conversions=True))["prices"]
    candles = await client.instruments.get_instrument_candles("EUR_USD", price="BA", granularity="S5", count=3)
    assert candles["candles"]
    assert (await client.pricing.get_account_instrument_candles(me, "EUR_USD", granularity="M1", count=2))["candles"]
    assert len((await client.transactions.get_transactions_since_id(me, before))["transactions"]) == 1
    assert (await client.transactions.get_transactions_range(me, "1", "2"))["transactions"]
    for lines, wanted in (
        (client.pricing.get_pricing_stream(me, ["EUR_USD"]), {"PRICE", "HEARTBEAT"}),
        (client.transactions.get_transactions_stream(me), {"HEARTBEAT"}),
    ):
        seen: set[str] = set()
        async with aclosing(lines):
            async for line in lines:
                seen.add(line.type)
                if wanted <= seen:
                    break
        assert wanted <= seen
