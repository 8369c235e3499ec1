"""Equity and margin of an account at the market's prices. The formulas are the paper broker's too."""

from dataclasses import dataclass
from decimal import Decimal

from broker.account.entities import State, Trade
from broker.account.market import Market
from broker.account.numbers import ZERO, rounded

_BANKRUPT = Decimal("1000")


@dataclass(frozen=True, slots=True)
class Equity:
    """What the account is worth now, in its currency.

    Attributes:
        unrealized: at the closing prices.
        closeout_unrealized: at the mid prices, which margin calls go by.
        used: margin of the open positions.
    """

    balance: Decimal
    unrealized: Decimal
    closeout_unrealized: Decimal
    used: Decimal
    position_value: Decimal

    @property
    def nav(self) -> Decimal:
        """Net asset value."""
        return self.balance + self.unrealized

    @property
    def closeout_nav(self) -> Decimal:
        """Net asset value at the mid prices."""
        return self.balance + self.closeout_unrealized

    @property
    def available(self) -> Decimal:
        """Margin left for new positions; never negative."""
        return max(ZERO, self.nav - self.used)

    @property
    def call_percent(self) -> Decimal:
        """At 1 the account is in a margin call."""
        if not self.used:
            return ZERO
        return min(_BANKRUPT, self.used / self.closeout_nav) if self.closeout_nav > 0 else _BANKRUPT

    @property
    def closeout_percent(self) -> Decimal:
        """At 1 the account's positions are closed: its value is half of the margin used."""
        return self.call_percent / 2

    def covers(self, used: Decimal, gained: Decimal) -> bool:
        """Whether the value covers the margin once a fill has made it `used` and moved the value by `gained`."""
        return self.nav + gained >= used


def stricter(own: Decimal | None, instrument: Decimal) -> Decimal:
    """The margin rate that counts: the instrument's, or the account's own where that is higher."""
    return instrument if own is None else max(instrument, own)


def required(value: Decimal, rate: Decimal) -> Decimal:
    """Margin of a position of that value.

    >>> required(Decimal("1100.5"), Decimal("0.02"))
    Decimal('22.0100')
    """
    return rounded(value * rate)


def profit_of(opened: Decimal, closed: Decimal, units: int, to_home: Decimal) -> Decimal:
    """Profit of `units` (signed) between two prices, account currency.

    Args:
        to_home: account currency for one of the quote currency.

    >>> profit_of(Decimal("1.1"), Decimal("1.2"), -1000, Decimal(1))
    Decimal('-100.0000')
    """
    return rounded((closed - opened) * units * to_home)


def margin_rate(state: State, market: Market, name: str) -> Decimal:
    """That of an instrument in this account."""
    return stricter(state.margin_rate, market.instruments[name].margin_rate)


def margin_of(state: State, market: Market, name: str, units: int) -> Decimal:
    """Margin that so many units take."""
    return required(market.value(name, units), margin_rate(state, market, name))


def unrealized(trade: Trade, market: Market) -> Decimal:
    """Profit of a trade at its closing price."""
    if not trade.units:
        return ZERO
    return _profit(trade, market, market.closing(trade.instrument, trade.side))


def measure(state: State, market: Market) -> Equity:
    """The account's equity now."""
    nets: dict[str, int] = {}
    profit = closeout = ZERO
    for trade in state.open.values():
        nets[trade.instrument] = nets.get(trade.instrument, 0) + trade.units
        profit += unrealized(trade, market)
        closeout += _profit(trade, market, market.prices[trade.instrument].mid)
    value = sum((rounded(market.value(name, units)) for name, units in nets.items()), ZERO)
    used = sum((margin_of(state, market, name, units) for name, units in nets.items()), ZERO)
    return Equity(state.balance, profit, closeout, used, value)


def _profit(trade: Trade, market: Market, price: Decimal) -> Decimal:
    quote = market.instruments[trade.instrument].quote
    return profit_of(trade.price, price, trade.units, market.exchange(quote, (price - trade.price) * trade.units))
