"""What a client may do with orders: create, replace, cancel, and change what it calls them."""

from typing import Any

from broker.account.drafts import MISSING, Draft, client_extensions, draft_dependent, draft_entry, kind_of
from broker.account.engine import Account
from broker.account.entities import DEPENDENTS, Json, Order, Trade
from broker.account.errors import BadRequest, Rejected

PENDING_MAXIMUM = 1000
"""Pending orders an account may have."""


def find_order(account: Account, spec: str) -> Order | None:
    """The order with that id, or `@` and the client's id: of these the newest, a pending one before all."""
    if not spec.startswith("@"):
        return account.state.orders.get(int(spec)) if spec.isdecimal() else None
    for orders in (account.state.pending, account.state.orders):
        for order in reversed(list(orders.values())):
            if order.client_id == spec[1:]:
                return order
    return None


def find_pending(account: Account, spec: str) -> Order | None:
    """The same, if it is pending."""
    order = find_order(account, spec)
    return order if order is not None and order.id in account.state.pending else None


def find_trade(account: Account, spec: str) -> Trade | None:
    """The trade with that id, or `@` and the client's id: of these the newest, an open one before all."""
    if not spec.startswith("@"):
        return account.state.trades.get(int(spec)) if spec.isdecimal() else None
    for trades in (account.state.open, account.state.trades):
        for trade in reversed(list(trades.values())):
            if trade.client_id == spec[1:]:
                return trade
    return None


def create_order(account: Account, asked: Any, request: str | None = None) -> list[Json]:
    """Create an order, and fill or cancel it at once where it must be.

    Returns:
        The batch's transactions: a single reject, or the creation and what followed.

    Raises:
        BadRequest: the request can't be read.
    """
    draft = _draft(account, asked, None)
    first = len(account.transactions)
    account.begin(request)
    if draft.reject is not None:
        said = {**draft.fields, "reason": "CLIENT_ORDER", "rejectReason": draft.reject}
        account.emit(f"{draft.kind}_ORDER_REJECT", said)
    else:
        account.try_now(account.add_order(draft.kind, {**draft.fields, "reason": "CLIENT_ORDER"}))
    return account.transactions[first:]


def replace_order(account: Account, spec: str, asked: Any, request: str | None = None) -> list[Json]:
    """Cancel a pending order and create another in its place.

    Returns:
        The batch's transactions; the first is the cancellation, an ORDER_CANCEL_REJECT, or the new order's reject.

    Raises:
        BadRequest: the request can't be read.
    """
    kind_of(asked)
    old = find_pending(account, spec)
    first = len(account.transactions)
    if old is None:
        account.begin(request)
        _cancel_reject(account, spec)
        return account.transactions[first:]
    draft = _draft(account, asked, old)
    account.begin(request)
    if draft.reject is not None:
        said = {**draft.fields, "reason": "REPLACEMENT", "intendedReplacesOrderID": str(old.id)}
        account.emit(f"{draft.kind}_ORDER_REJECT", {**said, "rejectReason": draft.reject})
    else:
        account.try_now(_put_in_place(account, old, draft))
    return account.transactions[first:]


def _put_in_place(account: Account, old: Order, draft: Draft) -> Order:
    new_id = str(account.next_id + 1)
    cancelled = account.cancel(old, "CLIENT_REQUEST_REPLACED", replacedByOrderID=new_id)["id"]
    said = {"replacesOrderID": str(old.id), "cancellingTransactionID": cancelled}
    return account.add_order(draft.kind, {**draft.fields, "reason": "REPLACEMENT", **said})


def cancel_order(account: Account, spec: str, request: str | None = None) -> list[Json]:
    """Cancel a pending order: its cancellation, or an ORDER_CANCEL_REJECT."""
    account.begin(request)
    order = find_pending(account, spec)
    if order is None:
        return [_cancel_reject(account, spec)]
    return [account.cancel(order, "CLIENT_REQUEST")]


