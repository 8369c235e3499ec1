"""Conversion rates: direct, inverse, over one currency between; live prices before fixed ones."""

from decimal import Decimal

import pytest

from broker.instruments import instrument
from broker.rates import Rates


def rates() -> Rates:
    known = Rates({"USD_CHF": Decimal("0.9"), "GBP_USD": Decimal("1.5")})
    known.update(instrument("EUR_USD"), 109_990, 110_010)
    known.update(instrument("USD_JPY"), 109_990, 110_010)
    return known


@pytest.mark.parametrize(
    ("source", "target", "rate"),
    [
        ("USD", "USD", Decimal(1)),
        ("EUR", "USD", Decimal("1.1")),
        ("USD", "EUR", 1 / Decimal("1.1")),
        ("JPY", "USD", 1 / Decimal(110)),
        ("JPY", "EUR", 1 / Decimal(110) / Decimal("1.1")),
        ("GBP", "CHF", Decimal("1.35")),
        ("SEK", "USD", None),
    ],
)
def test_rates_between_currencies(source: str, target: str, rate: Decimal | None) -> None:
    """Units of the target for one of the source."""
    found = rates().between(source, target)
    assert found == rate if rate is None else found == pytest.approx(rate, rel=Decimal("1e-20"))


def test_a_streamed_price_comes_before_a_fixed_one() -> None:
    """A fixed rate stands in only where no pair is streamed."""
    known = rates()
    known.update(instrument("GBP_USD"), 160_000, 160_000)
    assert known.between("GBP", "USD") == Decimal("1.6")
