"""What a client may do with trades and positions: close them, protect them, and change what it calls them."""

from decimal import Decimal
from typing import Any

from broker.account.drafts import MISSING, client_extensions, draft_dependent
from broker.account.engine import Account
from broker.account.entities import DEPENDENTS, Json, Trade
from broker.account.errors import BadRequest, Rejected
from broker.account.numbers import parse, places, plain
from broker.account.placing import find_trade

LINKS = dict(zip(("takeProfit", "stopLoss", "trailingStopLoss"), DEPENDENTS, strict=True))


def close_trade(account: Account, spec: str, units: Any, request: str | None = None) -> list[Json]:
    """Close a trade or a part of it.

    Args:
        units: "ALL", or a positive number of units.

    Returns:
        The batch: a MARKET_ORDER and what became of it, or a MARKET_ORDER_REJECT.

    Raises:
        BadRequest: `units` can't be read.
    """
    trade = find_trade(account, spec)
    wanted = _wanted(units, "units")
    asked = {"tradeID": spec if trade is None else str(trade.id), "units": "ALL" if wanted is None else plain(wanted)}
    if trade is None and spec.startswith("@"):
        asked = {"tradeID": "0", "clientTradeID": spec[1:], "units": asked["units"]}
    said: Json = {"timeInForce": "FOK", "positionFill": "REDUCE_ONLY", "reason": "TRADE_CLOSE", "tradeClose": asked}
    first = len(account.transactions)
    account.begin(request)
    if trade is None or not trade.is_open:
        account.emit("MARKET_ORDER_REJECT", {**said, "rejectReason": "TRADE_DOESNT_EXIST"})
        return account.transactions[first:]
    if trade.client_id is not None:
        asked["clientTradeID"] = trade.client_id
    size = Decimal(abs(trade.units)) if wanted is None else wanted
    said = {"instrument": trade.instrument, "units": plain(-trade.side * size), **said}
    reason = _unfit(size, abs(trade.units), "CLOSE_TRADE_UNITS_EXCEED_TRADE_SIZE")
    if reason is not None:
        account.emit("MARKET_ORDER_REJECT", {**said, "rejectReason": reason})
    else:
        account.try_now(account.add_order("MARKET", {**said, "units": str(-trade.side * int(size))}))
    return account.transactions[first:]


def close_position(account: Account, name: str, body: Json, request: str | None = None) -> dict[str, list[Json]]:
    """Close the long or the short side of an instrument's position, or a part of it.

    Args:
        body: `longUnits` and `shortUnits`: ALL, NONE or a positive number; at least one of them.

    Returns:
        What was written for `long` and `short`; where one of them is rejected, nothing is closed.

    Raises:
        BadRequest: neither is given, or it can't be read.
    """
    given = {side: body.get(f"{side}Units") for side in ("long", "short")}
    if all(value in (None, "NONE") for value in given.values()):
        raise BadRequest("CLOSEOUT_POSITION_INCOMPLETE_SPECIFICATION" if any(given.values()) else MISSING)
    held = account.state.position(name)
    orders: dict[str, Json] = {}
    rejects: dict[str, str] = {}
    for side, value in given.items():
        if value in (None, "NONE"):
            continue
        sign = 1 if side == "long" else -1
        wanted, holds = _wanted(value, f"{side}Units"), max(0, sign * held)
        size = Decimal(holds) if wanted is None else wanted
        reason = _unfit(size, holds, "CLOSEOUT_POSITION_UNITS_EXCEED_POSITION_SIZE")
        if not holds:
            reason = "CLOSEOUT_POSITION_DOESNT_EXIST"
        asked = {"instrument": name, "units": "ALL" if wanted is None else plain(wanted)}
        orders[side] = {
            "instrument": name,
            "units": plain(-sign * size) if size else "0",
            "timeInForce": "FOK",
            "positionFill": "REDUCE_ONLY",
            "reason": "POSITION_CLOSEOUT",
            f"{side}PositionCloseout": asked,
        }
        if reason is not None:
            rejects[side] = reason
    return _close_sides(account, orders, rejects, request)


def _close_sides(
    account: Account, orders: dict[str, Json], rejects: dict[str, str], request: str | None
) -> dict[str, list[Json]]:
    written: dict[str, list[Json]] = {}
    account.begin(request)
    for side, said in orders.items():
        first = len(account.transactions)
        if side in rejects:
            account.emit("MARKET_ORDER_REJECT", {**said, "rejectReason": rejects[side]})
        elif not rejects:
            account.try_now(account.add_order("MARKET", {**said, "units": str(int(Decimal(said["units"])))}))
        written[side] = account.transactions[first:]
    return written


