"""OANDA's JSON is read exactly and tolerantly, and written strictly."""

import json
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import BadInput
from broker.instruments import instrument
from broker.oanda import wire
from broker.rfc3339 import rfc3339
from broker.types import Instrument, Order

EUR_USD, USD_JPY = instrument("EUR_USD"), instrument("USD_JPY")
BOTH = {"EUR_USD": EUR_USD, "USD_JPY": USD_JPY}
NS = st.integers(0, 4_000_000_000 * 10**9)


@given(st.decimals(min_value=0, max_value=10**9, places=7, allow_nan=False), st.integers(0, 5))
def test_prices_become_points_exactly(price: Decimal, precision: int) -> None:
    """A price is rounded half away from zero to the instrument's points, by decimal arithmetic alone."""
    expected = int((price * 10**precision).quantize(Decimal(1), ROUND_HALF_UP))
    assert wire.to_points(str(price), precision) == expected
    assert wire.to_points(f"{expected / 1}".split(".")[0], 0) == expected


@given(st.integers(1, 10**9), st.sampled_from([EUR_USD, USD_JPY]))
def test_points_survive_the_wire(points: int, pair: Instrument) -> None:
    """What is written as a price is read as the same points, with the instrument's digits."""
    text = str(pair.price(points))
    assert len(text.partition(".")[2]) == pair.precision
    assert wire.to_points(text, pair.precision) == points
    assert wire.to_points(text + "00", pair.precision) == points


@given(NS)
def test_both_forms_of_time_are_read_to_the_nanosecond(time: int) -> None:
    """R19: RFC 3339 with nine decimals and UNIX seconds mean the same; trailing zeros may be missing."""
    second, fraction = divmod(time, 10**9)
    assert wire.parse_time(rfc3339(time)) == time
    assert wire.parse_time(f"{second}.{fraction:09d}") == time
    assert wire.parse_time(f"{second}.{fraction:09d}".rstrip("0").rstrip(".")) == time


@pytest.mark.parametrize("bad", ["", "yesterday", "2016-06-22", "-1", "1e9", "2016-13-01T00:00:00Z", None, {}, "NaN"])
def test_what_is_no_time_is_refused(bad: object) -> None:
    """A time that cannot be read is an error, never a guess."""
    with pytest.raises(ValueError, match=r"."):
        wire.parse_time(bad)


@pytest.mark.parametrize("bad", ["", "NaN", "Infinity", "1e400", "1,5", None, [], "0x10", "9" * 20])
def test_what_is_no_price_is_refused(bad: object) -> None:
    """Nothing but a finite decimal below a million millions becomes points."""
    with pytest.raises(ValueError, match=r"."):
        wire.to_points(bad, 5)


@pytest.mark.parametrize("bad", ["", "-1", "1.0", "x", "9" * 30, None, "²"])
def test_what_is_no_id_is_refused(bad: object) -> None:
    """Ids are whole numbers, as text or not."""
    with pytest.raises(ValueError, match=r"."):
        wire.parse_id(bad)
    assert wire.parse_id("17") == wire.parse_id(17) == 17


def line(**more: object) -> bytes:
    """A price of the stream as recorded by others, with changes."""
    said = {"type": "PRICE", "time": "2016-06-22T18:41:35.034041665Z", "instrument": "EUR_USD", "tradeable": True,
            "bids": [{"price": "1.13030", "liquidity": 10000000}, {"price": "1.13028", "liquidity": "10000000"}],
            "asks": [{"price": "1.13041", "liquidity": 10000000}], "status": "tradeable"}  # fmt: skip
    return json.dumps(said | more).encode()


def test_a_price_has_all_its_tiers() -> None:
    """The first tier is the quote; liquidity may be a number or text (contract 3.2)."""
    price = wire.price(wire.parse_line(line(tags=["new"], someday={"x": 1.5})), BOTH)
    assert (price.time, price.bid, price.ask, price.tradeable) == (1466620895034041665, 113030, 113041, True)
    assert price.bids == ((113030, 10**7), (113028, 10**7))


@pytest.mark.parametrize("more", [{"tradeable": False}, {"bids": []}, {"asks": []}, {"status": "non-tradeable"}])
def test_what_cannot_be_traded_on_says_so(more: dict[str, object]) -> None:
    """A closed market's snapshot and an empty side are prices that nobody may trade on."""
    assert not wire.price(wire.parse_line(line(**more)), BOTH).tradeable


