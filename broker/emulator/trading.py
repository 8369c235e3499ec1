"""The operations that change the account: orders, trades, positions and configuration."""

from collections.abc import Callable
from typing import Any

from aiohttp import web

from broker.account import Account, BadRequest, Rejected
from broker.account.closing import (
    LINKS,
    close_position,
    close_trade,
    configure,
    modify_trade_extensions,
    set_dependents,
)
from broker.account.drafts import MISSING
from broker.account.placing import cancel_order, create_order, modify_order_extensions, replace_order
from broker.emulator.answers import BASE_URL, REQUEST_ID, Absent, answer
from broker.emulator.exchange import Exchange, Json
from broker.emulator.params import body_of, instrument_name, specifier
from broker.emulator.playback import Playback

_ABSENT = frozenset(("TRADE_DOESNT_EXIST", "ORDER_DOESNT_EXIST", "NO_SUCH_TRADE"))


class Trading:
    """Handlers of what writes. What may fill takes its time to arrive; the rest is done at once."""

    def __init__(self, exchange: Exchange, playback: Playback) -> None:
        self._exchange, self._account, self._playback = exchange, exchange.account, playback

    def routes(self) -> list[web.RouteDef]:
        """Path and handler of each operation."""
        account = "/v3/accounts/{accountID}"
        order, trade = f"{account}/orders/{{orderSpecifier}}", f"{account}/trades/{{tradeSpecifier}}"
        return [
            web.post(f"{account}/orders", self.create),
            web.put(order, self.replace),
            web.put(f"{order}/cancel", self.cancel),
            web.put(f"{order}/clientExtensions", self.order_extensions),
            web.put(f"{trade}/close", self.close_trade),
            web.put(f"{trade}/clientExtensions", self.trade_extensions),
            web.put(f"{trade}/orders", self.dependents),
            web.put(f"{account}/positions/{{instrument}}/close", self.close_position),
            web.patch(f"{account}/configuration", self.configure),
        ]

    def _answer(self, request: web.Request, written: list[Json], said: Json, status: int) -> web.Response:
        related = {"relatedTransactionIDs": [one["id"] for one in written], "lastTransactionID": self._account.last_id}
        return answer(request, {**said, **related}, status)

    def _rejected(self, request: web.Request, written: list[Json], said: Json, reason: str) -> web.Response:
        error = {"errorCode": reason, "errorMessage": _in_words(reason)}
        return self._answer(request, written, {**said, **error}, 404 if reason in _ABSENT else 400)

    async def _arrive(self, action: Callable[[Account], Any], asked: Any = None) -> Any:
        return await self._playback.perform(action, _client_id(asked))

    async def create(self, request: web.Request) -> web.Response:
        """POST .../orders."""
        asked, number = (await body_of(request)).get("order"), REQUEST_ID.get()
        written: list[Json] = await self._arrive(lambda account: create_order(account, asked, number), asked)
        if _is_reject(written):
            return self._rejected(request, written, {"orderRejectTransaction": written[0]}, written[0]["rejectReason"])
        said = {"orderCreateTransaction": written[0], **_fate(written[1:], written[0]["id"])}
        response = self._answer(request, written, said, 201)
        response.headers["Location"] = f"{BASE_URL.get()}{request.rel_url.raw_path}/{written[0]['id']}"
        return response

    async def replace(self, request: web.Request) -> web.Response:
        """PUT .../orders/{orderSpecifier}."""
        spec, asked, number = (
            specifier(request, "orderSpecifier"),
            (await body_of(request)).get("order"),
            REQUEST_ID.get(),
        )
        written: list[Json] = await self._arrive(lambda account: replace_order(account, spec, asked, number))
        if _is_reject(written):
            is_cancel = written[0]["type"] == "ORDER_CANCEL_REJECT"
            name = "orderCancelRejectTransaction" if is_cancel else "orderRejectTransaction"
            return self._rejected(request, written, {name: written[0]}, written[0]["rejectReason"])
        cancelled, created = written[:2]
        fate = _fate(written[2:], created["id"])
        if "orderCancelTransaction" in fate:
            fate["replacingOrderCancelTransaction"] = fate.pop("orderCancelTransaction")
        said = {"orderCancelTransaction": cancelled, "orderCreateTransaction": created, **fate}
        response = self._answer(request, written, said, 201)
        orders = request.rel_url.raw_path.rpartition("/")[0]
        response.headers["Location"] = f"{BASE_URL.get()}{orders}/{created['id']}"
        return response

    async def cancel(self, request: web.Request) -> web.Response:
        """PUT .../orders/{orderSpecifier}/cancel."""
        spec, number = specifier(request, "orderSpecifier"), REQUEST_ID.get()
        written = self._exchange.do(lambda account: cancel_order(account, spec, number))
        if _is_reject(written):
            said = {"orderCancelRejectTransaction": written[0]}
            return self._rejected(request, written, said, written[0]["rejectReason"])
        return self._answer(request, written, {"orderCancelTransaction": written[0]}, 200)

    async def order_extensions(self, request: web.Request) -> web.Response:
        """PUT .../orders/{orderSpecifier}/clientExtensions."""
        spec, body, number = specifier(request, "orderSpecifier"), await body_of(request), REQUEST_ID.get()
        written = self._exchange.do(lambda account: modify_order_extensions(account, spec, body, number))
        return self._extensions(request, written, "orderClientExtensionsModify")

    async def trade_extensions(self, request: web.Request) -> web.Response:
        """PUT .../trades/{tradeSpecifier}/clientExtensions."""
        spec, body, number = specifier(request, "tradeSpecifier"), await body_of(request), REQUEST_ID.get()
        written = self._exchange.do(lambda account: modify_trade_extensions(account, spec, body, number))
        return self._extensions(request, written, "tradeClientExtensionsModify")

    def _extensions(self, request: web.Request, written: list[Json], name: str) -> web.Response:
        if _is_reject(written):
            said = {f"{name}RejectTransaction": written[0]}
            return self._rejected(request, written, said, written[0]["rejectReason"])
        return self._answer(request, written, {f"{name}Transaction": written[0]}, 200)

    async def close_trade(self, request: web.Request) -> web.Response:
        """PUT .../trades/{tradeSpecifier}/close."""
        spec, body = specifier(request, "tradeSpecifier"), await body_of(request, may_be_empty=True)
        units, number = body.get("units", "ALL"), REQUEST_ID.get()
        written: list[Json] = await self._arrive(lambda account: close_trade(account, spec, units, number))
        if _is_reject(written):
            return self._rejected(request, written, {"orderRejectTransaction": written[0]}, written[0]["rejectReason"])
        said = {"orderCreateTransaction": written[0], **_fate(written[1:], written[0]["id"])}
        return self._answer(request, written, said, 200)

    async def close_position(self, request: web.Request) -> web.Response:
        """PUT .../positions/{instrument}/close."""
        name = instrument_name(request.match_info["instrument"], self._exchange.instruments)
        body, number = await body_of(request, may_be_empty=True), REQUEST_ID.get()
        sides: dict[str, list[Json]] = await self._arrive(lambda account: close_position(account, name, body, number))
        said: Json = {}
        reason = None
        for side, written in sides.items():
            if _is_reject(written):
                said[f"{side}OrderRejectTransaction"] = written[0]
                reason = reason or written[0]["rejectReason"]
            elif written:
                said[f"{side}OrderCreateTransaction"] = written[0]
                fate = _fate(written[1:], written[0]["id"])
                said.update({f"{side}Order{key.removeprefix('order')}": value for key, value in fate.items()})
        everything = [one for written in sides.values() for one in written]
        if reason is not None:
            return self._rejected(request, everything, said, reason)
        return self._answer(request, everything, said, 200)

    async def dependents(self, request: web.Request) -> web.Response:
        """PUT .../trades/{tradeSpecifier}/orders."""
        spec, body, number = specifier(request, "tradeSpecifier"), await body_of(request), REQUEST_ID.get()
        if not any(name in body for name in LINKS):
            raise BadRequest(MISSING)
        try:
            done = self._exchange.do(lambda account: set_dependents(account, spec, body, number))
        except Rejected as refused:
            raise Absent(refused.reason, "The trade ID specified does not exist") from None
        said: Json = {}
        reason = None
        for name, written in done.items():
            if _is_reject(written):
                said[f"{name}OrderRejectTransaction"] = written[0]
                reason = reason or written[0]["rejectReason"]
            else:
                said.update(_link(name, written))
        everything = [one for written in done.values() for one in written]
        if reason is not None:
            return self._rejected(request, everything, said, reason)
        return self._answer(request, everything, said, 200)

    async def configure(self, request: web.Request) -> web.Response:
        """PATCH .../configuration."""
        body, number = await body_of(request), REQUEST_ID.get()
        written = self._exchange.do(lambda account: configure(account, body, number))
        if _is_reject(written):
            said = {"clientConfigureRejectTransaction": written[0]}
            return self._rejected(request, written, said, written[0]["rejectReason"])
        return self._answer(request, written, {"clientConfigureTransaction": written[0]}, 200)


