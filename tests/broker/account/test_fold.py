"""The account as a machine under random use: what must hold after every step."""

import json
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from broker.account import Account, Price, Tier
from broker.account.closing import close_position, close_trade, set_dependents
from broker.account.entities import PENDING
from broker.account.margin import measure
from broker.account.placing import cancel_order, create_order, replace_order
from broker.account.views import account_json, changes_json
from broker.types import HOUR, SECOND
from tests.broker.account.market_place import Json, new_account

POINTS = st.integers(109_000, 111_000)
UNITS = st.integers(-60_000, 60_000).filter(bool)


def price(points: int) -> str:
    """Five decimals."""
    return f"{Decimal(points).scaleb(-5):.5f}"


class Machine(RuleBasedStateMachine):
    """Orders, closes and quotes in any order; 2,000 dollars, so that margin matters."""

    def __init__(self) -> None:
        super().__init__()
        self.account = new_account(balance="2000", financing="-0.05")
        self.quote(110_000, 10, 1)

    @rule(points=POINTS, spread=st.integers(0, 30), seconds=st.integers(1, 40_000))
    def quote(self, points: int, spread: int, seconds: int) -> None:
        """A price of three tiers."""
        bids, asks = (
            tuple(Tier(Decimal(price(points + side * 5 * step)), 50_000) for step in range(3))
            for points, side in ((points, -1), (points + spread, 1))
        )
        self.account.quote("EUR_USD", Price(self.account.now + seconds * SECOND, bids, asks))

    @rule(
        units=UNITS,
        kind=st.sampled_from(("MARKET", "LIMIT", "STOP", "MARKET_IF_TOUCHED")),
        at=POINTS,
        stop=st.integers(10, 800),
        life=st.sampled_from(("", "GFD", "IOC")),
        links=st.integers(0, 7),
    )
    def order(self, units: int, kind: str, at: int, stop: int, life: str, links: int) -> None:
        """Any entry, with any dependents."""
        asked: dict[str, Any] = {"type": kind, "instrument": "EUR_USD", "units": units}
        if kind != "MARKET":
            asked["price"] = price(at)
        if life:
            asked["timeInForce"] = life
        if links & 1:
            asked["stopLossOnFill"] = {"distance": price(stop)}
        if links & 2:
            asked["takeProfitOnFill"] = {"price": price(at)}
        if links & 4:
            asked["trailingStopLossOnFill"] = {"distance": price(stop + 50)}
        create_order(self.account, asked)

    @precondition(lambda self: self.account.state.pending)
    @rule(data=st.data(), at=POINTS, replace=st.booleans())
    def change(self, data: st.DataObject, at: int, replace: bool) -> None:
        """Cancel or replace a pending order."""
        order = data.draw(st.sampled_from(sorted(self.account.state.pending)))
        if replace:
            asked = {"type": "LIMIT", "instrument": "EUR_USD", "units": "100", "price": price(at)}
            replace_order(self.account, str(order), asked)
        else:
            cancel_order(self.account, str(order))

    @precondition(lambda self: self.account.state.open)
    @rule(data=st.data(), part=st.integers(1, 100), at=POINTS, how=st.sampled_from(("close", "position", "protect")))
    def act(self, data: st.DataObject, part: int, at: int, how: str) -> None:
        """Close a trade or the position, in part or whole, or protect a trade."""
        trade = data.draw(st.sampled_from(sorted(self.account.state.open)))
        left = abs(self.account.state.open[trade].units)
        if how == "close":
            close_trade(self.account, str(trade), max(1, left * part // 100))
        elif how == "position":
            close_position(self.account, "EUR_USD", {"longUnits" if left > 0 else "shortUnits": "ALL"})
        else:
            set_dependents(self.account, str(trade), {"stopLoss": {"price": price(at)}, "trailingStopLoss": None})

    @rule(halted=st.booleans())
    def halt(self, halted: bool) -> None:
        """The market closes or opens."""
        self.account.halt("EUR_USD", halted)

    @rule(hours=st.integers(1, 60))
    def wait(self, hours: int) -> None:
        """Time goes by without a quote."""
        self.account.advance(self.account.now + hours * HOUR)

    @invariant()
    def the_ledger_is_the_sum_of_its_transactions(self) -> None:
        """Balance = what came in + what the fills made + financing; each fill says the balance after it."""
        said = self.account.transactions
        total = sum(Decimal(one.get("pl", "0")) + Decimal(one.get("amount", "0")) for one in said)
        total += sum(Decimal(one["financing"]) for one in said if one["type"] == "DAILY_FINANCING")
        assert self.account.state.balance == total
        last = [one["accountBalance"] for one in said if "accountBalance" in one][-1]
        assert Decimal(last) == total

    @invariant()
    def ids_are_gapless_and_times_rise(self) -> None:
        """Ids count from 1; a batch is named after its first."""
        said = self.account.transactions
        assert [one["id"] for one in said] == [str(number + 1) for number in range(len(said))]
        assert [one["time"] for one in said] == sorted(one["time"] for one in said)
        assert all(int(one["batchID"]) <= int(one["id"]) for one in said)

    @invariant()
    def positions_are_what_was_filled(self) -> None:
        """Units open are the units filled, all on one side; parts of a fill add up to it."""
        fills = [one for one in self.account.transactions if one["type"] == "ORDER_FILL"]
        assert self.account.state.position("EUR_USD") == sum(int(one["units"]) for one in fills)
        assert len({trade.side for trade in self.account.state.open.values()}) <= 1
        for one in fills:
            parts = [
                *one.get("tradesClosed", []),
                *(one[name] for name in ("tradeReduced", "tradeOpened") if name in one),
            ]
            assert sum(int(part["units"]) for part in parts) == int(one["units"])
            assert sum(Decimal(part.get("realizedPL", "0")) for part in parts) == Decimal(one["pl"])

    @invariant()
    def each_order_ends_once(self) -> None:
        """An order is filled or cancelled at most once, and is pending exactly until then."""
        ended = [one["orderID"] for one in self.account.transactions if one["type"] in ("ORDER_FILL", "ORDER_CANCEL")]
        assert len(ended) == len(set(ended))
        for order in self.account.state.orders.values():
            assert (str(order.id) in ended) is (order.state != PENDING)
            assert (order.id in self.account.state.pending) is (order.state == PENDING)

    @invariant()
    def dependents_belong_to_open_trades(self) -> None:
        """No stop survives its trade; a trade has one of each kind."""
        linked = [(order.trade_id, order.kind) for order in self.account.state.pending.values() if order.trade_id]
        assert len(linked) == len(set(linked))
        assert {trade for trade, _ in linked} <= set(self.account.state.open)

    @invariant()
    def margin_is_never_negative(self) -> None:
        """Nor is a margin closeout left undone while the market is open."""
        equity = measure(self.account.state, self.account.market)
        assert equity.available >= 0
        assert equity.used >= 0
        if self.account.market.is_tradeable("EUR_USD"):
            assert equity.closeout_percent < 1

    @invariant()
    def folding_again_gives_the_same_account(self) -> None:
        """A restart from the written transactions stands where this account stands, to the byte."""
        other = revived(self.account)
        assert json.dumps(account_json(other)) == json.dumps(account_json(self.account))
        assert changes_json(other, 0) == changes_json(self.account, 0)
        assert other.state == self.account.state


def revived(account: Account) -> Account:
    """An account loaded from another's transactions, through JSON."""
    other = new_account()
    fresh = Account(account.account_id, other.market, account.interest)
    fresh.market.prices.update(account.market.prices)
    fresh.market.open = set(account.market.open)
    written: list[Json] = json.loads(json.dumps(account.transactions))
    fresh.load(written, account.marks(), account.now)
    return fresh


TestAccount = Machine.TestCase
TestAccount.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def test_a_revived_account_goes_on_the_same() -> None:
    """Trailing stops and expiries work on after a restart."""
    account = new_account()
    machine = Machine()
    machine.account = account
    machine.quote(110_000, 1, 1)
    machine.order(1000, "MARKET", 110_000, 100, "", 4)
    machine.quote(110_500, 1, 1)
    other = revived(account)
    for one in (account, other):
        machine.account = one
        machine.quote(110_300, 1, 1)
    assert account.transactions == other.transactions
    assert account.transactions[-1]["reason"] == "TRAILING_STOP_LOSS_ORDER"
