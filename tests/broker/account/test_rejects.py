"""What is rejected, and how it is called."""

from typing import Any

import pytest

from broker.account import BadRequest
from broker.account.placing import create_order
from tests.broker.account.market_place import kinds, new_account, show

LIMIT = {"type": "LIMIT", "instrument": "EUR_USD", "units": "10", "price": "1.0"}
MARKET = {"type": "MARKET", "instrument": "EUR_USD", "units": "10"}
REJECTS: list[tuple[dict[str, Any], str]] = [
    ({**MARKET, "units": None}, "UNITS_MISSING"),
    ({**MARKET, "units": "0"}, "UNITS_INVALID"),
    ({**MARKET, "units": "0.5"}, "UNITS_MIMIMUM_NOT_MET"),
    ({**MARKET, "units": "1.5"}, "UNITS_PRECISION_EXCEEDED"),
    ({**MARKET, "units": "100000001"}, "UNITS_LIMIT_EXCEEDED"),
    ({"type": "MARKET", "units": "1"}, "INSTRUMENT_MISSING"),
    ({**MARKET, "timeInForce": "GTC"}, "TIME_IN_FORCE_INVALID"),
    ({**MARKET, "priceBound": "1.123456"}, "PRICE_BOUND_PRECISION_EXCEEDED"),
    ({**MARKET, "priceBound": "0"}, "PRICE_BOUND_INVALID"),
    ({**LIMIT, "price": None}, "PRICE_MISSING"),
    ({**LIMIT, "price": "-1"}, "PRICE_INVALID"),
    ({**LIMIT, "price": "1.123456"}, "PRICE_PRECISION_EXCEEDED"),
    ({**LIMIT, "timeInForce": "GTD"}, "TIME_IN_FORCE_GTD_TIMESTAMP_MISSING"),
    ({**LIMIT, "timeInForce": "GTD", "gtdTime": "2000-01-01T00:00:00Z"}, "TIME_IN_FORCE_GTD_TIMESTAMP_IN_PAST"),
    ({**LIMIT, "clientExtensions": {"id": "a/b"}}, "CLIENT_ORDER_ID_INVALID"),
    ({**LIMIT, "clientExtensions": {"id": "a\r\nb"}}, "CLIENT_ORDER_ID_INVALID"),
    ({**LIMIT, "clientExtensions": {"id": ""}}, "CLIENT_ORDER_ID_INVALID"),
    ({**LIMIT, "clientExtensions": {"id": "x" * 129}}, "CLIENT_ORDER_ID_INVALID"),
    ({**LIMIT, "clientExtensions": {"comment": "x\n"}}, "CLIENT_ORDER_COMMENT_INVALID"),
    ({**LIMIT, "tradeClientExtensions": {"id": "?"}}, "CLIENT_TRADE_ID_INVALID"),
    ({**LIMIT, "stopLossOnFill": {}}, "STOP_LOSS_ON_FILL_PRICE_AND_DISTANCE_BOTH_MISSING"),
    (
        {**LIMIT, "stopLossOnFill": {"price": "1", "distance": "1"}},
        "STOP_LOSS_ON_FILL_PRICE_AND_DISTANCE_BOTH_SPECIFIED",
    ),
    ({**LIMIT, "stopLossOnFill": {"price": "1.1234567"}}, "STOP_LOSS_ON_FILL_PRICE_PRECISION_EXCEEDED"),
    ({**LIMIT, "stopLossOnFill": {"distance": "-1"}}, "STOP_LOSS_ON_FILL_DISTANCE_INVALID"),
    ({**LIMIT, "stopLossOnFill": {"price": "1", "guaranteed": True}}, "STOP_LOSS_ON_FILL_GUARANTEED_NOT_ALLOWED"),
    ({**LIMIT, "takeProfitOnFill": {}}, "TAKE_PROFIT_ON_FILL_PRICE_MISSING"),
    ({**LIMIT, "takeProfitOnFill": {"price": "1", "timeInForce": "FOK"}}, "TAKE_PROFIT_ON_FILL_TIME_IN_FORCE_INVALID"),
    ({**LIMIT, "takeProfitOnFill": {"price": "1", "timeInForce": "GTD"}}, "TAKE_PROFIT_ON_FILL_GTD_TIMESTAMP_MISSING"),
    ({**LIMIT, "trailingStopLossOnFill": {}}, "TRAILING_STOP_LOSS_ON_FILL_PRICE_DISTANCE_MISSING"),
    (
        {**LIMIT, "trailingStopLossOnFill": {"distance": "0.0001"}},
        "TRAILING_STOP_LOSS_ON_FILL_PRICE_DISTANCE_MINIMUM_NOT_MET",
    ),
    (
        {**LIMIT, "trailingStopLossOnFill": {"distance": "2"}},
        "TRAILING_STOP_LOSS_ON_FILL_PRICE_DISTANCE_MAXIMUM_EXCEEDED",
    ),
    ({"type": "TAKE_PROFIT", "price": "1"}, "TRADE_ID_UNSPECIFIED"),
    ({"type": "TAKE_PROFIT", "price": "1", "tradeID": "9"}, "TRADE_DOESNT_EXIST"),
]
UNREADABLE: list[tuple[Any, str]] = [
    (None, "The request was missing required data"),
    ({}, "The request was missing required data"),
    ("x", "Invalid value specified for 'order'"),
    ({"type": "NO"}, "Invalid value specified for 'order.type'"),
    ({**MARKET, "instrument": "NO_SUCH"}, "Invalid value specified for 'order.instrument'"),
    ({**MARKET, "instrument": 7}, "Invalid value specified for 'order.instrument'"),
    ({**MARKET, "units": "many"}, "Invalid value specified for 'order.units'"),
    ({**MARKET, "units": "1e9"}, "Invalid value specified for 'order.units'"),
    ({**MARKET, "units": "NaN"}, "Invalid value specified for 'order.units'"),
    ({**MARKET, "units": True}, "Invalid value specified for 'order.units'"),
    ({**MARKET, "units": [1]}, "Invalid value specified for 'order.units'"),
    ({**MARKET, "timeInForce": "SOON"}, "Invalid value specified for 'order.timeInForce'"),
    ({**MARKET, "positionFill": {}}, "Invalid value specified for 'order.positionFill'"),
    ({**LIMIT, "gtdTime": "soon", "timeInForce": "GTD"}, "Invalid value specified for 'order.gtdTime'"),
    ({**LIMIT, "stopLossOnFill": "1.0"}, "Invalid value specified for 'order.stopLossOnFill'"),
    ({**LIMIT, "clientExtensions": {"id": 7}}, "Invalid value specified for 'order.clientExtensions'"),
]


