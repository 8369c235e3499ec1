"""Conversion of money into the account's currency through the mid prices known.

A rate is found directly, by its inverse, or over one currency between; fixed rates from the config stand in where no
streamed pair serves.
"""

from collections.abc import Mapping
from decimal import Decimal

from broker.types import Instrument

ONE = Decimal(1)


def exchanged(amount: Decimal, rate: Decimal, fee: Decimal) -> Decimal:
    """The rate at which an amount is converted, worse by the broker's fee: less of a gain, more of a loss.

    >>> exchanged(Decimal(5), Decimal("1.1"), Decimal("0.01")), exchanged(Decimal(-5), Decimal("1.1"), Decimal("0.01"))
    (Decimal('1.089'), Decimal('1.111'))
    """
    return rate if not fee else rate * (1 - fee if amount > 0 else 1 + fee)


class Rates:
    """Prices of pairs, kept up to date by the session.

    >>> rates = Rates({"USD_JPY": Decimal("100")})
    >>> rates.between("JPY", "USD"), rates.between("USD", "USD"), rates.between("CHF", "USD")
    (Decimal('0.01'), Decimal('1'), None)
    >>> rates.update(Instrument("EUR_JPY", -2, 3, Decimal("0.04")), 124_990, 125_010)
    >>> rates.between("EUR", "USD")
    Decimal('1.25000')
    """

    def __init__(self, fixed: Mapping[str, Decimal] | None = None) -> None:
        self._fixed = dict(fixed or {})
        self._quotes: dict[str, tuple[Instrument, int, int]] = {}

    def update(self, instrument: Instrument, bid: int, ask: int) -> None:
        """A newer quote, points; its mid counts before a fixed rate."""
        self._quotes[instrument.name] = (instrument, bid, ask)

    def between(self, source: str, target: str) -> Decimal | None:
        """Units of `target` for one `source`, or None where no known pairs connect them."""
        direct = self._direct(source, target)
        if direct is not None:
            return direct
        for via in sorted({currency for pair in (*self._fixed, *self._quotes) for currency in pair.split("_")}):
            first, second = self._direct(source, via), self._direct(via, target)
            if first is not None and second is not None:
                return first * second
        return None

    def _direct(self, source: str, target: str) -> Decimal | None:
        if source == target:
            return ONE
        if (mid := self._mid(f"{source}_{target}")) is not None:
            return mid
        if (mid := self._mid(f"{target}_{source}")) is not None:
            return 1 / mid
        return None

    def _mid(self, pair: str) -> Decimal | None:
        if (quote := self._quotes.get(pair)) is not None:
            instrument, bid, ask = quote
            return Decimal(bid + ask) * instrument.point / 2
        return self._fixed.get(pair)

    def memory(self) -> dict[str, list[int]]:
        """The quotes known: pip location, precision, bid and ask of each pair; `recall` takes them back."""
        return {name: [pair.pip_location, pair.precision, bid, ask] for name, (pair, bid, ask) in self._quotes.items()}

    def recall(self, known: Mapping[str, list[int]]) -> None:
        """Take up where `memory` was asked."""
        for name, (pip_location, precision, bid, ask) in known.items():
            self._quotes[name] = (Instrument(name, pip_location, precision, ONE), bid, ask)
