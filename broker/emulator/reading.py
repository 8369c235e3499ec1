"""The operations that read: accounts, instruments, orders, trades, positions, prices, candles and transactions."""

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from aiohttp import web

from broker.account import Account, BadRequest
from broker.account.entities import Order, Trade
from broker.account.placing import find_order, find_trade
from broker.account.views import (
    account_json,
    changes_json,
    conversion_json,
    instrument_json,
    order_json,
    position_json,
    summary_json,
    trade_json,
)
from broker.emulator.answers import BASE_URL, Absent, OutOfRange, answer
from broker.emulator.candles import GRANULARITIES, WEEKDAYS, Alignment, boundaries, candles, span
from broker.emulator.exchange import Exchange, Json
from broker.emulator.kinds import asked_kinds, is_of
from broker.emulator.params import (
    COUNT_DEFAULT,
    COUNT_MAXIMUM,
    flag,
    instrument_list,
    instrument_name,
    number_before,
    specifier,
    time_of,
    whole,
)
from broker.rfc3339 import rfc3339

CANDLES_MAXIMUM, CANDLES_DEFAULT = 5000, 500
PAGE_MAXIMUM, PAGE_DEFAULT = 1000, 100
_ORDER_STATES = ("PENDING", "FILLED", "TRIGGERED", "CANCELLED", "ALL")
_TRADE_STATES = ("OPEN", "CLOSED", "CLOSE_WHEN_TRADEABLE", "ALL")


