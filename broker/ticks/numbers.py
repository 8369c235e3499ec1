"""Exact decimals as two integers, so that no digit of a price is ever lost to a float.

A number is `mantissa * 10 ** -digits` with an int64 mantissa and a uint8 `digits` from 0 to 18; `digits` also holds
the codes for what isn't a finite number: NAN, INFINITE and MINUS_INFINITE.
"""

import re
from decimal import Decimal

import numpy as np
import numpy.typing as npt
from numba import njit

from broker.types import Float64s, Int64s

Digits = npt.NDArray[np.uint8]

MAX_DIGITS = 18  # the most decimal digits that always fit into an int64
NAN, INFINITE, MINUS_INFINITE = 255, 254, 253
POWERS = 10 ** np.arange(MAX_DIGITS + 1, dtype=np.int64)
EXACT_FLOAT = 1 << 53

# What a price becomes in points when it isn't a finite number: far outside of any real one.
POINTS_NAN = -(1 << 63)
POINTS_MINUS_INFINITE = POINTS_NAN + 1
POINTS_INFINITE = (1 << 63) - 1

_NUMBER = re.compile(r"[+-]?(\d+(\.\d+)?|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
_SPECIAL = {"nan": NAN, "inf": INFINITE, "infinity": INFINITE}
_LARGEST = 10**12  # above any price or size; keeps points within an int64 at up to six decimals


def parse_number(text: str) -> tuple[int, int]:
    """`(mantissa, digits)` of a number's text, as many digits as it was written with.

    Beyond 18 digits the last ones are rounded away, half to even.

    >>> parse_number("1.38670"), parse_number("-2e3"), parse_number("NaN")
    ((138670, 5), (-2000, 0), (0, 255))

    Raises:
        ValueError: empty, not a number, or a million millions and more.
    """
    whole_part, _, fraction = text.partition(".")
    if len(text) <= MAX_DIGITS and text.isascii() and whole_part.isdigit() and len(whole_part) <= 12:
        if fraction.isdigit():  # the usual price, without the detour over Decimal
            return int(whole_part + fraction), len(fraction)
        if len(whole_part) == len(text):
            return int(text), 0
    text = text.strip(" \t")
    if not _NUMBER.fullmatch(text):
        code = _SPECIAL.get(text.lstrip("+-").lower()) if len(text) - len(text.lstrip("+-")) < 2 else None
        if code is None:
            raise ValueError("an empty field" if not text else f"{text[:40]!r} is not a number")
        return 0, MINUS_INFINITE if code == INFINITE and text[0] == "-" else code
    value = Decimal(text)
    if abs(value) >= _LARGEST:
        raise ValueError(f"{text[:40]!r} is too large for a price or a size")
    exponent = int(value.as_tuple().exponent)
    whole = max(value.adjusted() + 1, 0) if value else 0
    digits = min(max(-exponent, 0), MAX_DIGITS - whole)
    return int(value.scaleb(digits).to_integral_value()), digits


@njit(cache=True, nogil=True, error_model="numpy")
def to_points(mantissa: Int64s, digits: Digits, precision: int) -> Int64s:
    """Prices `[n]` in points of `10 ** -precision`, rounded half away from zero; POINTS_* where not finite."""
    points = np.empty(len(mantissa), np.int64)
    for i in range(len(mantissa)):
        shift = precision - np.int64(digits[i])
        if digits[i] > MAX_DIGITS:
            points[i] = POINTS_NAN
            if digits[i] == INFINITE:
                points[i] = POINTS_INFINITE
            elif digits[i] == MINUS_INFINITE:
                points[i] = POINTS_MINUS_INFINITE
        elif shift >= 0:
            points[i] = mantissa[i] * POWERS[shift]
        else:
            unit = POWERS[-shift]
            rest = abs(mantissa[i]) % unit
            away = abs(mantissa[i]) // unit + (1 if rest >= unit - rest else 0)
            points[i] = away if mantissa[i] >= 0 else -away
    return points


@njit(cache=True, nogil=True, error_model="numpy")
def to_floats(mantissa: Int64s, digits: Digits) -> Float64s:
    """Nearest float of each number `[n]` of at most 53 bits; NaN and infinities as themselves."""
    floats = np.empty(len(mantissa), np.float64)
    for i in range(len(mantissa)):
        if digits[i] <= MAX_DIGITS:
            floats[i] = np.float64(mantissa[i]) / np.float64(POWERS[digits[i]])
        elif digits[i] == NAN:
            floats[i] = np.nan
        else:
            floats[i] = np.inf if digits[i] == INFINITE else -np.inf
    return floats


@njit(cache=True, nogil=True, error_model="numpy")
def _of_floats(floats: Float64s, single: bool) -> tuple[Int64s, Digits]:
    """Shortest decimals `[n]` that round to the floats; digits 200 where that needs more than 53 bits."""
    mantissa, digits = np.zeros(len(floats), np.int64), np.full(len(floats), 200, np.uint8)
    for i in range(len(floats)):
        x = floats[i]
        if np.isnan(x):
            digits[i] = NAN
        elif np.isinf(x):
            digits[i] = INFINITE if x > 0 else MINUS_INFINITE
        else:
            for d in range(16):
                scaled = np.rint(x * np.float64(POWERS[d]))
                if abs(scaled) >= EXACT_FLOAT:
                    break
                back = scaled / np.float64(POWERS[d])
                if back == x or (single and np.float32(back) == np.float32(x)):
                    mantissa[i], digits[i] = np.int64(scaled), d
                    break
    return mantissa, digits


def from_floats(floats: npt.NDArray[np.floating]) -> tuple[Int64s, Digits]:
    """`(mantissa, digits)` of the shortest decimals that round to `floats` `[n]`, float32 or float64.

    Raises:
        ValueError: a number of a million millions and more.
    """
    mantissa, digits = _of_floats(floats.astype(np.float64), floats.dtype == np.float32)
    for i in np.flatnonzero(digits == 200):
        mantissa[i], digits[i] = parse_number(str(floats[i]))
    if np.any(np.abs(mantissa) // POWERS[np.minimum(digits, MAX_DIGITS)] >= _LARGEST):
        raise ValueError("a number is too large for a price or a size")
    return mantissa, digits


def survives_floats(mantissa: Int64s, digits: Digits) -> bool:
    """Whether every number `[n]` comes back from its nearest float as it was, trailing zeros apart."""
    for i in np.flatnonzero((np.abs(mantissa) >= 10**15) & (digits <= MAX_DIGITS)):
        exact = Decimal(int(mantissa[i])).scaleb(-int(digits[i]))
        if abs(mantissa[i]) >= EXACT_FLOAT or Decimal(repr(float(exact))) != exact:
            return False
    return True


def number_text(mantissa: int, digits: int) -> str:
    """Text of a number with exactly its digits.

    >>> number_text(138670, 5), number_text(-5, 2), number_text(0, NAN)
    ('1.38670', '-0.05', 'NaN')
    """
    if digits > MAX_DIGITS:
        return {NAN: "NaN", INFINITE: "Infinity", MINUS_INFINITE: "-Infinity"}[digits]
    return f"{Decimal(int(mantissa)).scaleb(-int(digits)):f}"
