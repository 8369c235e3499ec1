"""Values come back from JSON as they were, and the same value is the same bytes."""

import json
from decimal import Decimal

import pytest

from broker.canonical import built, plain, text
from broker.types import Action, Cancel, Fill, Order

ORDER = Order("mt-a-1", 5, "EUR_USD", -7, 300, 0, "entry", -1, "m")


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (Order, ORDER),
        (Fill | Cancel, Cancel("a", 1, "EUR_USD", "cancelled", "")),
        (list[Order], [ORDER, ORDER]),
        (tuple[int, Decimal], (1, Decimal("0.10"))),
        (tuple[float | None, ...], (1.5, None)),
        (Action, Action.SELL),
        (str | None, None),
    ],
)
def test_values_come_back(hint: object, value: object) -> None:
    """Unions know which they hold, tuples stay tuples, decimals keep their zeros."""
    again = built(hint, json.loads(text(plain(value))))
    assert again == value
    assert type(again) is type(value)


def test_the_order_of_keys_does_not_matter() -> None:
    """Two dictionaries of the same content are the same bytes."""
    assert text({"a": 1, "b": 2.0}) == text({"b": 2.0, "a": 1}) == b'{"a":1,"b":2.0}'
