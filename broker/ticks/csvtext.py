"""Exact rows as the text of our own CSV, compiled."""

import numpy as np
from numba import njit

from broker.ticks.numbers import INFINITE, MAX_DIGITS, NAN, POWERS

_SPECIALS = (b"NaN", b"Infinity", b"-Infinity")


@njit(cache=True, nogil=True, error_model="numpy")
def _put(buffer, at, value, count):  # type: ignore[no-untyped-def]
    """Write exactly `count` decimal digits of `value`."""
    for k in range(count - 1, -1, -1):
        buffer[at + k] = 48 + value % 10
        value //= 10
    return at + count


@njit(cache=True, nogil=True, error_model="numpy")
def format_rows(buffer, time, mantissa, digits, time_digits):  # type: ignore[no-untyped-def]
    """Write rows as lines of CSV; returns how many bytes."""
    at = 0
    for i in range(len(time)):
        second, nanosecond = time[i] // 1_000_000_000, time[i] % 1_000_000_000
        days, second = second // 86_400, second % 86_400
        year, month, day = _civil(days)
        at = _put(buffer, at, year, 4)
        buffer[at] = 45
        at = _put(buffer, at + 1, month, 2)
        buffer[at] = 45
        at = _put(buffer, at + 1, day, 2)
        buffer[at] = 84
        at = _put(buffer, at + 1, second // 3600, 2)
        buffer[at] = 58
        at = _put(buffer, at + 1, second // 60 % 60, 2)
        buffer[at] = 58
        at = _put(buffer, at + 1, second % 60, 2)
        decimals = time_digits if nanosecond % POWERS[9 - time_digits] == 0 else 9
        if decimals:
            buffer[at] = 46
            at = _put(buffer, at + 1, nanosecond // POWERS[9 - decimals], decimals)
        buffer[at] = 90
        at += 1
        for column in range(len(mantissa)):
            buffer[at] = 44
            at = _put_number(buffer, at + 1, mantissa[column, i], digits[column, i])
        buffer[at] = 10
        at += 1
    return at


@njit(cache=True, nogil=True, error_model="numpy")
def _put_number(buffer, at, mantissa, digits):  # type: ignore[no-untyped-def]
    if digits > MAX_DIGITS:
        text = _SPECIALS[0] if digits == NAN else (_SPECIALS[1] if digits == INFINITE else _SPECIALS[2])
        for k in range(len(text)):
            buffer[at + k] = text[k]
        return at + len(text)
    if mantissa < 0:
        buffer[at] = 45
        at += 1
    whole, fraction = abs(mantissa) // POWERS[digits], abs(mantissa) % POWERS[digits]
    count, rest = 1, whole // 10
    while rest:
        count, rest = count + 1, rest // 10
    at = _put(buffer, at, whole, count)
    if digits:
        buffer[at] = 46
        at = _put(buffer, at + 1, fraction, np.int64(digits))
    return at


@njit(cache=True, nogil=True, error_model="numpy")
def _civil(days):  # type: ignore[no-untyped-def]
    """Year, month and day of days since the epoch (Hinnant's algorithm)."""
    shifted = days + 719468
    era = shifted // 146097
    of_era = shifted - era * 146097
    year = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    day = of_year - (153 * month + 2) // 5 + 1
    month = month + 3 if month < 10 else month - 9
    return year + era * 400 + (1 if month <= 2 else 0), month, day