class Reading:
    """Handlers of what reads.

    Args:
        seen: the account as reads see it by now; it may lag behind the one that trades.
    """

    def __init__(self, exchange: Exchange, seen: Callable[[], Account]) -> None:
        self._exchange, self._account, self._seen = exchange, exchange.account, seen

    def routes(self) -> list[web.RouteDef]:
        """Path and handler of each operation."""
        account = "/v3/accounts/{accountID}"
        return [
            web.get("/v3/accounts", self.accounts),
            web.get(account, self.account),
            web.get(f"{account}/summary", self.summary),
            web.get(f"{account}/changes", self.changes),
            web.get(f"{account}/instruments", self.instruments),
            web.get(f"{account}/orders", self.orders),
            web.get(f"{account}/pendingOrders", self.pending_orders),
            web.get(f"{account}/orders/{{orderSpecifier}}", self.order),
            web.get(f"{account}/trades", self.trades),
            web.get(f"{account}/openTrades", self.open_trades),
            web.get(f"{account}/trades/{{tradeSpecifier}}", self.trade),
            web.get(f"{account}/positions", self.positions),
            web.get(f"{account}/openPositions", self.open_positions),
            web.get(f"{account}/positions/{{instrument}}", self.position),
            web.get(f"{account}/pricing", self.pricing),
            web.get(f"{account}/instruments/{{instrument}}/candles", self.candles),
            web.get("/v3/instruments/{instrument}/candles", self.candles),
            web.get(f"{account}/transactions", self.transactions),
            web.get(f"{account}/transactions/idrange", self.id_range),
            web.get(f"{account}/transactions/sinceid", self.since_id),
            web.get(f"{account}/transactions/{{transactionID}}", self.transaction),
            web.get("/v3/users/{userSpecifier}", self.user),
            web.get("/v3/users/{userSpecifier}/externalInfo", self.user_external),
        ]

    def _answer(self, request: web.Request, **said: Any) -> web.Response:
        return answer(request, {**said, "lastTransactionID": self._seen().last_id})

    async def accounts(self, request: web.Request) -> web.Response:
        """GET /accounts."""
        return answer(request, {"accounts": [{"id": self._account.account_id, "tags": []}]})

    async def account(self, request: web.Request) -> web.Response:
        """GET /accounts/{accountID}."""
        return self._answer(request, account=account_json(self._seen()))

    async def summary(self, request: web.Request) -> web.Response:
        """GET .../summary."""
        return self._answer(request, account=summary_json(self._seen()))

    async def changes(self, request: web.Request) -> web.Response:
        """GET .../changes."""
        since = whole(request, "sinceTransactionID", None, 10**18)
        if since > len(self._account.transactions):
            raise OutOfRange("sinceTransactionID")
        changes, state = changes_json(self._seen(), since)
        return self._answer(request, changes=changes, state=state)

    async def instruments(self, request: web.Request) -> web.Response:
        """GET .../instruments."""
        names = instrument_list(request, self._exchange.instruments, required=False)
        found = [instrument_json(self._exchange.instruments[name], self._account.interest) for name in names]
        return self._answer(request, instruments=found)

    async def orders(self, request: web.Request) -> web.Response:
        """GET .../orders."""
        state = _choice(request, "state", _ORDER_STATES)
        if "ids" in request.query and "state" not in request.query:
            state = "ALL"
        seen = self._seen()
        pool = seen.state.pending if state == "PENDING" else seen.state.orders
        found = [order for order in pool.values() if state in (order.state, "ALL")]
        return self._list(request, "orders", found, lambda order: order_json(seen, order))

    async def pending_orders(self, request: web.Request) -> web.Response:
        """GET .../pendingOrders."""
        seen = self._seen()
        found = reversed(seen.state.pending.values())
        return self._answer(request, orders=[order_json(seen, order) for order in found])

    async def order(self, request: web.Request) -> web.Response:
        """GET .../orders/{orderSpecifier}."""
        seen = self._seen()
        order = find_order(seen, specifier(request, "orderSpecifier"))
        if order is None:
            raise Absent("NO_SUCH_ORDER", "The order ID specified does not exist")
        return self._answer(request, order=order_json(seen, order))

    async def trades(self, request: web.Request) -> web.Response:
        """GET .../trades."""
        state = _choice(request, "state", _TRADE_STATES)
        if "ids" in request.query and "state" not in request.query:
            state = "ALL"
        seen = self._seen()
        pool = seen.state.open if state == "OPEN" else seen.state.trades
        found = [trade for trade in pool.values() if state in ("OPEN" if trade.is_open else "CLOSED", "ALL")]
        return self._list(request, "trades", found, lambda trade: trade_json(seen, trade))

    async def open_trades(self, request: web.Request) -> web.Response:
        """GET .../openTrades."""
        seen = self._seen()
        found = reversed(seen.state.open.values())
        return self._answer(request, trades=[trade_json(seen, trade) for trade in found])

    async def trade(self, request: web.Request) -> web.Response:
        """GET .../trades/{tradeSpecifier}."""
        seen = self._seen()
        trade = find_trade(seen, specifier(request, "tradeSpecifier"))
        if trade is None:
            raise Absent("NO_SUCH_TRADE", "The trade ID specified does not exist")
        return self._answer(request, trade=trade_json(seen, trade))

    def _list(
        self, request: web.Request, name: str, found: Iterable[Order | Trade], view: Callable[[Any], Json]
    ) -> web.Response:
        """Newest first, by the query's filters, with a link to the next page."""
        count = whole(request, "count", COUNT_DEFAULT, COUNT_MAXIMUM, 1)
        before, ids = number_before(request), request.query.get("ids")
        chosen = [one for one in found if before is None or one.id < before]
        if ids is not None:
            wanted = set(ids.split(","))
            if not all(one.isdecimal() and one.isascii() and len(one) < 19 for one in wanted):
                raise BadRequest.of("ids")
            chosen = [one for one in chosen if str(one.id) in wanted]
        if "instrument" in request.query:
            only = instrument_name(request.query["instrument"], self._exchange.instruments)
            chosen = [one for one in chosen if one.instrument == only]
        page = sorted(chosen, key=lambda one: -one.id)[:count]
        response = self._answer(request, **{name: [view(one) for one in page]})
        if len(chosen) > count:
            query = urlencode({**request.query, "beforeID": str(page[-1].id)})
            response.headers["Link"] = f'<{_url(request)}?{query}>; rel="next"'
        return response

    async def positions(self, request: web.Request) -> web.Response:
        """GET .../positions."""
        seen = self._seen()
        return self._answer(request, positions=[position_json(seen, name) for name in sorted(seen.state.totals)])

    async def open_positions(self, request: web.Request) -> web.Response:
        """GET .../openPositions."""
        seen = self._seen()
        names = sorted({trade.instrument for trade in seen.state.open.values()})
        return self._answer(request, positions=[position_json(seen, name) for name in names])

    async def position(self, request: web.Request) -> web.Response:
        """GET .../positions/{instrument}."""
        name = instrument_name(request.match_info["instrument"], self._exchange.instruments)
        return self._answer(request, position=position_json(self._seen(), name))

    async def pricing(self, request: web.Request) -> web.Response:
        """GET .../pricing."""
        names = instrument_list(request, self._exchange.instruments, required=True)
        since = time_of(request, "since")
        flag(request, "includeUnitsAvailable", False)
        prices = [
            self._exchange.price_json(name)
            for name in names
            if since is None or self._account.market.prices[name].time > since
        ]
        said: Json = {"prices": prices, "time": rfc3339(self._exchange.now)}
        if flag(request, "includeHomeConversions", False):
            pairs = (self._exchange.instruments[name] for name in names)
            currencies = dict.fromkeys(code for pair in pairs for code in (pair.base, pair.quote))
            said["homeConversions"] = [conversion_json(self._account, code) for code in currencies]
        return answer(request, said)

    async def candles(self, request: web.Request) -> web.Response:
        """GET /instruments/{instrument}/candles, and the account's own."""
        name = instrument_name(request.match_info["instrument"], self._exchange.instruments)
        sides = request.query.get("price", "M")
        if not sides or set(sides) - set("MBA"):
            raise BadRequest.of("price")
        alignment = _alignment(request)
        shown, now = self._exchange.history.shown(name), self._exchange.now
        count = whole(request, "count", CANDLES_DEFAULT, CANDLES_MAXIMUM, 1)
        begin, end = time_of(request, "from"), time_of(request, "to")
        for field, time in (("from", begin), ("to", end)):
            if time is not None and time > now:
                raise BadRequest(f"Invalid value specified for '{field}'. Time is in the future")
        if begin is not None and end is not None:
            if "count" in request.query:
                raise BadRequest("'count' cannot be specified when 'to' and 'from' parameters are set")
            if begin > end:
                raise BadRequest("Invalid value specified for 'to'. Time is before 'from'")
            count = CANDLES_MAXIMUM + 1
        first, last = window(shown.time, alignment, begin, end, flag(request, "includeFirst", True))
        part = span(shown, alignment, count, first, last, newest=begin is None)
        cut = type(shown)(shown.time[part], shown.bid[part], shown.ask[part])
        precision = self._exchange.instruments[name].precision
        found = candles(cut, alignment, precision, now, sides, flag(request, "smooth", False))
        if len(found) > CANDLES_MAXIMUM:
            raise BadRequest("Maximum value for 'count' exceeded")
        return answer(request, {"instrument": name, "granularity": alignment.granularity, "candles": found})

    async def transaction(self, request: web.Request) -> web.Response:
        """GET .../transactions/{transactionID}."""
        text = request.match_info["transactionID"]
        if not (text.isascii() and text.isdecimal() and len(text) < 19):
            raise BadRequest.of("transactionID")
        if not 1 <= int(text) <= len(self._account.transactions):
            raise Absent("NO_SUCH_TRANSACTION", "The transaction ID specified does not exist")
        return self._answer(request, transaction=self._account.transactions[int(text) - 1])

    async def id_range(self, request: web.Request) -> web.Response:
        """GET .../transactions/idrange."""
        first, last = (whole(request, name, None, 10**18, 1) for name in ("from", "to"))
        if first > last or last > len(self._account.transactions):
            raise OutOfRange("from" if first > last else "to")
        return self._answer(request, transactions=self._chosen(request, first - 1, last))

    async def since_id(self, request: web.Request) -> web.Response:
        """GET .../transactions/sinceid: at most a page of a thousand, the oldest."""
        since = whole(request, "id", None, 10**18)
        if since > len(self._account.transactions):
            raise OutOfRange("id")
        return self._answer(request, transactions=self._chosen(request, since, since + PAGE_MAXIMUM))

    def _chosen(self, request: web.Request, first: int, last: int) -> list[Json]:
        kinds = asked_kinds(request)
        found = self._seen().transactions[first:last]
        return [said for said in found if kinds is None or is_of(said["type"], kinds)]

    async def transactions(self, request: web.Request) -> web.Response:
        """GET .../transactions: pages of them, as links."""
        created = self._account.transactions[0]["time"]
        begin, end = time_of(request, "from"), time_of(request, "to")
        size = whole(request, "pageSize", PAGE_DEFAULT, PAGE_MAXIMUM, 1)
        lower = created if begin is None else rfc3339(begin)
        upper = rfc3339(self._exchange.now if end is None else end)
        ids = [int(said["id"]) for said in self._chosen(request, 0, 10**18) if lower <= said["time"] <= upper]
        base = f"{_url(request)}/idrange"
        kinds = {"type": request.query["type"]} if "type" in request.query else {}
        pages = [ids[place : place + size] for place in range(0, len(ids), size)]
        urls = [f"{base}?{urlencode({'from': page[0], 'to': page[-1], **kinds})}" for page in pages]
        said: Json = {"from": lower, "to": upper, "pageSize": size, "count": len(ids), "pages": urls}
        return self._answer(request, **said, **({"type": kinds["type"].split(",")} if kinds else {}))

    def _user(self, request: web.Request) -> int:
        if request.match_info["userSpecifier"] not in ("@", str(self._account.user_id)):
            raise web.HTTPForbidden
        return self._account.user_id

    async def user(self, request: web.Request) -> web.Response:
        """GET /users/{userSpecifier}."""
        number = self._user(request)
        said = {"username": f"user{number}", "userID": number, "country": "US", "emailAddress": "user@example.invalid"}
        return answer(request, {"userInfo": said})

    async def user_external(self, request: web.Request) -> web.Response:
        """GET /users/{userSpecifier}/externalInfo."""
        return answer(request, {"userInfo": {"userID": self._user(request), "country": "US", "FIFO": False}})


