"""OANDA's JSON and our core types, both ways. Pure: no I/O, no float, nothing dropped that is not understood.

Reading is tolerant (unknown fields, new enum values, numbers as text or not, RFC 3339 or UNIX times); what cannot be
read at all is a ValueError. Writing is strict: decimals as text with the instrument's digits.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from broker.errors import BadInput
from broker.rfc3339 import parse_rfc3339
from broker.types import SECOND, Instrument, Order

Message = Mapping[str, Any]
CLIENT_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
_UNIX = re.compile(r"(\d{1,10})(?:\.(\d{1,9})\d*)?", re.ASCII)
_LARGEST = Decimal(10) ** 12


@dataclass(frozen=True, slots=True)
class Price:
    """A price of the stream or of a snapshot.

    Attributes:
        time: ns. bid, ask: first tier, points; 0 where a side is empty.
        bids, asks: all tiers, (points, units).
        tradeable: whether it can be traded on: the market is open and both sides have a tier.
    """

    time: int
    instrument: str
    bid: int
    ask: int
    bids: tuple[tuple[int, int], ...]
    asks: tuple[tuple[int, int], ...]
    tradeable: bool


@dataclass(frozen=True, slots=True)
class Beat:
    """A heartbeat; `last_id` is the account's last transaction on the transaction stream, 0 on the price stream."""

    time: int
    last_id: int = 0


@dataclass(frozen=True, slots=True)
class Candle:
    """A candle's bid and ask in points: open, high, low, close."""

    start: int
    bid: tuple[int, int, int, int]
    ask: tuple[int, int, int, int]
    ticks: int
    complete: bool


def parse_line(line: bytes) -> Message:
    """One line of a stream as its JSON object, numbers as text.

    Raises:
        ValueError: not a whole JSON object.
    """
    try:
        message = json.loads(line.decode(), parse_float=str, parse_int=str, parse_constant=str)
    except (ValueError, RecursionError):
        raise ValueError("not a whole JSON object") from None
    if not isinstance(message, dict):
        raise ValueError("not a JSON object")
    return message


def parse_time(value: object) -> int:
    """Ns since the epoch from RFC 3339 with up to nine decimals, or UNIX seconds; "0" is no time, and 0.

    >>> parse_time("2016-06-22T18:41:35.034041665Z"), parse_time("1466620895.034041665"), parse_time("0")
    (1466620895034041665, 1466620895034041665, 0)

    Raises:
        ValueError: neither.
    """
    text = str(value)
    unix = _UNIX.fullmatch(text)
    if unix is None:
        return parse_rfc3339(text)
    return int(unix[1]) * SECOND + int((unix[2] or "").ljust(9, "0"))


def parse_decimal(value: object) -> Decimal:
    """An exact decimal from text or an int.

    Raises:
        ValueError: not a finite number below a million millions.
    """
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"{str(value)[:40]!r} is not a number") from None
    if not (number.is_finite() and abs(number) < _LARGEST):
        raise ValueError(f"{str(value)[:40]!r} is no price or size")
    return number


def parse_id(value: object) -> int:
    """A transaction's, order's or trade's id.

    Raises:
        ValueError: not a whole number from 0.
    """
    text = str(value)
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise ValueError(f"{text[:40]!r} is no id")
    return int(text)


def to_points(value: object, precision: int) -> int:
    """A price in points, rounded half away from zero where it has more digits (a VWAP may).

    >>> to_points("1.38676", 5), to_points("150.12300", 3), to_points("1.386765", 5)
    (138676, 150123, 138677)

    Raises:
        ValueError: not a price.
    """
    text = str(value)
    whole, _, fraction = text.partition(".")
    if len(fraction) == precision and len(text) <= 18 and text.isascii() and (whole + fraction).isdigit():
        return int(whole + fraction)
    return int(parse_decimal(text).scaleb(precision).to_integral_value(ROUND_HALF_UP))


def whole_units(value: object) -> int:
    """Signed units.

    Raises:
        ValueError: not whole: this program trades whole units only.
    """
    number = parse_decimal(value)
    if number != number.to_integral_value():
        raise ValueError(f"{value!r} are not whole units")
    return int(number)


