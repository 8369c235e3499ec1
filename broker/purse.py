"""The purse of a paper account: its balance, margin and financing, by the formulas of `broker/account`.

Prices are those last shown: an instrument's own at its fills, the others' at their last bar close or fill. What no
known rate converts into the account's currency counts for nothing: neither its profit nor its margin.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from broker.account.margin import Equity, profit_of, required, stricter
from broker.account.numbers import ZERO, factor, rounded
from broker.account.rollover import Interest, financing_of
from broker.rates import Rates, exchanged
from broker.types import Instrument

_ALWAYS, _NEVER = 1 << 62, -(1 << 62)
_PRECISE = 0.001  # account currency: nearer to a closeout, floats won't do


@dataclass(frozen=True, slots=True)
class Terms:
    """What the account's broker asks for and pays.

    Attributes:
        margin: whether entries need margin, and half of it closes all positions.
        margin_rate: the account's own; the higher of it and the instrument's counts.
        interest: paid at 17:00 New York.
        conversion_fee: share of what is converted into the account's currency.
        commission_pips: of a completed trade.
    """

    margin: bool = False
    margin_rate: Decimal = ZERO
    interest: Interest = field(default_factory=Interest)
    conversion_fee: Decimal = ZERO
    commission_pips: Decimal = ZERO


@dataclass(slots=True)
class Holding:
    """One instrument's position: signed `units` opened at `price` points; `called` where the broker is to close it."""

    instrument: Instrument
    watch: npt.NDArray[np.void]
    units: int = 0
    price: int = 0
    called: bool = False

    @property
    def side(self) -> int:
        """-1, 0 or 1."""
        return (self.units > 0) - (self.units < 0)