def modify_order_extensions(account: Account, spec: str, body: Json, request: str | None = None) -> list[Json]:
    """Change a pending order's client extensions, and those of the trade it may open.

    Raises:
        BadRequest: nothing to change, or it can't be read.
    """
    given = {name: body[name] for name in ("clientExtensions", "tradeClientExtensions") if body.get(name) is not None}
    if not given:
        raise BadRequest(MISSING)
    order = find_pending(account, spec)
    said: Json = _named(order, spec)
    reject = "ORDER_DOESNT_EXIST" if order is None else None
    for name, value in given.items():
        prefix = "CLIENT_ORDER" if name == "clientExtensions" else "CLIENT_TRADE"
        try:
            said[f"{name}Modify"] = client_extensions(value, name, prefix)
        except Rejected as refused:
            reject = reject or refused.reason
    if reject is None and order is not None:
        reject = _taken(account, said.get("clientExtensionsModify", {}).get("id"), order)
    account.begin(request)
    if reject is not None:
        return [account.emit("ORDER_CLIENT_EXTENSIONS_MODIFY_REJECT", {**said, "rejectReason": reject})]
    return [account.emit("ORDER_CLIENT_EXTENSIONS_MODIFY", said)]


def _named(order: Order | None, spec: str) -> Json:
    if order is None:
        return {"orderID": "0", "clientOrderID": spec[1:]} if spec.startswith("@") else {"orderID": spec}
    return {"orderID": str(order.id), **({} if order.client_id is None else {"clientOrderID": order.client_id})}


def _cancel_reject(account: Account, spec: str) -> Json:
    return account.emit("ORDER_CANCEL_REJECT", {**_named(None, spec), "rejectReason": "ORDER_DOESNT_EXIST"})


def _draft(account: Account, asked: Any, old: Order | None) -> Draft:
    kind = kind_of(asked)
    draft = _draft_dependent(account, asked, kind, old) if kind in DEPENDENTS else _draft_entry(account, asked, kind)
    reject = draft.reject
    if old is not None and old.kind != kind:
        reject = reject or "REPLACING_ORDER_INVALID"
    reject = reject or _taken(account, draft.fields.get("clientExtensions", {}).get("id"), old)
    if account.has_open_client_id(draft.fields.get("tradeClientExtensions", {}).get("id")):
        reject = reject or "CLIENT_TRADE_ID_ALREADY_EXISTS"
    if len(account.state.pending) >= PENDING_MAXIMUM and old is None and kind != "MARKET":
        reject = reject or "PENDING_ORDERS_ALLOWED_EXCEEDED"
    return Draft(kind, draft.fields, reject)


def _taken(account: Account, client_id: str | None, old: Order | None) -> str | None:
    """Ids of the client's are unique among pending orders only."""
    if client_id is None:
        return None
    pending = (order for order in account.state.pending.values() if order is not old)
    return "CLIENT_ORDER_ID_ALREADY_EXISTS" if any(order.client_id == client_id for order in pending) else None


def _draft_entry(account: Account, asked: Json, kind: str) -> Draft:
    name = asked.get("instrument")
    if name is None:
        return Draft(kind, {}, "INSTRUMENT_MISSING")
    instrument = account.market.instruments.get(name) if isinstance(name, str) else None
    if instrument is None:
        raise BadRequest.of("order.instrument")
    return draft_entry(asked, instrument, account.now)


def _draft_dependent(account: Account, asked: Json, kind: str, old: Order | None) -> Draft:
    trade_id, client_id = asked.get("tradeID"), asked.get("clientTradeID")
    if trade_id is None and client_id is None:
        return Draft(kind, {}, "TRADE_ID_UNSPECIFIED")
    spec = str(trade_id) if trade_id is not None else f"@{client_id}"
    named = {"tradeID": spec} if trade_id is not None else {"clientTradeID": spec[1:]}
    trade = find_trade(account, spec)
    if trade is None or not trade.is_open:
        return Draft(kind, named, "TRADE_DOESNT_EXIST")
    if client_id is not None and trade.client_id != client_id:
        return Draft(kind, named, "TRADE_IDENTIFIER_INCONSISTENCY")
    draft = draft_dependent(asked, kind, trade, account.market.instruments[trade.instrument], account.now)
    if old is not None and old.trade_id != trade.id:
        return Draft(kind, draft.fields, draft.reject or "REPLACING_TRADE_ID_INVALID")
    if old is None and kind in trade.dependents:
        return Draft(kind, draft.fields, draft.reject or f"{kind}_ORDER_ALREADY_EXISTS")
    return draft
