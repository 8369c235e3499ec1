"""One transaction folded into the account's state: what changes, and what is told. Pure.

A transaction of a type or shape that we do not know moves the cursor like any other and makes the state doubtful: the
account is then asked how it stands. Nothing is dropped, and nothing makes us stop.
"""

from collections.abc import Callable, Mapping

from broker.oanda import wire
from broker.oanda.events import Accepted, Ended, Event, Filled, Noted
from broker.oanda.state import LEVELS, AccountState, OpenTrade, Pending, level_of
from broker.oanda.wire import Message
from broker.types import Cancel, Exit, Fill, Instrument, Order

Ours = Callable[[str], Order | None]

ORDERS = frozenset({"MARKET", "FIXED_PRICE", "LIMIT", "STOP", "MARKET_IF_TOUCHED"})
MONEY = frozenset({"DAILY_FINANCING", "TRANSFER_FUNDS", "DIVIDEND_ADJUSTMENT"})
MARGIN = frozenset({"MARGIN_CALL_ENTER", "MARGIN_CALL_EXTEND", "MARGIN_CALL_EXIT"})
ROUTINE = frozenset(
    (
        "CREATE CLOSE REOPEN CLIENT_CONFIGURE CLIENT_CONFIGURE_REJECT TRANSFER_FUNDS_REJECT ORDER_CANCEL_REJECT "
        "ORDER_CLIENT_EXTENSIONS_MODIFY ORDER_CLIENT_EXTENSIONS_MODIFY_REJECT TRADE_CLIENT_EXTENSIONS_MODIFY "
        "TRADE_CLIENT_EXTENSIONS_MODIFY_REJECT DELAYED_TRADE_CLOSURE RESET_RESETTABLE_PL"
    ).split()
)
_LEVEL_FILLS = {
    "STOP_LOSS_ORDER": Exit.STOP,
    "TRAILING_STOP_LOSS_ORDER": Exit.STOP,
    "GUARANTEED_STOP_LOSS_ORDER": Exit.STOP,
    "TAKE_PROFIT_ORDER": Exit.TAKE_PROFIT,
}
_CLOSEOUT = "MARKET_ORDER_MARGIN_CLOSEOUT"
EXTERNAL = "external"
POSITION_GONE = "position_gone"
_GONE = frozenset(
    {"CLOSEOUT_POSITION_DOESNT_EXIST", "CLOSEOUT_POSITION_UNITS_EXCEED_POSITION_SIZE", "POSITION_CLOSEOUT_FAILED"}
)


def fold(state: AccountState, message: Message, instruments: Mapping[str, Instrument], ours: Ours) -> Event:
    """Apply the next transaction to `state`.

    Args:
        message: its id is `state.cursor + 1`.
        ours: the order that a client id stands for, None where it is not ours.

    Returns:
        What it means. Every transaction means exactly one thing.
    """
    id_ = wire.parse_id(message["id"])
    assert id_ == state.cursor + 1, "transactions are applied one by one"
    state.cursor = id_
    kind = str(message.get("type", ""))
    try:
        if "accountBalance" in message:
            state.balance = wire.parse_decimal(message["accountBalance"])
        return _meaning(state, id_, kind, message, instruments, ours)
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError):
        state.doubtful = True
        return Noted(id_, _time(message), "unreadable", kind)


def _meaning(
    state: AccountState, id_: int, kind: str, message: Message, instruments: Mapping[str, Instrument], ours: Ours
) -> Event:
    stem = kind.removesuffix("_REJECT").removesuffix("_ORDER")
    if kind == "ORDER_FILL":
        return _filled(state, id_, message, instruments, ours)
    if kind == "ORDER_CANCEL":
        return _cancelled(state, id_, message, ours)
    if kind.endswith("_ORDER_REJECT") and stem in ORDERS | LEVELS:
        return _rejected(id_, kind, message, ours)
    if kind.endswith("_ORDER") and stem in ORDERS:
        return _created(state, id_, stem, message, ours)
    if kind.endswith("_ORDER") and stem in LEVELS:
        return _level_set(state, id_, stem, message, instruments)
    if kind in MONEY:
        amount = message.get("financing", message.get("amount", message.get("dividendAdjustment", 0)))
        parts = tuple(
            (str(part["instrument"]), wire.parse_decimal(part["financing"]))
            for part in message.get("positionFinancings") or ()
        )
        return Noted(id_, _time(message), "money", kind, wire.parse_decimal(amount), parts)
    if kind in MARGIN:
        return Noted(id_, _time(message), "margin_call", kind)
    if kind in ROUTINE:
        return Noted(id_, _time(message), "routine", kind)
    state.doubtful = True
    return Noted(id_, _time(message), "unknown", kind)


def _created(state: AccountState, id_: int, kind: str, message: Message, ours: Ours) -> Event:
    client_id = wire.client_id(message)
    state.pending[id_] = Pending(id_, kind, str(message.get("instrument", "")), client_id)
    if ours(client_id) is None:
        return Noted(id_, _time(message), "external_order", f"{kind}_ORDER")
    return Accepted(id_, client_id)


