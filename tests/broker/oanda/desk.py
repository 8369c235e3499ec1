"""A scripted OANDA: just enough of the account and the streams to test the client, with faults on command.

It is not the emulator: one netting account, market orders, stops that are recorded and never triggered by themselves.
Every fault is asked for by the test, by the name of the write it befalls.
"""

import asyncio
import copy
import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from broker.rfc3339 import rfc3339
from broker.types import SECOND

ACCOUNT, TOKEN = "101-001-1234567-001", "s3cr3t-t0k3n-0123456789abcdef"
START = 1_700_000_000 * SECOND
INSTRUMENT = {
    "name": "EUR_USD", "type": "CURRENCY", "pipLocation": -4, "displayPrecision": 5, "tradeUnitsPrecision": 0,
    "marginRate": "0.02", "minimumTradeSize": "1",
}  # fmt: skip
PRICED = 138676, 138689
Json = dict[str, Any]


class Desk:
    """The server. `app` is what listens; `script` holds the faults of the next order requests."""

    def __init__(self) -> None:
        self.log: list[Json] = []
        self._trades_after: list[dict[int, Json]] = []  # each transaction, for reads that lag
        self.trades: dict[int, Json] = {}
        self.orders: dict[int, Json] = {}
        self.posted: list[Json] = []  # bodies that arrived
        self.seen: list[web.Request] = []
        self.script: list[str] = []  # one word for each write to come
        self.gets: list[str] = []  # one word for each GET to come
        self.lag = 0  # transactions that GETs do not show yet
        self.deaf = False  # the transaction stream says nothing but heartbeats
        self.mute = False  # no stream says anything
        self.token = TOKEN
        self.hidden_stops = False  # stops on fill are not created
        self.bid, self.ask, self.tradeable = *PRICED, True
        self.candles: list[Json] = []
        self.account_extra: Json = {}
        self._streams: dict[str, list[asyncio.Queue[bytes | None]]] = {"transactions": [], "pricing": []}
        self.add("CREATE", homeCurrency="USD")
        self.app = web.Application(middlewares=[self._guard])
        root = f"/v3/accounts/{ACCOUNT}"
        routes: list[tuple[str, str, Callable[[web.Request], Awaitable[web.StreamResponse]]]] = [
            ("GET", "", self._account), ("GET", "/instruments", self._instruments),
            ("GET", "/changes", self._changes), ("GET", "/transactions/sinceid", self._since),
            ("GET", "/transactions/stream", self._stream), ("GET", "/pricing/stream", self._stream),
            ("POST", "/orders", self._order), ("PUT", "/trades/{trade}/orders", self._levels),
        ]  # fmt: skip
        for method, path, handler in routes:
            self.app.router.add_route(method, root + path, handler)
        self.app.router.add_get("/v3/instruments/{name}/candles", self._candles)

    # What tests do to it.

    @property
    def time(self) -> int:
        """The broker's clock follows the loop's."""
        return START + round(asyncio.get_running_loop().time() * SECOND)

    def add(self, type_: str, **fields: Any) -> Json:
        """A transaction; it goes to the streams."""
        now = self.time if self.log else START
        number = len(self.log) + 1
        message = {"id": str(number), "time": rfc3339(now), "type": type_, "accountID": ACCOUNT, **fields}
        self.log.append(message)
        self._trades_after.append(copy.deepcopy(self.trades))
        if not self.deaf:
            self.say("transactions", json.dumps(message).encode() + b"\n")
        return message

    def say(self, stream: str, data: bytes) -> None:
        """Bytes for every open stream of a kind."""
        if not self.mute:
            for queue in self._streams[stream]:
                queue.put_nowait(data)

    def cut(self, stream: str) -> None:
        """Close the open streams of a kind."""
        for queue in self._streams[stream]:
            queue.put_nowait(None)

    def price(self, bid: int | None = None, ask: int | None = None, tradeable: bool = True) -> bytes:
        """A price line, also said to the streams."""
        self.bid, self.ask, self.tradeable = bid or self.bid, ask or self.ask, tradeable
        line = json.dumps(self._price()).encode()
        self.say("pricing", line + b"\n")
        return line

    def beat(self) -> None:
        """A heartbeat on both streams."""
        time = rfc3339(self.time)
        self.say("pricing", json.dumps({"type": "HEARTBEAT", "time": time}).encode() + b"\n")
        beat = {"type": "HEARTBEAT", "lastTransactionID": str(len(self.log)), "time": time}
        self.say("transactions", json.dumps(beat).encode() + b"\n")

    async def beating(self) -> None:
        """Beat for ever."""
        while True:
            await asyncio.sleep(5.0)
            self.beat()

    def fill(self, units: int, order: Json | None = None, instrument: str = "EUR_USD", **more: Any) -> Json:
        """Fill units, oldest trades first; a new trade takes the rest."""
        number, price = len(self.log) + 1, self.ask if units > 0 else self.bid
        closed, left = [], units
        for key, trade in list(self.trades.items()):
            if left * trade["units"] >= 0:
                break
            part = -trade["units"] if abs(trade["units"]) <= abs(left) else left
            closed.append({"tradeID": str(key), "units": str(part), "realizedPL": "0.0"})
            trade["units"] += part
            left -= part
        done = [c for c in closed if not self.trades[int(c["tradeID"])]["units"]]
        fields: Json = {"tradesClosed": done} if done else {}
        if len(done) < len(closed):
            fields["tradeReduced"] = closed[-1]
        if left:
            extensions = (order or {}).get("tradeClientExtensions")
            own = {"clientExtensions": extensions} if extensions else {}
            fields["tradeOpened"] = {"tradeID": str(number), "units": str(left), "price": _text(price), **own}
            self.trades[number] = {"units": left, "price": price, "instrument": instrument, **own}
        self.trades = {key: trade for key, trade in self.trades.items() if trade["units"]}
        tiers = {"bids": [{"price": _text(self.bid), "liquidity": "1"}], "asks": [{"price": _text(self.ask)}]}
        said = {"orderID": str(number - 1), "reason": "MARKET_ORDER", "instrument": instrument, "units": str(units),
                "price": _text(price), "fullPrice": tiers, "pl": "0.0", "accountBalance": "100000.0"}  # fmt: skip
        filled = self.add("ORDER_FILL", **(said | fields | more))
        for key in [key for key, held in self.orders.items() if int(held["tradeID"]) not in self.trades]:
            del self.orders[key]
            self.add("ORDER_CANCEL", orderID=str(key), reason="LINKED_TRADE_CLOSED")
        return filled

    # What it answers.

    @web.middleware
    async def _guard(self, request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
        self.seen.append(request)
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return _json({"errorMessage": "Insufficient authorization to perform request."}, 401)
        streaming = request.path.endswith("stream")
        faults = self.gets if request.method == "GET" else self.script
        word = faults.pop(0) if faults and not streaming else ""
        name, _, value = word.partition(":")
        match name:
            case "drop":
                return _drop(request)
            case "status":
                return web.Response(status=int(value), text="<html>no</html>", headers={"RequestID": "r-1"})
            case "throttle":
                return web.Response(status=429, headers={"Retry-After": value})
            case "bad":
                return _json({"errorMessage": f"Invalid value {value}", "errorCode": value}, 400)
        answer: web.StreamResponse = await handler(request)
        match name:
            case "lose":
                return _drop(request)
            case "late":
                await asyncio.sleep(float(value))
            case "half":
                return web.Response(status=201, body=b'{"orderFillTrans')
            case "after":
                return web.Response(status=int(value), text="<html>no</html>")
        return answer

    async def _account(self, _: web.Request) -> web.Response:
        shown = self._shown()
        trades = [
            {"id": str(key), "instrument": t["instrument"], "price": _text(t["price"]), "currentUnits": str(t["units"]),
             **({"clientExtensions": t["clientExtensions"]} if "clientExtensions" in t else {})}
            for key, t in self.trades.items()
        ]  # fmt: skip
        orders = [
            {"id": str(key), **order} for key, order in self.orders.items() if int(order["tradeID"]) in self.trades
        ]
        account = {"id": ACCOUNT, "currency": "USD", "balance": "100000.0", "trades": trades, "orders": orders,
                   "hedgingEnabled": False, **self.account_extra}  # fmt: skip
        return _json({"account": account, "lastTransactionID": str(len(shown))})

    async def _instruments(self, _: web.Request) -> web.Response:
        return _json({"instruments": [INSTRUMENT, {"name": "ODD"}], "lastTransactionID": str(len(self.log))})

    async def _changes(self, request: web.Request) -> web.Response:
        shown = self._shown()
        found = shown[int(request.query["sinceTransactionID"]) :]
        trades = [{"id": str(key), "unrealizedPL": "0.0"} for key in self._shown_trades()]
        state = {"NAV": "100000.0", "trades": trades}
        return _json({"changes": {"transactions": found}, "state": state, "lastTransactionID": str(len(shown))})

    async def _since(self, request: web.Request) -> web.Response:
        shown, since = self._shown(), int(request.query["id"])
        if since > len(self.log):
            return _json({"errorMessage": "no such range", "errorCode": "NO_SUCH_TRANSACTION"}, 416)
        return _json({"transactions": shown[since : since + 3], "lastTransactionID": str(len(shown))})

    def _shown(self) -> list[Json]:
        return self.log[: len(self.log) - self.lag]

    def _shown_trades(self) -> dict[int, Json]:
        return self._trades_after[len(self._shown()) - 1] if self.lag else self.trades

    async def _candles(self, request: web.Request) -> web.Response:
        first, last = request.query["from"], request.query["to"]
        found = [candle for candle in self.candles if first <= candle["time"] < last]
        return _json({"instrument": request.match_info["name"], "granularity": "S5", "candles": found})

    async def _order(self, request: web.Request) -> web.Response:
        order = (await request.json())["order"]
        self.posted.append(order)
        first = len(self.log)
        asked = {key: order[key] for key in ("instrument", "units", "clientExtensions") if key in order}
        ours = bool(self.script) and self.script[0].startswith(("reject:", "cancel:"))
        word, _, reason = (self.script.pop(0) if ours else "").partition(":")
        if word == "reject":
            message = self.add("MARKET_ORDER_REJECT", rejectReason=reason, **asked)
            said = {"errorMessage": "no", "errorCode": reason, "orderRejectTransaction": message}
            return _json(said, 400)
        created = self.add("MARKET_ORDER", reason="CLIENT_ORDER", **asked)
        answer: Json = {"orderCreateTransaction": created}
        units, held = int(order["units"]), sum(trade["units"] for trade in self.trades.values())
        if order["positionFill"] == "REDUCE_ONLY" and (held * units >= 0 or abs(units) > abs(held)):
            word, reason = "cancel", "CLOSEOUT_POSITION_DOESNT_EXIST"
        if word == "cancel":
            answer["orderCancelTransaction"] = self.add("ORDER_CANCEL", orderID=created["id"], reason=reason)
        else:
            answer["orderFillTransaction"] = filled = self.fill(units, order)
            if "stopLossOnFill" in order and "tradeOpened" in filled and not self.hidden_stops:
                self._set_level("STOP_LOSS", filled["tradeOpened"]["tradeID"], order["stopLossOnFill"], "ON_FILL")
            if "takeProfitOnFill" in order and "tradeOpened" in filled:
                self._set_level("TAKE_PROFIT", filled["tradeOpened"]["tradeID"], order["takeProfitOnFill"], "ON_FILL")
        answer |= {
            "lastTransactionID": str(len(self.log)),
            "relatedTransactionIDs": [m["id"] for m in self.log[first:]],
        }
        return _json(answer, 201)

    def _set_level(self, kind: str, trade: str, level: Json, reason: str) -> Json:
        self.orders[len(self.log) + 1] = {"type": kind, "tradeID": trade, **level}
        return self.add(f"{kind}_ORDER", tradeID=trade, reason=reason, **level)

    async def _levels(self, request: web.Request) -> web.Response:
        answer: Json = {}
        names = {"stopLoss": "STOP_LOSS", "takeProfit": "TAKE_PROFIT"}
        for key, level in (await request.json()).items():
            for old in [k for k, o in self.orders.items() if o["tradeID"] == request.match_info["trade"]]:
                if self.orders[old]["type"] == names[key]:
                    del self.orders[old]
                    cancelled = self.add("ORDER_CANCEL", orderID=str(old), reason="CLIENT_REQUEST_REPLACED")
                    answer[f"{key}OrderCancelTransaction"] = cancelled
            set_ = self._set_level(names[key], request.match_info["trade"], level, "CLIENT_ORDER")
            answer[f"{key}OrderTransaction"] = set_
        return _json({**answer, "lastTransactionID": str(len(self.log))})

    def _price(self) -> Json:
        return {"type": "PRICE", "instrument": "EUR_USD", "time": rfc3339(self.time), "tradeable": self.tradeable,
                "bids": [{"price": _text(self.bid), "liquidity": 1_000_000}],
                "asks": [{"price": _text(self.ask), "liquidity": 1_000_000}],
                "closeoutBid": _text(self.bid), "closeoutAsk": _text(self.ask)}  # fmt: skip

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        kind = "pricing" if "pricing" in request.path else "transactions"
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._streams[kind].append(queue)
        if kind == "pricing" and not self.mute:
            queue.put_nowait(json.dumps(self._price()).encode() + b"\n")
        try:
            while (data := await queue.get()) is not None:
                await response.write(data)
        except ConnectionResetError:
            pass
        finally:
            self._streams[kind].remove(queue)
        return response


def _text(points: int) -> str:
    return f"{points // 100_000}.{points % 100_000:05d}"


def _json(body: Json, status: int = 200) -> web.Response:
    return web.json_response(body, status=status, headers={"RequestID": "r-7"})


def _drop(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.close()
    return web.Response()
