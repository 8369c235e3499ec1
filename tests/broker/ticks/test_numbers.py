"""Exact decimals."""

from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.ticks.numbers import (
    INFINITE,
    MINUS_INFINITE,
    NAN,
    POINTS_INFINITE,
    POINTS_MINUS_INFINITE,
    POINTS_NAN,
    from_floats,
    number_text,
    parse_number,
    survives_floats,
    to_floats,
    to_points,
)

DECIMALS = st.decimals(min_value=-(10**9), max_value=10**9, places=5) | st.decimals(min_value=0, max_value=9, places=9)


def column(*numbers: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Numbers as the two arrays that the kernels take."""
    return np.array([n[0] for n in numbers], np.int64), np.array([n[1] for n in numbers], np.uint8)


@given(DECIMALS)
def test_text_survives_to_its_last_digit(value: Decimal) -> None:
    """Every digit of a price as written is kept, trailing zeros too."""
    text = f"{value:f}"
    number = parse_number(text)
    assert Decimal(number_text(*number)) == value
    assert number_text(*number) in (text, text.removeprefix("-"))


@given(DECIMALS, st.sampled_from([0, 3, 5, 6]))
def test_points_are_rounded_half_away_from_zero(value: Decimal, precision: int) -> None:
    """Rules: prices are rounded to the instrument's points on reading."""
    expected = int(value.scaleb(precision).quantize(Decimal(1), ROUND_HALF_UP))
    assert to_points(*column(parse_number(f"{value:f}")), precision)[0] == expected


@given(st.floats(min_value=-1e11, max_value=1e11, allow_subnormal=False).filter(lambda x: x == 0 or abs(x) > 1e-9))
def test_floats_are_taken_as_their_shortest_decimals(value: float) -> None:
    """A float column means the shortest decimals that round to it, as `repr` prints them."""
    mantissa, digits = from_floats(np.array([value]))
    exact = Decimal(repr(value))
    if len(exact.as_tuple().digits) - min(int(exact.as_tuple().exponent), 0) <= 18:
        assert Decimal(number_text(int(mantissa[0]), int(digits[0]))) == exact
    assert abs(to_floats(mantissa, digits)[0] - value) <= abs(value) * 1e-15 + 1e-18


@given(st.integers(1, 10**7))
def test_single_floats_too(hundredths: int) -> None:
    """Dukascopy's sizes are 4-byte floats: 1.13 stays 1.13."""
    value = np.float32(hundredths / 100)
    mantissa, digits = from_floats(np.array([value]))
    assert np.float32(number_text(int(mantissa[0]), int(digits[0]))) == value
    if hundredths < 10**5:
        assert Decimal(number_text(int(mantissa[0]), int(digits[0]))) == Decimal(hundredths) / 100


@given(st.integers(-(10**18) + 1, 10**18 - 1), st.integers(7, 18))
def test_survival_of_floats_is_told_exactly(mantissa: int, digits: int) -> None:
    """What is called safe for a float column comes back unchanged."""
    numbers = column((mantissa, digits))
    if survives_floats(*numbers):
        back = from_floats(to_floats(*numbers))
        assert Decimal(int(back[0][0])).scaleb(-int(back[1][0])) == Decimal(mantissa).scaleb(-digits)
    else:
        assert abs(mantissa) >= 10**15


def test_what_is_no_finite_number_keeps_its_kind() -> None:
    """NaN and infinities are numeric: they reach the cleaning as what they are."""
    kinds = [parse_number(text) for text in ("NaN", "nan", "inf", "-Infinity", "+INF")]
    assert [digits for _, digits in kinds] == [NAN, NAN, INFINITE, MINUS_INFINITE, INFINITE]
    points = to_points(*column(*kinds), 5)
    assert points.tolist() == [POINTS_NAN, POINTS_NAN, POINTS_INFINITE, POINTS_MINUS_INFINITE, POINTS_INFINITE]
    assert np.array_equal(to_floats(*column(*kinds)), [np.nan, np.nan, np.inf, -np.inf, np.inf], equal_nan=True)
    assert from_floats(np.array([np.nan, np.inf, -np.inf]))[1].tolist() == [NAN, INFINITE, MINUS_INFINITE]


@pytest.mark.parametrize("text", ["", " ", "abc", "1.", "1..2", "1,2", "1_000", "--1", "0x1", "e5", "1e", "١", "1e12"])
def test_what_is_not_a_number_is_refused(text: str) -> None:
    """Rules: an empty or non-numeric field is a broken line; half a number is one too."""
    with pytest.raises(ValueError, match=r"field|number|large"):
        parse_number(text)
