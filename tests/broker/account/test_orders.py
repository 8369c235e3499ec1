"""Orders of every type: when they fill, at what price, and what follows."""

from decimal import Decimal

import pytest

from broker.account import Price, Tier
from broker.account.closing import close_position, close_trade, set_dependents
from broker.account.placing import cancel_order, create_order, find_order, find_trade, replace_order
from broker.types import HOUR, SECOND
from tests.broker.account.market_place import START, kinds, new_account, order, show


def test_a_market_order_buys_at_the_ask_and_sells_at_the_bid() -> None:
    """Fills are at the side that the order takes; the create and the fill share a batch."""
    account = new_account()
    show(account, "1.10000", "1.10010")
    bought, sold = order(account), order(account, units=-1000)
    assert [bought[1]["price"], sold[1]["price"]] == ["1.10010", "1.10000"]
    assert bought[1]["batchID"] == bought[0]["id"] == "3"
    assert sold[1]["tradesClosed"][0] == {
        **sold[1]["tradesClosed"][0], "tradeID": "4", "units": "-1000", "realizedPL": "-0.1000",
    }  # fmt: skip
    assert account.state.balance == Decimal("99999.9")


def test_netting_closes_the_oldest_first() -> None:
    """An opposite order reduces trades in the order of their opening, and opens with what is left."""
    account = new_account()
    show(account, "1.10000", "1.10000")
    for units in (100, 200, 300):
        order(account, units=units)
    fill = order(account, units=-250)[1]
    assert [part["tradeID"] for part in fill["tradesClosed"]] == ["4"]
    assert (fill["tradeReduced"]["tradeID"], fill["tradeReduced"]["units"]) == ("6", "-150")
    fill = order(account, units=-1000)[1]
    assert [part["units"] for part in fill["tradesClosed"]] == ["-50", "-300"]
    assert fill["tradeOpened"]["units"] == "-650"


@pytest.mark.parametrize(
    ("how", "units", "result"),
    [
        ("OPEN_ONLY", -100, "ORDER_CANCEL:FIFO_VIOLATION"),
        ("REDUCE_ONLY", 100, "ORDER_CANCEL:POSITION_CLOSEOUT_FAILED"),
        ("REDUCE_ONLY", -5000, "ORDER_FILL"),
        ("REDUCE_FIRST", -100, "ORDER_FILL"),
    ],
)
def test_position_fill_says_what_may_open_and_close(how: str, units: int, result: str) -> None:
    """OPEN_ONLY never reduces, REDUCE_ONLY never opens."""
    account = new_account()
    show(account, "1.10000", "1.10000")
    order(account)
    assert kinds(order(account, units=units, positionFill=how))[1] == result
    assert account.state.position("EUR_USD") >= 0


@pytest.mark.parametrize(
    ("kind", "units", "price", "untouched", "touched", "at"),
    [
        ("LIMIT", 1000, "1.09", ("1.0901", "1.0902"), ("1.0898", "1.0899"), "1.08990"),
        ("LIMIT", -1000, "1.11", ("1.1099", "1.1101"), ("1.1102", "1.1103"), "1.11020"),
        ("STOP", 1000, "1.11", ("1.1098", "1.1099"), ("1.1101", "1.1102"), "1.11020"),
        ("STOP", -1000, "1.09", ("1.0901", "1.0902"), ("1.0899", "1.0900"), "1.08990"),
        ("MARKET_IF_TOUCHED", 1000, "1.09", ("1.0900", "1.0901"), ("1.0899", "1.0900"), "1.09000"),
        ("MARKET_IF_TOUCHED", 1000, "1.11", ("1.1098", "1.1099"), ("1.1101", "1.1102"), "1.11020"),
    ],
)
def test_pending_orders_fill_when_their_price_is_reached(
    kind: str, units: int, price: str, untouched: tuple[str, str], touched: tuple[str, str], at: str
) -> None:
    """LIMIT at its price or better, STOP at it or worse, IF_TOUCHED from either side; buys by the ask."""
    account = new_account()
    show(account, "1.10000", "1.10010")
    created = order(account, kind, units, price=price)
    assert kinds(created) == [f"{kind}_ORDER"]
    show(account, *untouched)
    assert account.last_id == created[0]["id"]
    show(account, *touched)
    fill = account.transactions[-1]
    assert (fill["type"], fill["reason"], fill["price"]) == ("ORDER_FILL", f"{kind}_ORDER", at)


def test_a_marketable_limit_fills_at_once_at_the_better_price() -> None:
    """Price improvement belongs to the client."""
    account = new_account()
    show(account, "1.10000", "1.10010")
    assert order(account, "LIMIT", price="1.2")[1]["price"] == "1.10010"