def _url(request: web.Request) -> str:
    """The request's URL without its query, whatever host the client named."""
    return f"{BASE_URL.get()}{request.rel_url.raw_path}"


def window(
    times: Any, alignment: Alignment, begin: int | None, end: int | None, include_first: bool
) -> tuple[int, int]:
    """Indices of the quotes of candles from the one that holds `begin` (or the next) to those starting before `end`."""
    first, last = 0, len(times)
    if begin is not None:
        starts = boundaries(alignment, begin, begin)
        first = int(times.searchsorted(starts[0] if include_first else starts[1]))
    if end is not None:
        starts = boundaries(alignment, end - 1, end - 1)
        last = int(times.searchsorted(starts[1]))
    return first, max(first, last)


def _alignment(request: web.Request) -> Alignment:
    granularity = request.query.get("granularity", "S5")
    if granularity not in GRANULARITIES:
        raise BadRequest.of("granularity")
    hour = whole(request, "dailyAlignment", 17, 23)
    weekday = request.query.get("weeklyAlignment", "Friday")
    if weekday not in WEEKDAYS:
        raise BadRequest.of("weeklyAlignment")
    try:
        zone = ZoneInfo(request.query.get("alignmentTimezone", "America/New_York"))
    except (ValueError, OSError, KeyError):
        raise BadRequest.of("alignmentTimezone") from None
    return Alignment(granularity, hour, zone, WEEKDAYS.index(weekday))


def _choice(request: web.Request, name: str, allowed: tuple[str, ...]) -> str:
    """One of a few words, the first unless given."""
    value = request.query.get(name, allowed[0])
    if value not in allowed:
        raise BadRequest.of(name)
    return value