@pytest.mark.parametrize(("asked", "reason"), REJECTS, ids=[reason for _, reason in REJECTS])
def test_rejects_leave_a_transaction_with_the_reason(asked: dict[str, Any], reason: str) -> None:
    """A request that is understood and refused is one reject transaction, and changes nothing else."""
    account = new_account()
    show(account, "1.10000", "1.10010")
    assert kinds(create_order(account, asked)) == [f"{asked['type']}_ORDER_REJECT:{reason}"]
    assert account.last_id == "3"
    assert not account.state.orders


@pytest.mark.parametrize(("asked", "message"), UNREADABLE)
def test_what_cannot_be_read_leaves_no_transaction(asked: Any, message: str) -> None:
    """Malformed requests are a 400 and nothing more."""
    account = new_account()
    show(account, "1.10000", "1.10010")
    with pytest.raises(BadRequest) as refused:
        create_order(account, asked)
    assert refused.value.message == message
    assert account.last_id == "2"


def test_zeros_at_the_end_are_no_precision() -> None:
    """oandapyV20's own builders send five decimals for yen pairs too."""
    account = new_account()
    show(account, "149.900", "150.000", "USD_JPY")
    asked = {"type": "LIMIT", "instrument": "USD_JPY", "units": 10, "price": "140.12300"}
    assert create_order(account, asked)[0]["price"] == "140.123"


def test_prices_come_back_with_the_instruments_decimals() -> None:
    """However they were written."""
    account = new_account()
    show(account, "1.10000", "1.10010")
    created = create_order(account, {**MARKET, "priceBound": "1.2", "stopLossOnFill": {"price": 1}})[0]
    assert (created["priceBound"], created["stopLossOnFill"]["price"]) == ("1.20000", "1.00000")


def test_old_spellings_are_understood() -> None:
    """Old clients say POSITION_DEFAULT and TRIGGER_DEFAULT."""
    account = new_account()
    asked = {**LIMIT, "positionFill": "POSITION_DEFAULT", "triggerCondition": "TRIGGER_DEFAULT"}
    created = create_order(account, asked)[0]
    assert (created["positionFill"], created["triggerCondition"]) == ("DEFAULT", "DEFAULT")