@pytest.mark.parametrize(("trigger", "fires"), [("BID", False), ("ASK", True), ("MID", True), ("INVERSE", False)])
def test_trigger_conditions_choose_the_price_that_counts(trigger: str, fires: bool) -> None:
    """A buy STOP looks at the ask unless told otherwise."""
    account = new_account()
    show(account, "1.10000", "1.10010")
    order(account, "STOP", price="1.1010", triggerCondition=trigger)
    show(account, "1.10090", "1.10110")
    assert (account.transactions[-1]["type"] == "ORDER_FILL") is fires


def test_dependents_come_with_the_fill_and_go_with_the_trade() -> None:
    """They share the fill's batch with reason ON_FILL, and the close of the trade cancels the others."""
    account = new_account()
    show(account, "1.10000", "1.10010")
    written = order(
        account, stopLossOnFill={"distance": "0.0020"}, takeProfitOnFill={"price": "1.12"},
        trailingStopLossOnFill={"distance": "0.0030"}, tradeClientExtensions={"id": "t-1"},
    )  # fmt: skip
    assert kinds(written)[2:] == ["TAKE_PROFIT_ORDER", "STOP_LOSS_ORDER", "TRAILING_STOP_LOSS_ORDER"]
    assert {one["batchID"] for one in written} == {"3"}
    assert {one["reason"] for one in written[2:]} == {"ON_FILL"}
    assert written[3]["price"] == "1.09810"
    show(account, "1.09810", "1.09820")
    assert kinds(account.transactions[-3:]) == [
        "ORDER_FILL", "ORDER_CANCEL:LINKED_TRADE_CLOSED", "ORDER_CANCEL:LINKED_TRADE_CLOSED",
    ]  # fmt: skip
    assert account.transactions[-3]["reason"] == "STOP_LOSS_ORDER"
    assert not account.state.pending
    assert not account.state.open


def test_a_trailing_stop_follows_the_best_price() -> None:
    """Its value moves in the trade's favour only."""
    account = new_account()
    show(account, "1.10000", "1.10010")
    order(account, trailingStopLossOnFill={"distance": "0.0010"})
    (stop,) = account.state.pending.values()
    marks = []
    for bid in ("1.10000", "1.10200", "1.10150", "1.10110"):
        show(account, bid, bid)
        marks.append(str(stop.mark))
    assert marks == ["1.09900", "1.10100", "1.10100", "1.10100"]
    show(account, "1.10095", "1.10100")
    assert account.transactions[-1]["reason"] == "TRAILING_STOP_LOSS_ORDER"
    assert account.transactions[-1]["price"] == "1.10095"


@pytest.mark.parametrize(
    ("life", "due"),
    [
        ({"timeInForce": "GFD"}, START + 21 * HOUR),
        ({"timeInForce": "GTD", "gtdTime": "2014-05-01T12:00:00Z"}, START + 12 * HOUR),
        ({"timeInForce": "GTD", "gtdTime": "1398945600.000000000"}, START + 12 * HOUR),
    ],
)
def test_orders_end_when_their_time_is_over(life: dict[str, str], due: int) -> None:
    """Good for a day ends at 17:00 New York, good till a date at its time, whether quotes come or not."""
    account = new_account()
    show(account, "1.10000", "1.10010")
    order(account, "LIMIT", price="1.0", **life)
    account.advance(due - 1)
    assert account.state.pending
    account.advance(due + HOUR)
    assert kinds(account.transactions[-1:]) == ["ORDER_CANCEL:TIME_IN_FORCE_EXPIRED"]
    assert account.transactions[-1]["time"] == find_order(account, "3").ending["cancelledTime"]  # type: ignore[union-attr]
    assert account.now == due + HOUR


def test_brief_orders_do_not_wait() -> None:
    """A LIMIT that must fill or be killed is cancelled where it can't fill."""
    account = new_account()
    show(account, "1.10000", "1.10010")
    assert kinds(order(account, "LIMIT", price="1.0", timeInForce="FOK")) == [
        "LIMIT_ORDER", "ORDER_CANCEL:TIME_IN_FORCE_EXPIRED",
    ]  # fmt: skip


