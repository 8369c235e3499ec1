"""The fold: what each transaction does to the account's state. Nothing else changes it."""

from collections.abc import Callable
from decimal import Decimal

from broker.account.entities import CANCELLED, DEPENDENTS, FILLED, Json, Order, SideTotals, State, Trade

ORDER_KINDS = ("MARKET", "LIMIT", "STOP", "MARKET_IF_TOUCHED", *DEPENDENTS)
_NOT_OF_THE_ORDER = frozenset(
    ("id", "time", "userID", "accountID", "batchID", "requestID", "type", "reason", "orderFillTransactionID")
)


def apply(state: State, transaction: Json) -> None:
    """Change the state as the transaction says; rejects change nothing."""
    change = _CHANGES.get(transaction["type"])
    if change is not None:
        change(state, transaction)


def _create(state: State, said: Json) -> None:
    state.account_id, state.currency, state.created = said["accountID"], said["homeCurrency"], said["time"]


def _configure(state: State, said: Json) -> None:
    state.alias = said.get("alias", state.alias)
    if "marginRate" in said:
        state.margin_rate = Decimal(said["marginRate"])


def _transfer(state: State, said: Json) -> None:
    state.balance = Decimal(said["accountBalance"])


def _order(state: State, said: Json) -> None:
    kind = said["type"].removesuffix("_ORDER")
    trade_id = int(said["tradeID"]) if "tradeID" in said else None
    order = Order(
        id=int(said["id"]),
        kind=kind,
        instrument=said["instrument"] if trade_id is None else state.trades[trade_id].instrument,
        time=said["time"],
        details={key: value for key, value in said.items() if key not in _NOT_OF_THE_ORDER},
        units=int(said.get("units", 0)),
        price=Decimal(said["price"]) if "price" in said else None,
        trade_id=trade_id,
    )
    state.orders[order.id] = state.pending[order.id] = order
    if trade_id is not None:
        state.trades[trade_id].dependents[kind] = order.id


def _fill(state: State, said: Json) -> None:
    order = state.orders[int(said["orderID"])]
    state.pending.pop(order.id, None)
    order.state, order.mark = FILLED, None
    order.ending.update(fillingTransactionID=said["id"], filledTime=said["time"])
    for part in said.get("tradesClosed", ()):
        _reduce(state, part, said)
        order.ending.setdefault("tradeClosedIDs", []).append(part["tradeID"])
    if "tradeReduced" in said:
        _reduce(state, said["tradeReduced"], said)
        order.ending["tradeReducedID"] = said["tradeReduced"]["tradeID"]
    if "tradeOpened" in said:
        _open(state, said["tradeOpened"], said)
        order.ending["tradeOpenedID"] = said["tradeOpened"]["tradeID"]
    state.balance = Decimal(said["accountBalance"])
    state.pl += Decimal(said["pl"])
    state.last_fill_time = said["time"]


def _open(state: State, part: Json, said: Json) -> None:
    units = int(part["units"])
    trade = Trade(
        id=int(part["tradeID"]),
        instrument=said["instrument"],
        price=Decimal(part["price"]),
        time=said["time"],
        initial_units=units,
        units=units,
        initial_margin=part["initialMarginRequired"],
        extensions=part.get("clientExtensions"),
    )
    state.trades[trade.id] = state.open[trade.id] = trade
    state.totals.setdefault(trade.instrument, (SideTotals(), SideTotals()))


def _reduce(state: State, part: Json, said: Json) -> None:
    trade = state.trades[int(part["tradeID"])]
    units, pl = int(part["units"]), Decimal(part["realizedPL"])
    trade.units += units
    trade.realized += pl
    trade.closed_units += abs(units)
    trade.closed_value += abs(units) * Decimal(part["price"])
    trade.closing_ids.append(said["id"])
    state.totals[trade.instrument][0 if trade.side > 0 else 1].pl += pl
    if not trade.units:
        trade.close_time = said["time"]
        del state.open[trade.id]


def _cancel(state: State, said: Json) -> None:
    order = state.orders[int(said["orderID"])]
    state.pending.pop(order.id, None)
    order.state, order.mark = CANCELLED, None
    order.ending.update(cancellingTransactionID=said["id"], cancelledTime=said["time"])
    if "replacedByOrderID" in said:
        order.ending["replacedByOrderID"] = said["replacedByOrderID"]
    trade = state.trades.get(order.trade_id) if order.trade_id is not None else None
    if trade is not None and trade.is_open and trade.dependents.get(order.kind) == order.id:
        del trade.dependents[order.kind]


def _order_extensions(state: State, said: Json) -> None:
    order = state.orders[int(said["orderID"])]
    if "clientExtensionsModify" in said:
        order.details = {**order.details, "clientExtensions": said["clientExtensionsModify"]}
    if "tradeClientExtensionsModify" in said:
        order.details = {**order.details, "tradeClientExtensions": said["tradeClientExtensionsModify"]}


def _trade_extensions(state: State, said: Json) -> None:
    state.trades[int(said["tradeID"])].extensions = said["tradeClientExtensionsModify"]


def _call_enter(state: State, said: Json) -> None:
    state.margin_call_time = said["time"]


def _call_exit(state: State, _said: Json) -> None:
    state.margin_call_time = None


def _financing(state: State, said: Json) -> None:
    state.balance = Decimal(said["accountBalance"])
    state.financing += Decimal(said["financing"])
    for position in said["positionFinancings"]:
        for part in position["openTradeFinancings"]:
            trade, paid = state.trades[int(part["tradeID"])], Decimal(part["financing"])
            trade.financing += paid
            state.totals[trade.instrument][0 if trade.side > 0 else 1].financing += paid


_CHANGES: dict[str, Callable[[State, Json], None]] = {
    "CREATE": _create,
    "CLIENT_CONFIGURE": _configure,
    "TRANSFER_FUNDS": _transfer,
    **{f"{kind}_ORDER": _order for kind in ORDER_KINDS},
    "ORDER_FILL": _fill,
    "ORDER_CANCEL": _cancel,
    "ORDER_CLIENT_EXTENSIONS_MODIFY": _order_extensions,
    "TRADE_CLIENT_EXTENSIONS_MODIFY": _trade_extensions,
    "MARGIN_CALL_ENTER": _call_enter,
    "MARGIN_CALL_EXIT": _call_exit,
    "DAILY_FINANCING": _financing,
}
