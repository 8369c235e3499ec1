"""The built-in instruments."""

from decimal import Decimal
from itertools import permutations

import pytest

from broker.errors import BadInput
from broker.instruments import KNOWN, instrument, is_currency


@pytest.mark.parametrize("name", KNOWN)
def test_every_known_instrument_has_ten_points_a_pip(name: str) -> None:
    """A point is a tenth of a pip, whatever the instrument: sizes and rewards rest on it."""
    found = instrument(name)
    assert found.name == name
    assert found.points_per_pip == 10
    assert Decimal("0.02") <= found.margin_rate <= Decimal("0.1")


@pytest.mark.parametrize(
    ("name", "pip_location", "precision", "margin"),
    [
        ("EUR_USD", -4, 5, "0.02"),
        ("GBP_JPY", -2, 3, "0.05"),
        ("XAU_USD", -2, 3, "0.05"),
        ("XAG_USD", -4, 5, "0.10"),
        ("USD_HUF", -2, 3, "0.05"),
        ("CAD_CHF", -4, 5, "0.04"),
        ("SEK_JPY", -2, 3, "0.04"),
    ],
)
def test_figures_follow_the_broker(name: str, pip_location: int, precision: int, margin: str) -> None:
    """Pips are 0.0001, but 0.01 for yen, forint and gold; pairs outside the table go by their quote currency."""
    found = instrument(name)
    assert (found.pip_location, found.precision, found.margin_rate) == (pip_location, precision, Decimal(margin))


@pytest.mark.parametrize(
    ("name", "hint"), [("EUR_UDS", "EUR_USD"), ("EURUSD", "EUR_USD"), ("eur/usd", "EUR_USD"), ("", "EUR_USD")]
)
def test_an_unknown_name_is_refused_with_close_ones(name: str, hint: str) -> None:
    """A mistyped instrument never becomes one: the message names what was probably meant."""
    with pytest.raises(BadInput, match=hint):
        instrument(name)


def test_both_sides_must_be_different_known_currencies() -> None:
    """Only pairs of two known currencies exist."""
    for base, quote in permutations(("EUR", "USD", "QQQ"), 2):
        if "QQQ" in (base, quote):
            assert not is_currency("QQQ")
            with pytest.raises(BadInput):
                instrument(f"{base}_{quote}")
        else:
            assert instrument(f"{base}_{quote}").base == base
    with pytest.raises(BadInput):
        instrument("EUR_EUR")