def test_large_orders_walk_the_tiers() -> None:
    """What the best tier lacks comes from the next: the price is the mean, the full one is beside it."""
    account = new_account(balance="10000000")
    tiers = tuple(Tier(Decimal(price), 1_000_000) for price in ("1.1001", "1.1003"))
    account.quote("EUR_USD", Price(START + SECOND, (Tier(Decimal("1.1"), 10**7),), tiers))
    fill = order(account, units=1_500_000)[1]
    assert fill["price"] == "1.10017"
    assert Decimal(fill["fullVWAP"]) == Decimal("1.100166666667")
    assert kinds(order(account, units=2_500_000)) == ["MARKET_ORDER", "ORDER_CANCEL:INSUFFICIENT_LIQUIDITY"]
    partly = order(account, units=2_500_000, timeInForce="IOC")
    assert partly[1]["units"] == "2000000"


def test_the_price_bound_holds() -> None:
    """No part fills beyond it: all or nothing for FOK, the part within it for IOC."""
    account = new_account(balance="10000000")
    tiers = tuple(Tier(Decimal(price), 1_000_000) for price in ("1.1001", "1.1003"))
    account.quote("EUR_USD", Price(START + SECOND, (Tier(Decimal("1.1"), 10**7),), tiers))
    bound = {"priceBound": "1.1002"}
    assert kinds(order(account, units=1_500_000, **bound))[1] == "ORDER_CANCEL:BOUNDS_VIOLATION"
    assert order(account, units=1_500_000, timeInForce="IOC", **bound)[1]["units"] == "1000000"
    assert kinds(order(account, priceBound="1.0"))[1] == "ORDER_CANCEL:BOUNDS_VIOLATION"


def test_a_halted_market_cancels_market_orders_and_keeps_pending_ones() -> None:
    """MARKET_HALTED comes as creation and cancellation; at the reopening the pending meet the price."""
    account = new_account()
    show(account, "1.10000", "1.10010")
    order(account, "LIMIT", price="1.09")
    account.halt("EUR_USD", True)
    assert kinds(order(account)) == ["MARKET_ORDER", "ORDER_CANCEL:MARKET_HALTED"]
    show(account, "1.08000", "1.08010")
    assert len(account.state.pending) == 1
    account.halt("EUR_USD", False)
    assert account.transactions[-1]["reason"] == "LIMIT_ORDER"


def test_replacing_cancels_and_creates() -> None:
    """The two name each other, and the new order may fill at once."""
    account = new_account()
    show(account, "1.10000", "1.10010")
    old = order(account, "LIMIT", price="1.09", clientExtensions={"id": "mine"})[0]["id"]
    asked = {
        "type": "LIMIT",
        "instrument": "EUR_USD",
        "units": "500",
        "price": "1.2",
        "clientExtensions": {"id": "mine"},
    }
    cancelled, created, fill = replace_order(account, "@mine", asked)
    assert (cancelled["reason"], cancelled["replacedByOrderID"]) == ("CLIENT_REQUEST_REPLACED", created["id"])
    assert (created["reason"], created["replacesOrderID"]) == ("REPLACEMENT", old)
    assert fill["clientOrderID"] == "mine"
    assert kinds(replace_order(account, old, asked)) == ["ORDER_CANCEL_REJECT:ORDER_DOESNT_EXIST"]
    assert kinds(cancel_order(account, "@mine")) == ["ORDER_CANCEL_REJECT:ORDER_DOESNT_EXIST"]


def test_trades_close_in_parts_and_whole() -> None:
    """By trade id or the client's id; more than is left is rejected."""
    account = new_account()
    show(account, "1.10000", "1.10000")
    order(account, tradeClientExtensions={"id": "mine"})
    assert close_trade(account, "@mine", "400")[1]["tradeReduced"]["units"] == "-400"
    assert kinds(close_trade(account, "4", "601")) == ["MARKET_ORDER_REJECT:CLOSE_TRADE_UNITS_EXCEED_TRADE_SIZE"]
    closed = close_trade(account, "4", "ALL")
    assert (closed[0]["reason"], closed[1]["reason"]) == ("TRADE_CLOSE", "MARKET_ORDER_TRADE_CLOSE")
    assert kinds(close_trade(account, "4", "ALL")) == ["MARKET_ORDER_REJECT:TRADE_DOESNT_EXIST"]
    trade = find_trade(account, "@mine")
    assert trade is not None
    assert trade.closing_ids == ["6", "9"]


def test_closing_a_position_names_its_side() -> None:
    """A side that is flat is rejected, and then nothing is closed."""
    account = new_account()
    show(account, "1.10000", "1.10000")
    order(account)
    both = close_position(account, "EUR_USD", {"longUnits": "ALL", "shortUnits": "ALL"})
    assert kinds(both["short"]) == ["MARKET_ORDER_REJECT:CLOSEOUT_POSITION_DOESNT_EXIST"]
    assert both["long"] == []
    done = close_position(account, "EUR_USD", {"longUnits": "ALL"})["long"]
    assert done[1]["reason"] == "MARKET_ORDER_POSITION_CLOSEOUT"
    assert account.state.position("EUR_USD") == 0