@pytest.mark.parametrize("more", [{"instrument": "XXX_YYY"}, {"time": "?"}, {"bids": [{}]}, {"bids": 3}])
def test_odd_prices_are_value_errors(more: dict[str, object]) -> None:
    """What cannot be understood is a ValueError, which the feed counts."""
    with pytest.raises(ValueError, match=r"."):
        wire.price(wire.parse_line(line(**more)), BOTH)


@pytest.mark.parametrize("bad", [b"", b"{", b"[]", b"\xff{}", b"1", b'{"a": 1', b"[" * 100_000])
def test_half_lines_are_value_errors(bad: bytes) -> None:
    """Whatever is not one whole JSON object is told as a ValueError, deep nesting included."""
    with pytest.raises(ValueError, match=r"."):
        wire.parse_line(bad)


@given(st.binary(max_size=200))
def test_no_line_crashes_the_parser(data: bytes) -> None:
    """Any bytes give a message or a ValueError."""
    try:
        message = wire.parse_line(data)
    except ValueError:
        return
    assert isinstance(message, dict)


def order(**more: object) -> Order:
    """An entry of EUR_USD."""
    said = {"id": "mt-a-1", "time": 0, "instrument": "EUR_USD", "units": 1000, "stop_distance": 305,
            "take_profit_distance": 0, "reason": "entry", "opens": 1, "model": "m"}  # fmt: skip
    return Order(**(said | more))  # type: ignore[arg-type]


def test_an_entry_carries_stop_bound_and_names() -> None:
    """R8, R13, R18: text decimals, the stop with the order, the worst price, and one id for order and trade."""
    body = wire.order_body(order(), EUR_USD, 113030, 113041, 113141)["order"]
    assert body == {
        "type": "MARKET",
        "instrument": "EUR_USD",
        "units": "1000",
        "timeInForce": "FOK",
        "positionFill": "DEFAULT",
        "priceBound": "1.13141",
        "clientExtensions": {"id": "mt-a-1", "tag": "entry"},
        "tradeClientExtensions": {"id": "mt-a-1"},
        "stopLossOnFill": {"distance": "0.00305", "timeInForce": "GTC"},
    }


def test_an_exit_can_only_reduce() -> None:
    """An exit whose position a stop has closed opens nothing."""
    body = wire.order_body(order(units=-1000, opens=0, reason="close"), EUR_USD, 113030, 113041, None)["order"]
    assert body["positionFill"] == "REDUCE_ONLY"
    assert body.keys().isdisjoint({"stopLossOnFill", "tradeClientExtensions", "priceBound"})


def test_no_float_is_ever_written() -> None:
    """Every number of a body is text."""

    def numbers(value: object) -> list[object]:
        if isinstance(value, dict):
            return [found for inner in value.values() for found in numbers(inner)]
        return [] if isinstance(value, str) else [value]

    body = wire.order_body(order(take_profit_distance=700), USD_JPY, 150123, 150130, 150200)
    assert numbers(body) == []
    assert body["order"]["takeProfitOnFill"]["price"] == "150.830"


@pytest.mark.parametrize("bad", ["", "a/b", "a b", "x" * 65, "mt\n", "a?b", "ä", "mt-1\r\nHost: x"])
def test_client_ids_that_could_break_a_path_are_refused(bad: str) -> None:
    """R8: letters, digits and _.- only."""
    with pytest.raises(BadInput):
        wire.order_body(order(id=bad), EUR_USD, 1, 2, None)


def test_instruments_and_candles_are_read() -> None:
    """Precision comes from the broker; a candle needs both sides."""
    found = wire.instrument({"name": "USD_JPY", "pipLocation": "-2", "displayPrecision": 3, "marginRate": "0.04"})
    assert found == USD_JPY
    sides = {side: {"o": "1.1", "h": "1.3", "l": "1.0", "c": "1.2"} for side in ("bid", "ask")}
    candle = wire.candle({"time": "1466620895", "volume": "7", "complete": False, **sides}, 1)
    assert (candle.bid, candle.ticks, candle.complete) == ((11, 13, 10, 12), 7, False)
    with pytest.raises(ValueError, match="bid and ask"):
        wire.candle({"time": "0", "mid": {}}, 5)
