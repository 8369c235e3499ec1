"""Each transaction means one thing, whatever it holds; the state follows; nothing is dropped."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.instruments import instrument
from broker.oanda import Accepted, Ended, Event, Filled, Noted
from broker.oanda.folding import MARGIN, MONEY, ROUTINE, fold
from broker.oanda.state import AccountState, of_account, same_trades
from broker.types import Order
from tests.broker.oanda.rig import EUR_USD, entry, leave

BOTH = {name: instrument(name) for name in ("EUR_USD", "USD_JPY")}
OURS = {order.id: order for order in (entry(1), leave(2, -1000))}
T = "2023-11-14T22:13:20.000000001Z"


def ours(client_id: str) -> Order | None:
    """Two orders are ours."""
    return OURS.get(client_id)


def told(state: AccountState, *messages: dict[str, Any]) -> list[Event]:
    """The events of messages that follow each other."""
    return [fold(state, {"id": state.cursor + 1, "time": T, **message}, BOTH, ours) for message in messages]


def opened(units: int = 1000, name: str = "mt-test-1") -> list[dict[str, Any]]:
    """An entry's transactions, as recorded from a real account (contract 10): ids 1 to 4."""
    extensions = {"clientExtensions": {"id": name}} if name else {}
    trade = {"tradeID": 2, "units": units, "price": "1.38689", **extensions}
    return [
        {"type": "MARKET_ORDER", "instrument": EUR_USD, "units": str(units), **extensions},
        {"type": "ORDER_FILL", "orderID": "1", "instrument": EUR_USD, "units": f"{units}.0", "price": "1.38689",
         "reason": "MARKET_ORDER", "pl": "0", "financing": 0, "accountBalance": "99.5", "tradeOpened": trade,
         "fullPrice": {"bids": [{"price": "1.38676", "liquidity": "1"}], "asks": [{"price": "1.38689"}]}},
        {"type": "STOP_LOSS_ORDER", "tradeID": "2", "price": "1.38389", "reason": "ON_FILL"},
        {"type": "TAKE_PROFIT_ORDER", "tradeID": "2", "price": "1.39389", "reason": "ON_FILL"},
    ]  # fmt: skip


def test_an_entry_opens_a_trade_with_its_levels() -> None:
    """Create, fill, stop and take-profit; ids may be numbers or text."""
    state = AccountState(0)
    created, filled, _, _ = told(state, *opened())
    assert created == Accepted(1, "mt-test-1")
    assert isinstance(filled, Filled)
    assert (filled.fill.order_id, filled.opened, filled.external, str(filled.balance)) == (
        "mt-test-1",
        2,
        False,
        "99.5",
    )
    trade = state.trades[2]
    assert (trade.units, trade.stop_id, trade.stop, trade.take_id, trade.take) == (1000, 3, 138389, 4, 139389)


@pytest.mark.parametrize(
    ("reason", "level", "order_id"), [("STOP_LOSS_ORDER", "stop", 3), ("TAKE_PROFIT_ORDER", "take_profit", 4)]
)
def test_a_held_level_closes_as_the_paper_broker_says_it(reason: str, level: str, order_id: int) -> None:
    """A stop's fill has no order of ours, and is ours all the same; its other level is released."""
    state = AccountState(0)
    told(state, *opened())
    closed = {"tradesClosed": [{"tradeID": "2", "units": "-1000"}]}
    common = {"instrument": EUR_USD, "units": "-1000", "price": "1.38389", "reason": reason}
    event = told(state, {"type": "ORDER_FILL", "orderID": str(order_id), **common, **closed})[0]
    assert isinstance(event, Filled)
    assert (event.fill.order_id, event.fill.reason, event.external, event.client_id) == ("", level, False, "mt-test-1")
    told(state, {"type": "ORDER_CANCEL", "orderID": str(7 - order_id), "reason": "LINKED_TRADE_CLOSED"})
    assert (state.trades, state.pending) == ({}, {})


def test_a_replaced_stop_is_the_new_one() -> None:
    """Cancel with replacement, then the new order: the trade is held by the new one."""
    state = AccountState(0)
    told(state, *opened())
    told(state, {"type": "ORDER_CANCEL", "orderID": "3", "reason": "CLIENT_REQUEST_REPLACED", "replacedByOrderID": "6"})
    assert state.trades[2].stop_id == 0
    told(state, {"type": "STOP_LOSS_ORDER", "tradeID": "2", "distance": "0.00100", "reason": "REPLACEMENT"})
    assert (state.trades[2].stop_id, state.trades[2].stop) == (6, 138589)