class Purse(Rates):
    """Money, and the prices that it is measured by.

    Args:
        currency: the account's. balance: at the start.
        fixed: prices of pairs that are not shown.
        terms: the broker's.
    """

    def __init__(
        self,
        currency: str = "",
        balance: Decimal = ZERO,
        fixed: Mapping[str, Decimal] | None = None,
        terms: Terms | None = None,
    ) -> None:
        super().__init__(fixed)
        self.currency, self.balance, self.terms = currency, balance, terms or Terms()
        self._holdings: dict[str, Holding] = {}
        self._open: list[Holding] = []

    def hold(self, instrument: Instrument, watch: npt.NDArray[np.void]) -> Holding:
        """Make room for an instrument, whose record of dtype WATCH is told where a closeout is to be looked into."""
        holding = self._holdings[instrument.name] = Holding(instrument, watch)
        return holding

    def update(self, instrument: Instrument, bid: int, ask: int) -> None:
        """A newer quote, points."""
        super().update(instrument, bid, ask)
        if self._open and len(self._quotes) > 1:
            self.arm()

    def equity(self) -> Equity:
        """What the account is worth at the prices shown."""
        profit = closeout = value = used = ZERO
        for held in self._open:
            if (rate := self._factor(held.instrument.quote)) is None:
                continue
            _, bid, ask = self._quotes[held.instrument.name]
            mid = held.instrument.price(bid + ask) / 2
            profit += self._profit(held, held.instrument.price(bid if held.units > 0 else ask), held.units)
            closeout += self._profit(held, mid, held.units)
            value += rounded(abs(held.units) * mid * rate)
            used += self._margin(held, held.units)
        return Equity(self.balance, profit, closeout, used, value)

    def affords(self, held: Holding, units: int, price: int) -> bool:
        """Whether the account's value covers its margin once so many signed units are filled at `price`, points."""
        opening = self._opening(held, units)
        if not (self.terms.margin and opening) or (rate := self._factor(held.instrument.quote)) is None:
            return True
        _, bid, ask = self._quotes[held.instrument.name]
        equity = self.equity()
        used = equity.used - self._margin(held, held.units) + self._margin(held, held.units + units)
        worth = held.instrument.price((bid if opening > 0 else ask) - price)
        return equity.covers(used, worth * opening * rate)

    def move(self, held: Holding, units: int, price: int) -> None:
        """Book a fill of signed units at `price`, points: what it closes is realised."""
        opening = self._opening(held, units)
        closing = units - opening
        rate = self._factor(held.instrument.quote)
        if closing and rate is not None:
            self.balance += self._profit(held, held.instrument.price(price), -closing)
            if self.terms.commission_pips:
                pip = held.instrument.point * held.instrument.points_per_pip
                self.balance -= rounded(self.terms.commission_pips * pip * abs(closing) * rate)
        held.units += units
        if opening:
            held.price = price
        held.called = held.called and bool(held.units)
        self._open = [holding for holding in self._holdings.values() if holding.units]
        self.arm()

    def interest(self, held: Holding, days: int) -> tuple[Decimal, str]:
        """Take in what a position earns in so many days: the amount and its currency, the quote's without a rate."""
        _, bid, ask = self._quotes[held.instrument.name]
        rate = self._factor(held.instrument.quote)
        value = abs(held.units) * held.instrument.price(bid + ask) / 2 * (rate or 1)
        amount = financing_of(value, self.terms.interest.rate(held.instrument.name, held.side), days)
        if rate is None:
            return amount, held.instrument.quote
        self.balance += amount
        self.arm()
        return amount, self.currency

    def is_called(self, held: Holding) -> bool:
        """Whether the broker closes this position now; where it begins to, it is to close the others too."""
        if not held.called and self.equity().closeout_percent >= 1:
            for other in self._open:
                other.called = True
        return held.called

    def arm(self) -> None:
        """Set at which prices a closeout is to be looked into: a quarter of the way there, and then again."""
        if not self.terms.margin:
            return
        values = [self._floats(held) for held in self._open]
        room = float(self.balance) + sum(profit - margin / 2 for profit, margin, _ in values)
        for held in self._holdings.values():
            held.watch["closeout"] = _ALWAYS if held.called else _NEVER
        for held, (_, _, per_point) in zip(self._open, values, strict=True):
            if room < _PRECISE:
                held.watch["closeout"] = _ALWAYS
            elif per_point and not held.called:
                _, bid, ask = self._quotes[held.instrument.name]
                step = min(room / per_point / 2, (bid + ask) / 10)
                held.watch["closeout"] = held.side * (bid + ask) - max(1, int(step))

    def _floats(self, held: Holding) -> tuple[float, float, float]:
        """About a position's profit at the mid price, its margin, and what a point against it costs of the two."""
        if (rate := self._factor(held.instrument.quote)) is None:
            return 0.0, 0.0, 0.0
        _, bid, ask = self._quotes[held.instrument.name]
        point, fee, share = (
            float(held.instrument.point * rate),
            float(self.terms.conversion_fee),
            float(self._rate(held)),
        )
        profit = ((bid + ask) / 2 - held.price) * held.units * point
        profit *= 1 - fee if profit > 0 else 1 + fee
        margin = (bid + ask) / 2 * abs(held.units) * point * share
        return profit, margin, abs(held.units) * point * (1 + fee + share / 2)

    def standing(self) -> dict[str, Any]:
        """The balance and the positions; `stand` takes them back."""
        held = {name: [one.units, one.price, one.called] for name, one in self._holdings.items()}
        return {"balance": str(self.balance), "held": held}

    def stand(self, known: Mapping[str, Any]) -> None:
        """Take up where `standing` was asked; watch records and quotes are kept by others."""
        self.balance = Decimal(known["balance"])
        for name in known["held"].keys() & self._holdings.keys():
            held = self._holdings[name]
            held.units, held.price, held.called = known["held"][name]
        self._open = [holding for holding in self._holdings.values() if holding.units]

    def _factor(self, currency: str) -> Decimal | None:
        rate = self.between(currency, self.currency)
        return rate if rate is None or currency == self.currency else factor(rate)

    def _profit(self, held: Holding, price: Decimal, units: int) -> Decimal:
        """Of `units` of the position at that price, the fee of their conversion taken off."""
        opened, quote = held.instrument.price(held.price), held.instrument.quote
        rate = self._factor(quote)
        assert rate is not None, "looked up before"
        fee = self.terms.conversion_fee if quote != self.currency else ZERO
        return profit_of(opened, price, units, exchanged((price - opened) * units, rate, fee))

    def _rate(self, held: Holding) -> Decimal:
        return stricter(self.terms.margin_rate, held.instrument.margin_rate)

    def _margin(self, held: Holding, units: int) -> Decimal:
        _, bid, ask = self._quotes[held.instrument.name]
        rate = self._factor(held.instrument.quote) or ZERO
        return required(abs(units) * held.instrument.price(bid + ask) / 2 * rate, self._rate(held))

    @staticmethod
    def _opening(held: Holding, units: int) -> int:
        """What of a fill opens; the rest closes."""
        if held.units * units >= 0:
            return units
        return units + held.units if abs(units) > abs(held.units) else 0
