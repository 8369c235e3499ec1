"""Order requests, read and checked: what a request asks for as the fields of its create transaction, or why not.

Reject reasons are OANDA's TransactionRejectReason; what can't be understood at all is a BadRequest, which leaves no
transaction.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from broker.account.entities import DEPENDENTS, Json, Trade
from broker.account.errors import BadRequest, Rejected
from broker.account.fold import ORDER_KINDS
from broker.account.numbers import parse, parse_time, places, plain, price_text
from broker.rfc3339 import rfc3339
from broker.types import Instrument

UNITS_MAXIMUM = 100_000_000
"""OANDA's maximumOrderUnits of currency pairs."""

MISSING = "The request was missing required data"
TIMES_IN_FORCE = frozenset(("GTC", "GTD", "GFD", "FOK", "IOC"))
_RESTING = frozenset(("GTC", "GTD", "GFD"))
_ALLOWED = {"MARKET": frozenset(("FOK", "IOC")), "LIMIT": TIMES_IN_FORCE, "STOP": TIMES_IN_FORCE}
_FILLS = frozenset(("OPEN_ONLY", "REDUCE_FIRST", "REDUCE_ONLY", "DEFAULT"))
_TRIGGERS = frozenset(("DEFAULT", "INVERSE", "BID", "ASK", "MID"))
_OLD_SPELLINGS = {"POSITION_DEFAULT": "DEFAULT", "TRIGGER_DEFAULT": "DEFAULT"}
_UNSAFE = re.compile(r"[^ -~]|[/\\?#%]")
_TEXT_MAXIMUM = 128
ON_FILL = dict(zip(("takeProfitOnFill", "stopLossOnFill", "trailingStopLossOnFill"), DEPENDENTS, strict=True))


@dataclass(frozen=True, slots=True)
class Draft:
    """A request as far as it could be read.

    Attributes:
        kind: an order type.
        fields: of its transaction, as OANDA writes them.
        reject: why it is rejected, or None.
    """

    kind: str
    fields: Json
    reject: str | None = None


def kind_of(order: Any) -> str:
    """The type of an order request.

    Raises:
        BadRequest: no object, no type or an unknown one.
    """
    if order is not None and not isinstance(order, dict):
        raise BadRequest.of("order")
    kind = None if order is None else order.get("type")
    if kind is None:
        raise BadRequest(MISSING)
    if kind not in ORDER_KINDS:
        raise BadRequest.of("order.type")
    return str(kind)


def draft_entry(order: Json, instrument: Instrument, now: int) -> Draft:
    """A MARKET, LIMIT, STOP or MARKET_IF_TOUCHED request.

    Raises:
        BadRequest: a value that can't be read.
    """
    kind = kind_of(order)
    fields: Json = {"instrument": instrument.name}
    reader = Reader(order, fields, instrument, now)
    steps = [reader.units]
    if kind != "MARKET":
        steps.append(lambda: reader.price("price"))
    steps.append(lambda: reader.time_in_force(_ALLOWED.get(kind, _RESTING), "FOK" if kind == "MARKET" else "GTC"))
    if kind != "LIMIT":
        steps.append(reader.price_bound)
    steps.append(lambda: reader.choice("positionFill", _FILLS))
    if kind != "MARKET":
        steps.append(lambda: reader.choice("triggerCondition", _TRIGGERS))
    steps += [reader.on_fill, lambda: reader.extensions("clientExtensions", "CLIENT_ORDER")]
    steps.append(lambda: reader.extensions("tradeClientExtensions", "CLIENT_TRADE"))
    return _run(kind, fields, steps)


def draft_dependent(order: Json, kind: str, trade: Trade, instrument: Instrument, now: int) -> Draft:
    """A TAKE_PROFIT, STOP_LOSS or TRAILING_STOP_LOSS request for a trade.

    Raises:
        BadRequest: a value that can't be read.
    """
    fields: Json = {"tradeID": str(trade.id)}
    if trade.client_id is not None:
        fields["clientTradeID"] = trade.client_id
    reader = Reader(order, fields, instrument, now)
    steps: list[Any] = [lambda: reader.level(kind, trade.price, trade.side)]
    steps.append(lambda: reader.time_in_force(_RESTING, "GTC"))
    steps.append(lambda: reader.choice("triggerCondition", _TRIGGERS))
    steps.append(lambda: reader.extensions("clientExtensions", "CLIENT_ORDER"))
    return _run(kind, fields, steps)


