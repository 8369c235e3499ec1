"""The control plane: prices, halts, faults and the clock, by hand. Not part of OANDA's API."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from aiohttp import web

from broker.account import BadRequest, Price, Tier
from broker.account.numbers import parse, parse_time, places
from broker.bars import BarSize
from broker.emulator.answers import error
from broker.emulator.exchange import TIER_UNITS, Exchange, Json
from broker.emulator.faults import Faults
from broker.emulator.params import body_of, instrument_name
from broker.emulator.playback import Playback
from broker.emulator.streams import Streams
from broker.rfc3339 import rfc3339

_SPEED_MAXIMUM = 1e6


class Control:
    """Handlers of the control plane."""

    def __init__(self, exchange: Exchange, playback: Playback, streams: Streams, faults: Faults) -> None:
        self._exchange, self._playback, self._streams, self._faults = exchange, playback, streams, faults

    def routes(self, root: str) -> list[web.RouteDef]:
        """Path and handler of each operation."""
        posts: dict[str, Callable[[Json], Json]] = {
            "price": self.price,
            "halt": self.halt,
            "faults": self.faults,
            "clock": self.clock,
            "ack": self.ack,
        }
        return [web.post(f"{root}/{name}", _handler(act)) for name, act in posts.items()]

    def price(self, body: Json) -> Json:
        """Set a price, with tiers if given, and do all that it sets off before answering."""
        name = self._name(body)
        instrument = self._exchange.instruments[name]
        bids, asks = (self._tiers(body, side, instrument.precision) for side in ("bid", "ask"))
        if bids[0].price > asks[0].price:
            raise BadRequest.of("bid")
        time = self._exchange.next_free_time(name) if "time" not in body else self._time(body["time"])
        self._exchange.set_price(name, Price(time, bids, asks))
        return {"price": self._exchange.price_json(name), "lastTransactionID": self._exchange.account.last_id}

    def halt(self, body: Json) -> Json:
        """Halt an instrument or let it trade again."""
        name, halted = self._name(body), body.get("halted", True)
        if not isinstance(halted, bool):
            raise BadRequest.of("halted")
        self._exchange.halt(name, halted)
        return {"price": self._exchange.price_json(name)}

    def faults(self, body: Json) -> Json:
        """Change the faults; the answer shows those in force."""
        try:
            numbers = {name: _number(value) for name, value in body.items() if name != "next"}
            following = {name: _number(value) for name, value in dict(body.get("next", {})).items()}
            self._faults.change({**numbers, **({"next": following} if following else {})})
        except (ValueError, TypeError) as problem:
            raise BadRequest(str(problem)) from None
        return self._faults.shown()

    def clock(self, body: Json) -> Json:
        """Change the pace (`speed`: a factor, or "max"), the client's bar (`bar_ns`), or go to a `time`."""
        if "speed" in body:
            speed = 0.0 if body["speed"] == "max" else _number(body["speed"])
            if not isinstance(speed, int | float) or not 0 <= speed <= _SPEED_MAXIMUM:
                raise BadRequest.of("speed")
            self._playback.set_speed(float(speed))
            self._streams.conflate = speed > 0
        if "bar_ns" in body or "bar_ticks" in body:
            name = "bar_ns" if "bar_ns" in body else "bar_ticks"
            size = body[name]
            if not isinstance(size, int) or size <= 0:
                raise BadRequest.of(name)
            self._playback.set_bar(BarSize(clock=name == "bar_ns", size=size))
        if "time" in body:
            time = self._time(body["time"])
            if time < self._exchange.now:
                raise BadRequest.of("time")
            self._playback.jump(time)
        return {"time": rfc3339(self._exchange.now), "moving": self._playback.is_moving}

    def ack(self, body: Json) -> Json:
        """The client has decided at a boundary: `time` (the one waited for), `orders` sent for it, `guards`, and
        whether `near_stops` fill: all optional."""
        orders, near_stops = body.get("orders", 0), body.get("near_stops", False)
        if not isinstance(orders, int) or not 0 <= orders <= 1000:
            raise BadRequest.of("orders")
        if not isinstance(near_stops, bool):
            raise BadRequest.of("near_stops")
        self._exchange.account.near_stops = near_stops
        time = self._time(body["time"]) if "time" in body else None
        self._playback.acknowledge(time, orders, self._guards(body["guards"]) if "guards" in body else None)
        return {"time": rfc3339(self._exchange.now)}

    def _guards(self, said: Any) -> dict[str, tuple[int, int]]:
        """`{instrument: [side, floor]}`."""
        try:
            found = {self._name({"instrument": name}): (int(side), int(floor)) for name, (side, floor) in said.items()}
        except (ValueError, TypeError, AttributeError):
            raise BadRequest.of("guards") from None
        if any(side not in (-1, 0, 1) for side, _ in found.values()):
            raise BadRequest.of("guards")
        return found

    def _name(self, body: Json) -> str:
        return instrument_name(str(body.get("instrument")), self._exchange.instruments)

    def _time(self, text: Any) -> int:
        try:
            return max(parse_time(text), self._exchange.now)
        except ValueError:
            raise BadRequest.of("time") from None

    def _tiers(self, body: Json, side: str, precision: int) -> tuple[Tier, ...]:
        """`bids` or `asks` as pricing shows them, or the one price and a second tier a point worse."""
        worse = Decimal(-1 if side == "bid" else 1).scaleb(-precision)
        try:
            given = body.get(f"{side}s")
            if given is None:
                price = parse(body.get(side))
                tiers = [Tier(price, TIER_UNITS), Tier(price + worse, TIER_UNITS)]
            else:
                tiers = [Tier(parse(one["price"]), int(one["liquidity"])) for one in given]
        except (ValueError, TypeError, KeyError):
            raise BadRequest.of(side) from None
        if not tiers or any(tier.price <= 0 or places(tier.price) > precision or tier.liquidity < 1 for tier in tiers):
            raise BadRequest.of(side)
        return tuple(tiers)


def _handler(act: Callable[[Json], Json]) -> Callable[[web.Request], Any]:
    async def handle(request: web.Request) -> web.Response:
        try:
            return web.json_response(act(await body_of(request, may_be_empty=True)))
        except BadRequest as refused:
            return error(400, refused.message)

    return handle


def _number(value: Any) -> Any:
    """JSON's decimals arrive as text (they are read exactly); here they are numbers."""
    return float(value) if isinstance(value, str) else value