def _level_set(
    state: AccountState, id_: int, kind: str, message: Message, instruments: Mapping[str, Instrument]
) -> Event:
    trade_id = wire.parse_id(message["tradeID"])
    trade = state.trades.get(trade_id)
    state.pending[id_] = Pending(id_, kind, trade.instrument if trade else "", wire.client_id(message), trade_id)
    if trade is None:
        state.doubtful = True
    else:
        state.hold(trade, kind, id_, level_of(message, trade, instruments))
    return Noted(id_, _time(message), "routine", f"{kind}_ORDER")


def _cancelled(state: AccountState, id_: int, message: Message, ours: Ours) -> Event:
    pending = state.release(wire.parse_id(message["orderID"]))
    client_id = pending.client_id if pending else str(message.get("clientOrderID", ""))
    order = ours(client_id)
    if order is None or (pending is not None and pending.trade_id):
        return Noted(id_, _time(message), "routine", "ORDER_CANCEL")
    return Ended(id_, _end(order, message, "cancelled", str(message.get("reason", ""))))


def _rejected(id_: int, kind: str, message: Message, ours: Ours) -> Event:
    order = ours(wire.client_id(message))
    if order is None:
        return Noted(id_, _time(message), "routine", kind)
    return Ended(id_, _end(order, message, "rejected", str(message.get("rejectReason", ""))))


def _end(order: Order, message: Message, outcome: str, reason: str) -> Cancel:
    if not order.opens and reason in _GONE:
        outcome, reason = "cancelled", POSITION_GONE
    return Cancel(order.id, _time(message), order.instrument, outcome, reason)


def _filled(
    state: AccountState, id_: int, message: Message, instruments: Mapping[str, Instrument], ours: Ours
) -> Event:
    instrument = instruments[str(message["instrument"])]
    pending = state.pending.get(wire.parse_id(message.get("orderID", 0)))
    said = str(message.get("reason", ""))
    trade = _protected(state, pending, message) if said in _LEVEL_FILLS else None
    order_name = pending.client_id if pending else str(message.get("clientOrderID", ""))
    client_id = trade.client_id if trade else order_name
    order = ours(client_id)
    reason = EXTERNAL
    if said in _LEVEL_FILLS:
        reason = _LEVEL_FILLS[said].value
    elif said == _CLOSEOUT:
        reason = Exit.RISK.value
    elif order is not None:
        reason = order.reason
    fill = _fill(message, instrument, order.id if order and not trade else "", reason)
    opened = _move(state, message, instrument, client_id if order else "")
    if pending is not None:
        state.release(pending.id)
    return Filled(
        transaction=id_,
        fill=fill,
        external=order is None or said == _CLOSEOUT,
        client_id=client_id if order else "",
        opened=opened,
        pnl=wire.parse_decimal(message.get("pl", 0)),
        financing=wire.parse_decimal(message.get("financing", 0)),
        balance=state.balance,
        reason=said,
    )


def _protected(state: AccountState, pending: Pending | None, message: Message) -> OpenTrade | None:
    """The trade whose level was filled."""
    ended = [*(message.get("tradesClosed") or ()), *filter(None, [message.get("tradeReduced")])]
    trade_id = pending.trade_id if pending else wire.parse_id(ended[0]["tradeID"]) if ended else 0
    return state.trades.get(trade_id)


def _fill(message: Message, instrument: Instrument, order_id: str, reason: str) -> Fill:
    precision = instrument.precision
    price = wire.to_points(message["price"] if "price" in message else message["fullVWAP"], precision)
    tiers = message.get("fullPrice") or {}
    bid, ask = (
        wire.to_points(tiers[side][0]["price"], precision) if tiers.get(side) else price for side in ("bids", "asks")
    )
    units = wire.whole_units(message["units"])
    return Fill(order_id, wire.parse_time(message["time"]), instrument.name, units, price, bid, ask, reason)


def _move(state: AccountState, message: Message, instrument: Instrument, client_id: str) -> int:
    """Open, reduce and close trades; the trade opened, or 0."""
    for closed in message.get("tradesClosed") or ():
        if state.trades.pop(wire.parse_id(closed["tradeID"]), None) is None:
            state.doubtful = True
    if reduced := message.get("tradeReduced"):
        trade = state.trades.get(wire.parse_id(reduced["tradeID"]))
        if trade is None:
            state.doubtful = True
        else:
            trade.units += wire.whole_units(reduced["units"])
    opened = message.get("tradeOpened")
    if not opened:
        return 0
    trade_id = wire.parse_id(opened["tradeID"])
    price = wire.to_points(opened.get("price", message.get("price")), instrument.precision)
    state.trades[trade_id] = OpenTrade(
        trade_id, instrument.name, wire.whole_units(opened["units"]), price, client_id or wire.client_id(opened)
    )
    return trade_id


def _time(message: Message) -> int:
    try:
        return wire.parse_time(message.get("time"))
    except ValueError:
        return 0
