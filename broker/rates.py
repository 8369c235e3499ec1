"""Conversion of money into the account's currency through the mid prices known.

A rate is found directly, by its inverse, or over one currency between; fixed rates from the config stand in where no
streamed pair serves.
"""

from collections.abc import Mapping
from decimal import Decimal


class Rates:
    """Mid prices of pairs, kept up to date by the session.

    >>> rates = Rates({"USD_JPY": Decimal("100")})
    >>> rates.between("JPY", "USD"), rates.between("USD", "USD"), rates.between("CHF", "USD")
    (Decimal('0.01'), Decimal('1'), None)
    >>> rates.update("EUR_JPY", Decimal("125"))
    >>> rates.between("EUR", "USD")
    Decimal('1.25')
    """

    def __init__(self, fixed: Mapping[str, Decimal] | None = None) -> None:
        self._mids: dict[str, Decimal] = dict(fixed or {})

    def update(self, pair: str, mid: Decimal) -> None:
        """A newer mid price of `pair`."""
        self._mids[pair] = mid

    def between(self, source: str, target: str) -> Decimal | None:
        """Units of `target` for one `source`, or None where no known pairs connect them."""
        direct = self._direct(source, target)
        if direct is not None:
            return direct
        for via in sorted({currency for pair in self._mids for currency in pair.split("_")}):
            first, second = self._direct(source, via), self._direct(via, target)
            if first is not None and second is not None:
                return first * second
        return None

    def _direct(self, source: str, target: str) -> Decimal | None:
        if source == target:
            return Decimal(1)
        if (mid := self._mids.get(f"{source}_{target}")) is not None:
            return mid
        if (mid := self._mids.get(f"{target}_{source}")) is not None:
            return 1 / mid
        return None
