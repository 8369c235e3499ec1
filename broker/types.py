"""Core types: frozen values that everything above passes around.

Units: time is ns since the Unix epoch, UTC; a price is an integer number of the instrument's points
(`10 ** -precision`); units of an order or a position are signed integers; pips are floats.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum, StrEnum

import numpy as np
import numpy.typing as npt

Int64s = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

LONG, FLAT, SHORT = 1, 0, -1
ENDLESS = 1 << 62
"""Units of a price tier that has no end."""


class Action(IntEnum):
    """What a strategy may choose at a decision (rules: Actions and position)."""

    HOLD = 0
    BUY = 1
    SELL = 2
    CLOSE = 3


class Exit(StrEnum):
    """Why a trade ended."""

    CLOSE = "close"
    REVERSE = "reverse"
    STOP = "stop"
    TAKE_PROFIT = "take_profit"
    FLATTEN = "flatten"
    RISK = "risk"
    END = "end"


@dataclass(frozen=True, slots=True)
class Instrument:
    """A currency pair or metal as the broker defines it.

    Attributes:
        name: `BASE_QUOTE`.
        pip_location: a pip is `10 ** pip_location`.
        precision: decimals of a price; a point is `10 ** -precision`.
        margin_rate: share of a position's value held as margin.
    """

    name: str
    pip_location: int
    precision: int
    margin_rate: Decimal

    @property
    def base(self) -> str:
        """Currency bought by BUY."""
        return self.name.split("_")[0]

    @property
    def quote(self) -> str:
        """Currency in which the price is given."""
        return self.name.split("_")[1]

    @property
    def point(self) -> Decimal:
        """Smallest price step."""
        return Decimal(1).scaleb(-self.precision)

    @property
    def points_per_pip(self) -> int:
        """Points in a pip."""
        return int(10 ** (self.precision + self.pip_location))

    def price(self, points: int) -> Decimal:
        """Exact price of an integer number of points.

        >>> Instrument("EUR_USD", -4, 5, Decimal("0.02")).price(138676)
        Decimal('1.38676')
        """
        return Decimal(int(points)).scaleb(-self.precision)

    def price_float(self, points: int) -> float:
        """The same price as the nearest float, for logs and charts only."""
        return float(points) / float(10**self.precision)


@dataclass(frozen=True, slots=True)
class Depth:
    """Price tiers of quotes, the best first.

    Shapes: `price` (points) and `units` are `[n, 2, tiers]` int64, bids before asks; 0 units where a quote has fewer.
    """

    price: Int64s
    units: Int64s

    def take(self, which: "slice | npt.NDArray[np.int64 | np.bool_]") -> "Depth":
        """The tiers of the quotes that a slice, mask or index chooses."""
        return Depth(self.price[which], self.units[which])


@dataclass(frozen=True, slots=True)
class Quotes:
    """Columns of quotes of one instrument, in file order, times never falling.

    Shapes: every column `[n]`; `time` int64 ns, `bid` and `ask` int64 points, sizes float64 (units as the
    vendor gives them) or None where the feed has none; `depth` where it has tiers.
    """

    time: Int64s
    bid: Int64s
    ask: Int64s
    bid_size: Float64s | None = None
    ask_size: Float64s | None = None
    depth: Depth | None = None

    def __len__(self) -> int:
        return len(self.time)


@dataclass(frozen=True, slots=True)
class Bar:
    """A closed bar of mid prices.

    Attributes:
        start, end: ns; a clock bar holds `start <= time < end`; a tick bar ends at its last quote's time.
        open, high, low, close: mid prices in points (halves occur).
        spread: mean spread of its quotes, pips.
        bid, ask: the last quote's, points: what is known at `end`.
        ticks: number of quotes.
    """

    start: int
    end: int
    open: float
    high: float
    low: float
    close: float
    spread: float
    bid: int
    ask: int
    ticks: int


@dataclass(frozen=True, slots=True)
class Order:
    """A market order with the protection it carries.

    Attributes:
        id: client id `mt-<run>-<seq>`.
        time: decision time.
        units: signed.
        stop_distance, take_profit_distance: points from the fill price; 0 = none.
        reason: why it was sent (`entry` or one of Exit).
        opens: the side it means to hold afterwards (-1, 0, 1).
        model: the model or strategy that decided.
    """

    id: str
    time: int
    instrument: str
    units: int
    stop_distance: int
    take_profit_distance: int
    reason: str
    opens: int
    model: str


@dataclass(frozen=True, slots=True)
class Fill:
    """An executed order, or a stop or take-profit that the broker held.

    Attributes:
        order_id: the order, or "" for a held stop or take-profit.
        time: when it happened (decision time + latency for an order; the quote's time for a held level).
        price: points, slippage included.
        bid, ask: the quote it filled at, points.
    """

    order_id: str
    time: int
    instrument: str
    units: int
    price: int
    bid: int
    ask: int
    reason: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """An order that ended without a fill (`outcome` cancelled or rejected)."""

    order_id: str
    time: int
    instrument: str
    outcome: str
    reason: str


@dataclass(frozen=True, slots=True)
class Financing:
    """Interest on an open position, booked at 17:00 New York.

    Attributes:
        amount: in `currency`, four decimals; negative is paid.
    """

    instrument: str
    time: int
    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class Trade:
    """A completed round trip (rules: AMDDP1; interface: trades.csv).

    Attributes:
        open_price, close_price, stop_price, take_profit_price: points; 0 where there is no such level.
        pips: net of spread, slippage and commission.
        pnl: in `currency`, exact; `financing` is the part of it that the broker paid or took for holding.
        dd_sum, reward: pips, AMDDP1.
        bars: bar closes in (open_time, close_time].
    """

    instrument: str
    side: int
    units: int
    open_time: int
    open_price: int
    close_time: int
    close_price: int
    pips: float
    pnl: Decimal
    currency: str
    dd_sum: float
    reward: float
    bars: int
    model: str
    exit_reason: str
    stop_price: int
    take_profit_price: int
    financing: Decimal = Decimal(0)
