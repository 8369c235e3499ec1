"""What an account holds. Only the fold of its transactions changes these."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from broker.account.numbers import ZERO

Json = dict[str, Any]
PENDING, FILLED, CANCELLED = "PENDING", "FILLED", "CANCELLED"
OPEN, CLOSED = "OPEN", "CLOSED"
DEPENDENTS = ("TAKE_PROFIT", "STOP_LOSS", "TRAILING_STOP_LOSS")


@dataclass(slots=True)
class Order:
    """An order in any state.

    Attributes:
        details: what its creation says, in OANDA's JSON.
        units: signed; 0 for a dependent, whose units are its trade's.
        price: None where it has none.
        ending: how it was filled, cancelled or replaced, in OANDA's JSON.
        mark: while pending, the trailing stop's value, or the market price when an if-touched order was made.
    """

    id: int
    kind: str
    instrument: str
    time: str
    details: Json
    units: int = 0
    price: Decimal | None = None
    trade_id: int | None = None
    state: str = PENDING
    ending: Json = field(default_factory=dict)
    mark: Decimal | None = None

    @property
    def client_id(self) -> str | None:
        """The client's own id for it."""
        extensions = self.details.get("clientExtensions") or {}
        found: str | None = extensions.get("id")
        return found


@dataclass(slots=True)
class Trade:
    """An open or closed trade; `units` is what is left of it, signed; `dependents` maps a kind to an order id."""

    id: int
    instrument: str
    price: Decimal
    time: str
    initial_units: int
    units: int
    initial_margin: str
    extensions: Json | None = None
    realized: Decimal = ZERO
    financing: Decimal = ZERO
    closed_units: int = 0
    closed_value: Decimal = ZERO
    closing_ids: list[str] = field(default_factory=list)
    close_time: str | None = None
    dependents: dict[str, int] = field(default_factory=dict)

    @property
    def side(self) -> int:
        """1 long, -1 short."""
        return 1 if self.initial_units > 0 else -1

    @property
    def is_open(self) -> bool:
        """Whether anything of it is left."""
        return self.units != 0

    @property
    def client_id(self) -> str | None:
        """The client's own id for it."""
        found: str | None = (self.extensions or {}).get("id")
        return found


@dataclass(slots=True)
class SideTotals:
    """Money made by one side of one instrument."""

    pl: Decimal = ZERO
    financing: Decimal = ZERO


@dataclass(slots=True)
class State:
    """All that the transactions say. Closed trades and finished orders stay, for look-ups."""

    account_id: str = ""
    currency: str = ""
    created: str = ""
    alias: str = ""
    margin_rate: Decimal | None = None
    balance: Decimal = ZERO
    pl: Decimal = ZERO
    financing: Decimal = ZERO
    last_fill_time: str | None = None
    margin_call_time: str | None = None
    orders: dict[int, Order] = field(default_factory=dict)
    trades: dict[int, Trade] = field(default_factory=dict)
    pending: dict[int, Order] = field(default_factory=dict)
    open: dict[int, Trade] = field(default_factory=dict)
    totals: dict[str, tuple[SideTotals, SideTotals]] = field(default_factory=dict)

    def pending_in(self, instrument: str) -> list[Order]:
        """Pending orders of an instrument, oldest first."""
        return [order for order in self.pending.values() if order.instrument == instrument]

    def open_in(self, instrument: str) -> list[Trade]:
        """Open trades of an instrument, oldest first."""
        return [trade for trade in self.open.values() if trade.instrument == instrument]

    def position(self, instrument: str) -> int:
        """Net units of an instrument."""
        return sum(trade.units for trade in self.open.values() if trade.instrument == instrument)
