"""Margin, closeout, financing and conversions."""

from decimal import Decimal

from broker.account.margin import measure
from broker.account.placing import create_order
from broker.account.views import account_json, changes_json
from broker.types import DAY, HOUR
from tests.broker.account.market_place import START, kinds, new_account, order, show


def test_an_order_beyond_the_margin_is_cancelled() -> None:
    """Two percent of EUR/USD: 1,000 dollars carry at most 45,000 euros at 1.1 after the spread."""
    account = new_account(balance="1000")
    show(account, "1.10000", "1.10010")
    assert kinds(order(account, units=46000))[1] == "ORDER_CANCEL:INSUFFICIENT_MARGIN"
    assert kinds(order(account, units=90_000_000))[1] == "ORDER_CANCEL:INSUFFICIENT_MARGIN", "before the market's want"
    assert kinds(order(account, units=45000))[1] == "ORDER_FILL"
    assert kinds(order(account, units=-90000))[1] == "ORDER_FILL"
    assert measure(account.state, account.market).available >= 0


def test_margin_call_and_closeout() -> None:
    """A call when the value falls to the margin, the end of all positions when it falls to half of it."""
    account = new_account(balance="1000")
    show(account, "1.10000", "1.10000")
    order(account, units=40000)
    show(account, "1.09600", "1.09600")
    assert account.transactions[-1]["type"] == "MARGIN_CALL_ENTER"
    assert "marginCallEnterTime" in account_json(account)
    show(account, "1.09800", "1.09800")
    assert account.transactions[-1]["type"] == "MARGIN_CALL_EXIT"
    show(account, "1.08500", "1.08500")
    assert kinds(account.transactions[-2:]) == ["MARKET_ORDER", "ORDER_FILL"]
    assert account.transactions[-2]["reason"] == "MARGIN_CLOSEOUT"
    assert account.transactions[-1]["reason"] == "MARKET_ORDER_MARGIN_CLOSEOUT"
    assert not account.state.open
    assert account.state.balance == 400


def test_financing_is_paid_at_five_in_new_york() -> None:
    """On Wednesday for three days, on Saturday and Sunday not at all; the balance moves by its sum."""
    account = new_account(financing="-0.0365")
    show(account, "1.00000", "1.00000")
    order(account, units=10_000)
    account.advance(START + 8 * DAY)
    paid = [(one["time"][:13], one["financing"]) for one in account.transactions if one["type"] == "DAILY_FINANCING"]
    assert paid == [
        ("2014-05-01T21", "-1.0000"), ("2014-05-02T21", "-1.0000"), ("2014-05-05T21", "-1.0000"),
        ("2014-05-06T21", "-1.0000"), ("2014-05-07T21", "-3.0000"), ("2014-05-08T21", "-1.0000"),
    ]  # fmt: skip
    assert account.state.balance == Decimal(100_000 - 8)
    assert account.state.trades[4].financing == -8
    assert account.state.financing == -8


def test_flat_accounts_pay_no_financing() -> None:
    """No trade, no transaction."""
    account = new_account(financing="-0.0365")
    account.advance(START + 3 * DAY)
    assert account.last_id == "2"


def test_winter_time_moves_the_hour() -> None:
    """17:00 in New York is 22:00Z in winter."""
    account = new_account(financing="-0.0365")
    account.advance(START + 200 * DAY)
    show(account, "1.00000", "1.00000")
    order(account)
    account.advance(account.now + DAY)
    assert account.transactions[-1]["time"][11:13] == "22"


def test_profit_is_converted_at_the_rate_of_the_fill() -> None:
    """Yen become dollars through USD/JPY as it stands when the trade closes."""
    account = new_account()
    asked = {"type": "MARKET", "instrument": "GBP_JPY", "units": "1000"}
    show(account, "150.000", "150.000", "GBP_JPY")
    create_order(account, asked)
    show(account, "99.990", "100.010", "USD_JPY")
    show(account, "151.000", "151.000", "GBP_JPY")
    fill = create_order(account, {**asked, "units": "-1000"})[1]
    assert (fill["pl"], fill["gainQuoteHomeConversionFactor"]) == ("10.0000", "0.01")
    assert account.state.balance == 100_010


def test_changes_name_what_happened_since() -> None:
    """Each order and trade stands in the list of its latest changes, and the prices' part is the state now."""
    account = new_account()
    show(account, "1.10000", "1.10010")
    order(account, units=100)
    since = int(account.last_id)
    order(account, units=-40)
    order(account, "LIMIT", price="1.0")
    changes, state = changes_json(account, since)
    assert [len(changes[name]) for name in ("ordersCreated", "ordersFilled", "tradesReduced", "tradesOpened")] == [
        2,
        1,
        1,
        0,
    ]
    assert [one["id"] for one in changes["transactions"]] == ["5", "6", "7"]
    assert (changes["positions"][0]["long"]["units"], state["trades"][0]["id"]) == ("60", "4")
    assert changes_json(account, int(account.last_id))[0]["transactions"] == []


def test_time_never_goes_back() -> None:
    """A price older than the clock moves the price, not the clock."""
    account = new_account()
    account.advance(START + HOUR)
    show(account, "1.10000", "1.10010", after=-100)
    assert account.now == START + HOUR