def price(message: Message, instruments: Mapping[str, Instrument]) -> Price:
    """A ClientPrice.

    Raises:
        ValueError: it lacks its instrument or time, or the instrument was not asked for.
    """
    instrument = instruments.get(str(message.get("instrument")))
    if instrument is None:
        raise ValueError("a price of an instrument that was not asked for")
    bids, asks = (_tiers(message.get(side), instrument.precision) for side in ("bids", "asks"))
    open_now = bool(message.get("tradeable", True)) and message.get("status", "tradeable") == "tradeable"
    return Price(
        time=parse_time(message.get("time")),
        instrument=instrument.name,
        bid=bids[0][0] if bids else 0,
        ask=asks[0][0] if asks else 0,
        bids=bids,
        asks=asks,
        tradeable=open_now and bool(bids and asks),
    )


def _tiers(tiers: object, precision: int) -> tuple[tuple[int, int], ...]:
    if tiers is None:
        return ()
    if not isinstance(tiers, list):
        raise ValueError("tiers that are no list")
    if not all(isinstance(tier, dict) and "price" in tier for tier in tiers):
        raise ValueError("a tier without its price")
    return tuple((to_points(tier["price"], precision), int(parse_decimal(tier.get("liquidity", 0)))) for tier in tiers)


def beat(message: Message) -> Beat:
    """A heartbeat of either stream.

    Raises:
        ValueError: it has no time.
    """
    return Beat(parse_time(message.get("time")), parse_id(message.get("lastTransactionID", 0)))


def instrument(message: Message) -> Instrument:
    """An instrument as the broker defines it.

    Raises:
        ValueError: a field that trading needs is missing or odd.
    """
    try:
        return Instrument(
            name=str(message["name"]),
            pip_location=int(message["pipLocation"]),
            precision=int(message["displayPrecision"]),
            margin_rate=parse_decimal(message["marginRate"]),
        )
    except KeyError as missing:
        raise ValueError(f"an instrument without {missing}") from None


def candle(message: Message, precision: int) -> Candle:
    """A candle of price BA.

    Raises:
        ValueError: a side or its time is missing.
    """
    sides = (message.get("bid"), message.get("ask"))
    if not all(isinstance(side, dict) and side.keys() >= set("ohlc") for side in sides):
        raise ValueError("a candle without bid and ask")
    bid, ask = (tuple(to_points(side[key], precision) for key in "ohlc") for side in sides if side is not None)
    complete = bool(message.get("complete", True))
    return Candle(parse_time(message.get("time")), bid, ask, int(message.get("volume", 0)), complete)  # type: ignore[arg-type]


def client_id(message: Message) -> str:
    """The client id that a transaction, order or trade carries, or ""."""
    extensions = message.get("clientExtensions")
    return str(extensions.get("id", "")) if isinstance(extensions, dict) else ""


def order_body(order: Order, instrument: Instrument, bid: int, ask: int, bound: int | None) -> dict[str, Any]:
    """The body of a market order.

    An entry or reversal carries its stop as a distance from the fill, so that it holds whatever the price; its
    take-profit, which has no such form, at the distance from the quote (`Account` moves it to the fill's). An exit may
    only reduce: it never opens what a stop has closed.

    Args:
        bid, ask: the quote known, points. bound: the worst price, or None for none.

    Raises:
        BadInput: the client id, the units, a distance or a bound that may not go out.
    """
    if not CLIENT_ID.fullmatch(order.id):
        raise BadInput(f"{order.id!r} is no client id", mend="letters, digits and _.- only, at most 64")
    if not order.units or min(order.stop_distance, order.take_profit_distance) < 0:
        raise BadInput(f"{order.id}: no units, or a negative distance")
    if bound is not None and bound <= 0:
        raise BadInput(f"{order.id}: a price bound below 0")
    body: dict[str, Any] = {
        "type": "MARKET",
        "instrument": instrument.name,
        "units": str(order.units),
        "timeInForce": "FOK",
        "positionFill": "DEFAULT" if order.opens else "REDUCE_ONLY",
        "clientExtensions": {"id": order.id, "tag": order.reason},
    }
    if bound is not None:
        body["priceBound"] = str(instrument.price(bound))
    if order.opens:
        body["tradeClientExtensions"] = {"id": order.id}
        if order.stop_distance:
            body["stopLossOnFill"] = {"distance": str(instrument.price(order.stop_distance)), "timeInForce": "GTC"}
        if order.take_profit_distance:
            level = (ask if order.opens > 0 else bid) + order.opens * order.take_profit_distance
            body["takeProfitOnFill"] = {"price": str(instrument.price(level)), "timeInForce": "GTC"}
    return {"order": body}
