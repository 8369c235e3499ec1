"""The market as an account sees it: latest price tiers, halts, and conversions into the account's currency."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from broker.account.numbers import ZERO, factor
from broker.account.tiers import Tier
from broker.rates import Rates, exchanged
from broker.types import Instrument


@dataclass(frozen=True, slots=True)
class Price:
    """A quote with its tiers, the best first.

    Attributes:
        time: ns.
        bids, asks: never empty.
    """

    time: int
    bids: tuple[Tier, ...]
    asks: tuple[Tier, ...]

    @property
    def bid(self) -> Decimal:
        """The best bid."""
        return self.bids[0].price

    @property
    def ask(self) -> Decimal:
        """The best ask."""
        return self.asks[0].price

    @property
    def mid(self) -> Decimal:
        """Half way between the best."""
        return (self.bid + self.ask) / 2


class Market:
    """Prices, halts and conversions.

    Args:
        instruments: all that can be named, by name.
        home: the account's currency.
        rates: conversions by fixed rates; prices shown later count before them.
        fee: share of what is converted.
    """

    def __init__(self, instruments: Mapping[str, Instrument], home: str, rates: Rates, fee: Decimal = ZERO) -> None:
        self.instruments = dict(instruments)
        self.home = home
        self.prices: dict[str, Price] = {}
        self.open: set[str] = set()
        self._rates, self._fee = rates, fee
        self._factors: dict[str, Decimal] = {}

    def show(self, name: str, price: Price) -> None:
        """The instrument's newest price."""
        known = self.prices.get(name)
        self.prices[name] = price
        if known is None or known.bids[0] != price.bids[0] or known.asks[0] != price.asks[0]:
            instrument = self.instruments[name]
            scale = 10**instrument.precision
            self._rates.update(instrument, int(price.bid * scale), int(price.ask * scale))
            self._factors.clear()

    def is_tradeable(self, name: str) -> bool:
        """Whether the instrument has a price and is not halted."""
        return name in self.open and name in self.prices

    def to_home(self, currency: str) -> Decimal:
        """Account currency for one of `currency`; 1 where nothing connects the two."""
        known = self._factors.get(currency)
        if known is None:
            rate = self._rates.between(currency, self.home)
            known = self._factors[currency] = Decimal(1) if rate is None else factor(rate)
        return known

    def exchange(self, currency: str, amount: Decimal) -> Decimal:
        """The rate at which a gain or loss in `currency` is booked: that to the account's, worse by the fee."""
        return exchanged(amount, self.to_home(currency), self._fee if currency != self.home else ZERO)

    def closing(self, name: str, side: int) -> Decimal:
        """The price at which a position of that side would close."""
        price = self.prices[name]
        return price.bid if side > 0 else price.ask

    def value(self, name: str, units: int) -> Decimal:
        """Value of `units` at the mid price, account currency."""
        if not units:
            return ZERO
        return abs(units) * self.prices[name].mid * self.to_home(self.instruments[name].quote)