def _client_id(asked: Any) -> str:
    """The id that a client gave its order, "" where it gave none that is a text."""
    extensions = asked.get("clientExtensions") if isinstance(asked, dict) else None
    name = extensions.get("id") if isinstance(extensions, dict) else None
    return name if isinstance(name, str) else ""


def _is_reject(written: list[Json]) -> bool:
    return bool(written) and "rejectReason" in written[0]


def _fate(written: list[Json], order: str) -> Json:
    """What became of a new order at once."""
    names = {"ORDER_FILL": "orderFillTransaction", "ORDER_CANCEL": "orderCancelTransaction"}
    return {names[one["type"]]: one for one in written if one["type"] in names and one["orderID"] == order}


def _link(name: str, written: list[Json]) -> Json:
    """What was done about one dependent, by the names of the answer."""
    said: Json = {}
    created = None
    for one in written:
        if one["type"].endswith("_ORDER") and "tradeID" in one:
            created = one["id"]
            said[f"{name}OrderTransaction"] = one
        elif one["type"] == "ORDER_CANCEL" and created is None:
            said[f"{name}OrderCancelTransaction"] = one
        elif one.get("orderID") == created:
            kind = "FillTransaction" if one["type"] == "ORDER_FILL" else "CreatedCancelTransaction"
            said[f"{name}Order{kind}"] = one
    return said


def _in_words(reason: str) -> str:
    return f"{reason.replace('_', ' ').capitalize()}"