def test_a_reduction_keeps_the_rest() -> None:
    """tradeReduced carries the sign of what reduces."""
    state = AccountState(0)
    told(state, *opened())
    reduced = {"tradeReduced": {"tradeID": "2", "units": "-400"}}
    told(
        state, {"type": "ORDER_FILL", "orderID": "9", "instrument": EUR_USD, "units": "-400", "price": "1.4", **reduced}
    )
    assert state.units(EUR_USD) == 600
    assert state.positions() == {EUR_USD: 600}


@pytest.mark.parametrize(
    ("sent", "message", "outcome", "reason"),
    [
        ("mt-test-1", {"type": "MARKET_ORDER_REJECT", "rejectReason": "UNITS_INVALID"}, "rejected", "UNITS_INVALID"),
        ("mt-test-2", {"type": "MARKET_ORDER_REJECT", "rejectReason": "CLOSEOUT_POSITION_DOESNT_EXIST"}, "cancelled",
         "position_gone"),
        ("mt-test-1", {"type": "ORDER_CANCEL", "orderID": "9", "clientOrderID": "mt-test-1", "reason": "MARKET_HALTED"},
         "cancelled", "MARKET_HALTED"),
    ],
)  # fmt: skip
def test_orders_end_without_a_fill(sent: str, message: dict[str, Any], outcome: str, reason: str) -> None:
    """Reject and cancel are two outcomes; an exit without its position is `position_gone`, as on paper."""
    event = told(AccountState(8), {**message, "clientExtensions": {"id": sent}})[0]
    assert isinstance(event, Ended)
    assert (event.cancel.order_id, event.cancel.outcome, event.cancel.reason) == (sent, outcome, reason)


def test_foreign_orders_are_not_ours() -> None:
    """Another program's ids, even with an extension, make external events."""
    first, second, *_ = told(AccountState(0), *opened(name="theirs-1"))
    assert isinstance(first, Noted)
    assert isinstance(second, Filled)
    assert (first.kind, second.external, second.fill.order_id, second.client_id) == ("external_order", True, "", "")


TYPES = st.sampled_from(
    ["ORDER_FILL", "ORDER_CANCEL", "MARKET_ORDER", "STOP_LOSS_ORDER", "NEW", *MONEY, *MARGIN, *ROUTINE]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.text(max_size=5) | st.sampled_from(["1", "1.5", "-1000", EUR_USD, T]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["tradeID", "units", "price", "bids"]), inner, max_size=4)
    ),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    ["orderID", "instrument", "units", "price", "tradesClosed", "tradeReduced", "tradeOpened", "fullPrice", "tradeID",
     "accountBalance", "financing", "clientExtensions", "clientOrderID", "reason", "time", "distance"]
)  # fmt: skip


@given(TYPES, st.dictionaries(FIELDS, VALUES, max_size=8))
def test_nothing_stops_the_log(kind: str, fields: dict[str, Any]) -> None:
    """R7: any transaction moves the cursor by one and means something; one not understood makes the state doubtful."""
    state = AccountState(0)
    told(state, *opened())
    event = fold(state, {"id": "5", "type": kind, **fields}, BOTH, ours)
    assert state.cursor == 5
    if isinstance(event, Noted) and event.kind in {"unknown", "unreadable"}:
        assert state.doubtful


def test_an_account_reads_as_its_log_does() -> None:
    """`GET /accounts/{id}` and the transactions lead to the same trades."""
    state = AccountState(0)
    told(state, *opened())
    trade = {"id": "2", "instrument": EUR_USD, "price": "1.38689", "currentUnits": "1000"}
    orders = [
        {"id": 3, "type": "STOP_LOSS", "tradeID": "2", "price": "1.38389"},
        {"id": "4", "type": "TAKE_PROFIT", "tradeID": "2", "price": "1.39389"},
    ]
    shown = of_account({"balance": "99.5", "trades": [trade], "orders": orders}, 4, BOTH)
    assert same_trades(state, shown)
    assert (shown.trades[2].stop, shown.trades[2].take) == (138389, 139389)
    assert AccountState.from_json(4, state.to_json()) == state
