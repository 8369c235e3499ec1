"""Decimal numbers as OANDA writes and reads them."""

import re
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from broker.rfc3339 import parse_rfc3339
from broker.types import SECOND

ZERO = Decimal(0)
_DECIMAL = re.compile(r"[+-]?\d{1,15}(\.\d{0,15})?", re.ASCII)
_UNIX = re.compile(r"(\d{1,11})(?:\.(\d{1,9}))?", re.ASCII)
_MONEY, _RATIO = Decimal("0.0001"), Decimal("0.00001")
_FACTOR = Decimal("1e-12")


def parse(value: Any) -> Decimal:
    """A decimal out of a request: a JSON string or number.

    >>> parse("150.12300"), parse(100)
    (Decimal('150.12300'), Decimal('100'))

    Raises:
        ValueError: anything else, or more than fifteen digits on a side of the point.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise ValueError(f"{value!r} is no decimal")
    text = format(Decimal(repr(value)), "f") if isinstance(value, float) else str(value)
    if _DECIMAL.fullmatch(text) is None:
        raise ValueError(f"{text!r} is no decimal")
    return Decimal(text)


def places(value: Decimal) -> int:
    """Decimals that count: trailing zeros do not.

    >>> places(Decimal("150.12300")), places(Decimal("100"))
    (3, 0)
    """
    exponent = value.normalize().as_tuple().exponent
    assert isinstance(exponent, int)
    return max(0, -exponent)


def rounded(value: Decimal, step: Decimal = _MONEY) -> Decimal:
    """To money's four decimals (or `step`), half to even."""
    result = value.quantize(step, ROUND_HALF_EVEN)
    return result if result else abs(result)


def money(value: Decimal) -> str:
    """Money as OANDA writes it.

    >>> money(Decimal("-0.00001")), money(Decimal("12.34565"))
    ('0.0000', '12.3456')
    """
    return f"{rounded(value):f}"


def ratio(value: Decimal) -> str:
    """A ratio, five decimals."""
    return f"{rounded(value, _RATIO):f}"


def factor(value: Decimal) -> Decimal:
    """A conversion factor, at most twelve decimals."""
    return value.quantize(_FACTOR).normalize()


def plain(value: Decimal) -> str:
    """Without exponent, as many decimals as it has."""
    return f"{value:f}"


def price_text(value: Decimal, precision: int) -> str:
    """A price with its instrument's decimals, trailing zeros kept."""
    return f"{value:.{precision}f}"


def parse_time(text: Any) -> int:
    """Nanoseconds of an RFC 3339 or UNIX time.

    >>> parse_time("1512446222.5") == parse_time("2017-12-05T03:57:02.5Z")
    True

    Raises:
        ValueError: neither.
    """
    if not isinstance(text, str):
        raise ValueError(f"{text!r} is no time")
    if (unix := _UNIX.fullmatch(text)) is not None:
        return int(unix[1]) * SECOND + int((unix[2] or "0").ljust(9, "0"))
    return parse_rfc3339(text)