def set_dependents(account: Account, spec: str, body: Json, request: str | None = None) -> dict[str, list[Json]]:
    """Create, replace or cancel what hangs on a trade.

    Args:
        body: `takeProfit`, `stopLoss`, `trailingStopLoss`: an object creates or replaces, null cancels.

    Returns:
        What was written for each of those named; where one is rejected, nothing else is done.

    Raises:
        BadRequest: something can't be read.
        Rejected: no such open trade.
    """
    trade = find_trade(account, spec)
    if trade is None or not trade.is_open:
        raise Rejected("NO_SUCH_TRADE")
    instrument = account.market.instruments[trade.instrument]
    drafts = {}
    for name, kind in LINKS.items():
        asked = body.get(name)
        if asked is not None and not isinstance(asked, dict):
            raise BadRequest.of(name)
        if asked is not None:
            drafts[name] = draft_dependent(asked, kind, trade, instrument, account.now)
    account.begin(request)
    written: dict[str, list[Json]] = {}
    if any(draft.reject for draft in drafts.values()):
        for name, draft in drafts.items():
            if draft.reject is not None:
                said = {**draft.fields, "reason": "CLIENT_ORDER", "rejectReason": draft.reject}
                written[name] = [account.emit(f"{LINKS[name]}_ORDER_REJECT", said)]
        return written
    for name in (name for name in LINKS if name in body):
        first = len(account.transactions)
        _set(account, trade, LINKS[name], drafts[name].fields if name in drafts else None)
        written[name] = account.transactions[first:]
    return written


def _set(account: Account, trade: Trade, kind: str, fields: Json | None) -> None:
    """Put one dependent of an open trade in place; None takes it away."""
    old = account.state.pending.get(trade.dependents.get(kind, 0))
    if fields is None:
        if old is not None:
            account.cancel(old, "CLIENT_REQUEST")
        return
    if not trade.is_open:
        return
    if old is None:
        account.try_now(account.add_order(kind, {**fields, "reason": "CLIENT_ORDER"}))
        return
    cancelled = account.cancel(old, "CLIENT_REQUEST_REPLACED", replacedByOrderID=str(account.next_id + 1))["id"]
    said = {"replacesOrderID": str(old.id), "cancellingTransactionID": cancelled}
    account.try_now(account.add_order(kind, {**fields, "reason": "REPLACEMENT", **said}))


def modify_trade_extensions(account: Account, spec: str, body: Json, request: str | None = None) -> list[Json]:
    """Change an open trade's client extensions.

    Raises:
        BadRequest: nothing to change, or it can't be read.
    """
    if body.get("clientExtensions") is None:
        raise BadRequest(MISSING)
    trade = find_trade(account, spec)
    said: Json = {"tradeID": "0", "clientTradeID": spec[1:]} if spec.startswith("@") else {"tradeID": spec}
    reject = "TRADE_DOESNT_EXIST"
    if trade is not None and trade.is_open:
        said = {"tradeID": str(trade.id), **({} if trade.client_id is None else {"clientTradeID": trade.client_id})}
        reject = ""
    try:
        given = client_extensions(body["clientExtensions"], "clientExtensions", "CLIENT_TRADE")
        said["tradeClientExtensionsModify"] = given
        if trade is not None and given.get("id") != trade.client_id and account.has_open_client_id(given.get("id")):
            reject = reject or "CLIENT_TRADE_ID_ALREADY_EXISTS"
    except Rejected as refused:
        reject = reject or refused.reason
    account.begin(request)
    if reject:
        return [account.emit("TRADE_CLIENT_EXTENSIONS_MODIFY_REJECT", {**said, "rejectReason": reject})]
    return [account.emit("TRADE_CLIENT_EXTENSIONS_MODIFY", said)]


def configure(account: Account, body: Json, request: str | None = None) -> list[Json]:
    """Change the account's alias or margin rate.

    Raises:
        BadRequest: it can't be read.
    """
    said: Json = {}
    reject = None
    if body.get("alias") is not None:
        said["alias"] = str(body["alias"])
        if not said["alias"].isprintable() or len(said["alias"]) > 256:
            reject = "ALIAS_INVALID"
    if body.get("marginRate") is not None:
        try:
            rate = parse(body["marginRate"])
        except ValueError:
            raise BadRequest.of("marginRate") from None
        said["marginRate"] = plain(rate)
        if not 0 < rate <= 1:
            reject = "MARGIN_RATE_INVALID"
    if not said:
        reject = "CLIENT_CONFIGURE_DATA_MISSING"
    account.begin(request)
    if reject is not None:
        return [account.emit("CLIENT_CONFIGURE_REJECT", {**said, "rejectReason": reject})]
    written = [account.emit("CLIENT_CONFIGURE", said)]
    account.check_margin()
    return written


def _wanted(units: Any, name: str) -> Decimal | None:
    """Units to close; None for all of them."""
    if units == "ALL":
        return None
    try:
        return parse(units)
    except ValueError:
        raise BadRequest.of(name) from None


def _unfit(size: Decimal, most: int, exceeds: str) -> str | None:
    """Why so many units can't be closed."""
    if size <= 0:
        return "UNITS_INVALID"
    if places(size):
        return "UNITS_PRECISION_EXCEEDED"
    return exceeds if size > most else None