def test_dependents_are_created_replaced_and_cancelled() -> None:
    """An object sets, null cancels, absence leaves; a stop already through the market fills at once."""
    account = new_account()
    show(account, "1.10000", "1.10010")
    order(account, stopLossOnFill={"price": "1.09"}, takeProfitOnFill={"price": "1.2"})
    done = set_dependents(account, "4", {"stopLoss": {"price": "1.095"}, "takeProfit": None})
    assert kinds(done["stopLoss"]) == ["ORDER_CANCEL:CLIENT_REQUEST_REPLACED", "STOP_LOSS_ORDER"]
    assert kinds(done["takeProfit"]) == ["ORDER_CANCEL:CLIENT_REQUEST"]
    assert set(account.state.trades[4].dependents) == {"STOP_LOSS"}
    done = set_dependents(account, "4", {"stopLoss": {"price": "1.105"}})
    assert kinds(done["stopLoss"])[-1] == "ORDER_FILL"
    assert not account.state.open


def test_a_stop_on_the_wrong_side_cancels_the_entry() -> None:
    """A stop that the fill would already have passed keeps the order from filling."""
    account = new_account()
    show(account, "1.10000", "1.10010")
    assert kinds(order(account, stopLossOnFill={"price": "1.11"}))[1] == "ORDER_CANCEL:STOP_LOSS_ON_FILL_LOSS"
    assert kinds(order(account, takeProfitOnFill={"price": "1.05"}))[1] == "ORDER_CANCEL:TAKE_PROFIT_ON_FILL_LOSS"


@pytest.mark.parametrize(("distance", "near"), [("0.00010", True), ("0.00011", False)])
def test_a_stop_within_the_spread_cancels_the_entry_or_closes_it_at_the_next_price(distance: str, near: bool) -> None:
    """OANDA does not fill what its stop would close at once; who keeps step with a replay wants what that does."""
    account = new_account()
    show(account, "1.10000", "1.10010")
    stop = {"stopLossOnFill": {"distance": distance}}
    assert ("ORDER_CANCEL:STOP_LOSS_ON_FILL_LOSS" in kinds(order(account, **stop))) is near
    account.near_stops = True
    assert kinds(order(account, **stop)) == ["MARKET_ORDER", "ORDER_FILL", "STOP_LOSS_ORDER"]
    before = len(account.transactions)
    show(account, "1.10000", "1.10010")
    closed = account.transactions[before:]
    assert [one["reason"] for one in closed] == (["STOP_LOSS_ORDER"] if near else [])
    wrong = order(account, stopLossOnFill={"price": "1.10010"})
    assert kinds(wrong)[1] == "ORDER_CANCEL:STOP_LOSS_ON_FILL_LOSS"


def test_client_ids_are_unique_while_in_use_only() -> None:
    """Among pending orders and open trades; a filled market order's id is free again."""
    account = new_account()
    show(account, "1.10000", "1.10010")
    mine = {"clientExtensions": {"id": "x"}}
    assert [kinds(order(account, **mine))[0] for _ in range(2)] == ["MARKET_ORDER", "MARKET_ORDER"]
    order(account, "LIMIT", price="1.0", **mine)
    assert kinds(order(account, **mine)) == ["MARKET_ORDER_REJECT:CLIENT_ORDER_ID_ALREADY_EXISTS"]
    order(account, tradeClientExtensions={"id": "t"})
    again = order(account, tradeClientExtensions={"id": "t"})
    assert kinds(again) == ["MARKET_ORDER_REJECT:CLIENT_TRADE_ID_ALREADY_EXISTS"]


def test_a_dependent_can_be_asked_for_by_its_trade() -> None:
    """Once of each kind; for a trade that is open."""
    account = new_account()
    show(account, "1.10000", "1.10010")
    order(account)
    asked = {"type": "STOP_LOSS", "tradeID": "4", "distance": "0.01"}
    assert create_order(account, asked)[0]["price"] == "1.09010"
    assert kinds(create_order(account, asked)) == ["STOP_LOSS_ORDER_REJECT:STOP_LOSS_ORDER_ALREADY_EXISTS"]
    assert kinds(create_order(account, {**asked, "tradeID": "77"})) == ["STOP_LOSS_ORDER_REJECT:TRADE_DOESNT_EXIST"]
