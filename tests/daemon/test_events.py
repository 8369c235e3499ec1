"""Events: values that can be kept."""

from dataclasses import FrozenInstanceError, fields
from typing import get_args

import pytest

from daemon.events import Input, Output, Quoted


@pytest.mark.parametrize("kind", [*get_args(Input), *get_args(Output)])
def test_all_are_frozen_and_slotted(kind: type) -> None:
    """What is journalled can't change afterwards, and carries nothing but its fields."""
    assert kind.__slots__ == tuple(field.name for field in fields(kind))
    assert kind.__dataclass_params__.frozen


def test_equal_by_value() -> None:
    """Two events with the same fields are the same event: an audit compares them so."""
    one, other = (Quoted("EUR_USD", 1, 2, 3) for _ in range(2))
    assert one == other
    with pytest.raises(FrozenInstanceError):
        one.bid = 5  # type: ignore[misc]