def _run(kind: str, fields: Json, steps: list[Any]) -> Draft:
    """Read field by field; the first rejection counts, but everything is read, so that nothing unreadable passes."""
    reject: str | None = None
    for step in steps:
        try:
            step()
        except Rejected as refused:
            reject = reject or refused.reason
    return Draft(kind, fields, reject)


class Reader:
    """Reads the fields of one request.

    Args:
        given: the request.
        fields: where what was read goes.
        path: how messages name the request.
    """

    def __init__(self, given: Json, fields: Json, instrument: Instrument, now: int, path: str = "order") -> None:
        self._given, self._fields, self._instrument, self._now, self._path = given, fields, instrument, now, path

    def _decimal(self, name: str) -> Decimal | None:
        value = self._given.get(name)
        if value is None:
            return None
        try:
            return parse(value)
        except ValueError:
            raise BadRequest.of(f"{self._path}.{name}") from None

    def units(self) -> None:
        """Signed whole units within the instrument's limits."""
        units = self._decimal("units")
        if units is None:
            raise Rejected("UNITS_MISSING")
        self._fields["units"] = plain(units)
        if not units:
            raise Rejected("UNITS_INVALID")
        if abs(units) < 1:
            raise Rejected("UNITS_MIMIMUM_NOT_MET")
        if places(units):
            raise Rejected("UNITS_PRECISION_EXCEEDED")
        self._fields["units"] = str(int(units))
        if abs(units) > UNITS_MAXIMUM:
            raise Rejected("UNITS_LIMIT_EXCEEDED")

    def price(self, name: str, prefix: str = "") -> None:
        """A positive price of the instrument's precision."""
        price = self._decimal(name)
        if price is None:
            raise Rejected(f"{prefix}PRICE_MISSING")
        self._fields[name] = plain(price)
        if price <= 0:
            raise Rejected(f"{prefix}PRICE_INVALID")
        if places(price) > self._instrument.precision:
            raise Rejected(f"{prefix}PRICE_PRECISION_EXCEEDED")
        self._fields[name] = price_text(price, self._instrument.precision)

    def price_bound(self) -> None:
        """The worst price to fill at, if any."""
        bound = self._decimal("priceBound")
        if bound is None:
            return
        self._fields["priceBound"] = plain(bound)
        if bound <= 0:
            raise Rejected("PRICE_BOUND_INVALID")
        if places(bound) > self._instrument.precision:
            raise Rejected("PRICE_BOUND_PRECISION_EXCEEDED")
        self._fields["priceBound"] = price_text(bound, self._instrument.precision)

    def distance(self, prefix: str, trailing: bool) -> Decimal:
        """A positive distance in price units; a trailing one within the instrument's limits."""
        distance = self._decimal("distance")
        if distance is None:
            raise Rejected(f"{prefix}PRICE_DISTANCE_MISSING")
        kind = f"{prefix}DISTANCE" if prefix and not trailing else f"{prefix}PRICE_DISTANCE"
        self._fields["distance"] = plain(distance)
        if distance <= 0:
            raise Rejected(f"{kind}_INVALID")
        if places(distance) > self._instrument.precision:
            raise Rejected(f"{kind}_PRECISION_EXCEEDED")
        self._fields["distance"] = price_text(distance, self._instrument.precision)
        least, most = trailing_limits(self._instrument)
        if trailing and distance < least:
            raise Rejected(f"{prefix}PRICE_DISTANCE_MINIMUM_NOT_MET")
        if trailing and distance > most:
            raise Rejected(f"{prefix}PRICE_DISTANCE_MAXIMUM_EXCEEDED")
        return distance

    def level(self, kind: str, open_price: Decimal | None, side: int, prefix: str = "") -> None:
        """Where a dependent closes its trade: a price, or a distance."""
        if kind == "TAKE_PROFIT":
            return self.price("price", prefix)
        if kind == "TRAILING_STOP_LOSS":
            self.distance(prefix, trailing=True)
            return None
        if self._given.get("guaranteed"):
            raise Rejected(f"{prefix or 'STOP_LOSS_ORDER_'}GUARANTEED_NOT_ALLOWED")
        both = [name for name in ("price", "distance") if self._given.get(name) is not None]
        if len(both) == 2:
            raise Rejected(f"{prefix or 'STOP_LOSS_ORDER_'}PRICE_AND_DISTANCE_BOTH_SPECIFIED")
        if not both:
            raise Rejected(f"{prefix or 'STOP_LOSS_ORDER_'}PRICE_AND_DISTANCE_BOTH_MISSING")
        if both == ["price"]:
            return self.price("price", prefix)
        distance = self.distance(prefix, trailing=False)
        if open_price is not None:
            level = open_price - side * distance
            if level <= 0:
                raise Rejected(f"{prefix}PRICE_INVALID")
            self._fields["price"] = price_text(level, self._instrument.precision)
        return None

    def time_in_force(self, allowed: frozenset[str], default: str, prefix: str = "") -> None:
        """How long the order lives."""
        value = self._given.get("timeInForce", default)
        if value not in TIMES_IN_FORCE:
            raise BadRequest.of(f"{self._path}.timeInForce")
        self._fields["timeInForce"] = value
        if value not in allowed:
            raise Rejected(f"{prefix}TIME_IN_FORCE_INVALID")
        if value != "GTD":
            return
        gtd = f"{prefix}GTD" if prefix else "TIME_IN_FORCE_GTD"
        if self._given.get("gtdTime") is None:
            raise Rejected(f"{gtd}_TIMESTAMP_MISSING")
        try:
            time = parse_time(self._given["gtdTime"])
        except ValueError:
            raise BadRequest.of(f"{self._path}.gtdTime") from None
        self._fields["gtdTime"] = rfc3339(time)
        if time <= self._now:
            raise Rejected(f"{gtd}_TIMESTAMP_IN_PAST")

    def choice(self, name: str, allowed: frozenset[str]) -> None:
        """One of a few words, DEFAULT unless given."""
        value = self._given.get(name, "DEFAULT")
        value = _OLD_SPELLINGS.get(value, value) if isinstance(value, str) else value
        if not isinstance(value, str) or value not in allowed:
            raise BadRequest.of(f"{self._path}.{name}")
        self._fields[name] = value

    def extensions(self, name: str, prefix: str) -> None:
        """The client's id, tag and comment."""
        given = self._given.get(name)
        if given is None:
            return
        read = client_extensions(given, f"{self._path}.{name}", prefix)
        if read:
            self._fields[name] = read

    def on_fill(self) -> None:
        """The dependents to make when the order opens a trade."""
        for name, kind in ON_FILL.items():
            given = self._given.get(name)
            if given is None:
                continue
            if not isinstance(given, dict):
                raise BadRequest.of(f"{self._path}.{name}")
            fields: Json = {}
            inner = Reader(given, fields, self._instrument, self._now, f"{self._path}.{name}")
            prefix = f"{kind}_ON_FILL_"
            self._fields[name] = fields
            inner.level(kind, None, 0, prefix)
            inner.time_in_force(_RESTING, "GTC", prefix)
            inner.extensions("clientExtensions", f"{prefix}CLIENT_ORDER")


def client_extensions(given: Any, path: str, prefix: str) -> Json:
    """A checked `{id, tag, comment}`; what would break a path or a header is refused.

    Raises:
        BadRequest: no object of strings.
        Rejected: too long, or with such a character.
    """
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise BadRequest.of(path)
    read = {name: given[name] for name in ("id", "tag", "comment") if name in given}
    for name, text in read.items():
        unsafe = _UNSAFE.search(text) if name == "id" else not text.isprintable()
        if unsafe or len(text) > _TEXT_MAXIMUM or not (text or name != "id"):
            raise Rejected(f"{prefix}_{name.upper()}_INVALID")
    return read


def trailing_limits(instrument: Instrument) -> tuple[Decimal, Decimal]:
    """Smallest and largest trailing distance: 5 and 10,000 pips, as OANDA has for EUR_USD."""
    pip = Decimal(1).scaleb(instrument.pip_location)
    return 5 * pip, 10_000 * pip
