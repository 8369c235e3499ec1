"""The account as its transactions tell it: open trades, pending orders, balance, and how far the log is read."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

from broker.oanda import wire
from broker.oanda.wire import Message
from broker.types import Instrument

STOPS = frozenset({"STOP_LOSS", "TRAILING_STOP_LOSS", "GUARANTEED_STOP_LOSS"})
LEVELS = STOPS | {"TAKE_PROFIT"}


@dataclass(slots=True)
class OpenTrade:
    """An open trade.

    Attributes:
        units: signed, what is still open. price: points.
        client_id: of the order that opened it, "" where it was not ours to name.
        stop_id, take_id: the orders that hold its levels, 0 for none; `stop`, `take`: the levels, points.
    """

    id: int
    instrument: str
    units: int
    price: int
    client_id: str = ""
    stop_id: int = 0
    stop: int = 0
    take_id: int = 0
    take: int = 0


@dataclass(slots=True)
class Pending:
    """An order that is created and not ended; `kind` as in `STOP_LOSS`; `trade_id` of the trade it protects, or 0."""

    id: int
    kind: str
    instrument: str
    client_id: str
    trade_id: int = 0


@dataclass(slots=True)
class AccountState:
    """All that the log says up to transaction `cursor`; `doubtful` asks for a comparison with the account."""

    cursor: int
    balance: Decimal = Decimal(0)
    trades: dict[int, OpenTrade] = field(default_factory=dict)
    pending: dict[int, Pending] = field(default_factory=dict)
    doubtful: bool = False

    def units(self, instrument: str) -> int:
        """Net units held."""
        return sum(trade.units for trade in self.trades.values() if trade.instrument == instrument)

    def positions(self) -> dict[str, int]:
        """Net units of every instrument that has open trades."""
        return {name: self.units(name) for name in sorted({trade.instrument for trade in self.trades.values()})}

    def hold(self, trade: OpenTrade, kind: str, order_id: int, level: int) -> None:
        """A level of the trade is held by an order."""
        if kind in STOPS:
            trade.stop_id, trade.stop = order_id, level
        else:
            trade.take_id, trade.take = order_id, level

    def release(self, order_id: int) -> Pending | None:
        """An order ended: what it was, and its level is held no more."""
        pending = self.pending.pop(order_id, None)
        trade = self.trades.get(pending.trade_id) if pending else None
        if trade is not None and trade.stop_id == order_id:
            trade.stop_id = trade.stop = 0
        if trade is not None and trade.take_id == order_id:
            trade.take_id = trade.take = 0
        return pending

    def to_json(self) -> str:
        """One text that holds it all, but the cursor."""
        trades = [asdict(trade) for trade in self.trades.values()]
        pending = [asdict(order) for order in self.pending.values()]
        known = {"balance": str(self.balance), "trades": trades, "pending": pending, "doubtful": self.doubtful}
        return json.dumps(known, sort_keys=True)

    @classmethod
    def from_json(cls, cursor: int, text: str) -> "AccountState":
        """What `to_json` wrote."""
        known = json.loads(text)
        return cls(
            cursor=cursor,
            balance=Decimal(known["balance"]),
            trades={trade["id"]: OpenTrade(**trade) for trade in known["trades"]},
            pending={order["id"]: Pending(**order) for order in known["pending"]},
            doubtful=known["doubtful"],
        )


def of_account(account: Message, last_id: int, instruments: Mapping[str, Instrument]) -> AccountState:
    """The state that a whole account (`GET /accounts/{id}`) shows.

    Raises:
        ValueError: a trade or order cannot be read.
    """
    state = AccountState(last_id, wire.parse_decimal(account.get("balance", 0)))
    for found in account.get("trades", ()):
        trade = _trade(found, instruments)
        if trade.units:
            state.trades[trade.id] = trade
    for found in account.get("orders", ()):
        order = Pending(
            id=wire.parse_id(found["id"]),
            kind=str(found.get("type", "")),
            instrument=str(found.get("instrument", "")),
            client_id=wire.client_id(found),
            trade_id=wire.parse_id(found.get("tradeID", 0)),
        )
        protected = state.trades.get(order.trade_id)
        if protected is not None and order.kind in LEVELS:
            order.instrument = protected.instrument
            state.hold(protected, order.kind, order.id, level_of(found, protected, instruments))
        state.pending[order.id] = order
    return state


def _trade(found: Message, instruments: Mapping[str, Instrument]) -> OpenTrade:
    try:
        name = str(found["instrument"])
        return OpenTrade(
            id=wire.parse_id(found["id"]),
            instrument=name,
            units=wire.whole_units(found["currentUnits"]),
            price=wire.to_points(found["price"], instruments[name].precision),
            client_id=wire.client_id(found),
        )
    except KeyError as missing:
        raise ValueError(f"a trade without {missing}") from None


def level_of(order: Mapping[str, Any], trade: OpenTrade, instruments: Mapping[str, Instrument]) -> int:
    """Price in points of an order that protects a trade; from its distance where it has no price."""
    precision = instruments[trade.instrument].precision
    if "price" in order:
        return wire.to_points(order["price"], precision)
    if "trailingStopValue" in order:
        return wire.to_points(order["trailingStopValue"], precision)
    side = 1 if trade.units > 0 else -1
    return trade.price - side * wire.to_points(order.get("distance", 0), precision)


def same_trades(one: AccountState, other: AccountState) -> bool:
    """Whether two states hold the same trades: ids, units and what protects them."""
    return {t.id: (t.units, t.stop_id, t.take_id) for t in one.trades.values()} == {
        t.id: (t.units, t.stop_id, t.take_id) for t in other.trades.values()
    }
