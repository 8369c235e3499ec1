"""Margin, closeout, interest and thin tiers: the paper broker's account ends as OANDA's does, fill by fill."""

from decimal import Decimal
from typing import NamedTuple

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from broker.account import Account, Price, Tier
from broker.account.closing import close_position, configure
from broker.account.numbers import rounded
from broker.account.placing import create_order
from broker.account.rollover import Interest
from broker.instruments import instrument
from broker.paper import PaperBroker, closeout_touched, is_due, level_touched
from broker.purse import Purse, Terms
from broker.rfc3339 import parse_rfc3339
from broker.types import FLAT, Cancel, Exit, Fill, Financing, Order
from tests.broker.account.market_place import START, Json, new_account

MILLISECOND = 1_000_000
LATENCY = 100 * MILLISECOND
EUR_USD = instrument("EUR_USD")
FIXED = {"GBP_USD": Decimal("1.5"), "USD_JPY": Decimal(100), "EUR_USD": Decimal("1.1")}
REASONS = {
    "MARKET_ORDER": "order",
    "MARKET_ORDER_POSITION_CLOSEOUT": "order",
    "STOP_LOSS_ORDER": "stop",
    "MARKET_ORDER_MARGIN_CLOSEOUT": "risk",
}
HOURS = 3_600_000


class Step(NamedTuple):
    """A quote, and what is decided after it: milliseconds since the quote before, points, units."""

    after: int
    bid: int
    spread: int
    decision: int
    depth: tuple[int, int]


SIZES = (5_000, 30_000, 44_000, 60_000, 150_000_000)
STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from((0, 1, 50, 100, 300, 300, 7 * HOURS, 40 * HOURS)),
        st.one_of(st.integers(109_900, 110_100), st.integers(107_000, 113_000)),
        st.integers(0, 20),
        st.sampled_from((0, *SIZES, *(-size for size in SIZES))),
        st.sampled_from(((10**9, 10**9), (20_000, 30_000), (20_000, 30_000), (400, 0))),
    ),
    min_size=2,
    max_size=60,
)


def tiers_of(step: Step, side: int) -> tuple[Tier, ...]:
    """Two tiers ten points apart, in points."""
    best = step.bid + step.spread if side > 0 else step.bid
    return tuple(Tier(Decimal(best + side * 10 * place), units) for place, units in enumerate(step.depth) if units)


def by_paper(steps: list[Step], stop: int, currency: str, terms: Terms) -> tuple[list[tuple], Decimal]:
    """What happened to the paper broker's account, and its balance at the end."""
    purse = Purse(currency, Decimal(1000), FIXED, terms)
    broker, log, known, units = PaperBroker(LATENCY, purse=purse), [], None, 0
    broker.look_at("EUR_USD", lambda side: tiers_of(known, side))
    watch = broker.watch(EUR_USD).view(np.recarray)[0]
    now, waiting = START, False
    for number, step in enumerate(steps):
        now += step.after * MILLISECOND
        while known is not None and is_due.py_func(watch, now):
            end = broker.settle("EUR_USD", known.bid, known.bid + known.spread)
            waiting = waiting and isinstance(end, Financing)
            units += end.units if isinstance(end, Fill) else 0
            log.append(noted(end, "order"))
        known, quote = step, (step.bid, step.bid + step.spread)
        for touched, why in ((level_touched, Exit.STOP), (closeout_touched, Exit.RISK)):
            if units and touched.py_func(watch, *quote):
                end = broker.trigger("EUR_USD", why.value, now, *quote)
                if end is not None:
                    units += end.units
                    log.append(noted(end, why.value))
        if step.decision and not waiting:
            waiting = True
            size, why, side = (step.decision, "entry", 1) if units == 0 else (-units, "close", FLAT)
            opens = side if size > 0 else -side
            broker.submit(Order(str(number), now, "EUR_USD", size, stop * side, 0, why, opens, "test"))
    return log, purse.balance


def noted(end: Fill | Cancel | Financing, why: str) -> tuple:
    """An event as it is compared."""
    match end:
        case Fill():
            return end.time, end.units, end.price, why
        case Cancel():
            return end.time, end.reason
    return end.time, end.amount


def by_account(steps: list[Step], stop: int, currency: str, terms: Terms) -> tuple[list[tuple], Decimal]:
    """The same of the account, whose requests arrive a latency after they are sent."""
    account = new_account(balance="1000", currency=currency, fee=terms.conversion_fee)
    account.interest = terms.interest
    if terms.margin_rate:
        configure(account, {"marginRate": str(terms.margin_rate)})
    now, waiting = START, None
    for step in steps:
        now += step.after * MILLISECOND
        if waiting is not None and now > waiting[0]:
            account.advance(waiting[0])
            arrive(account, waiting[1], stop)
            waiting = None
        tiers = (
            tuple(Tier(tier.price.scaleb(-5), tier.liquidity) for tier in tiers_of(step, side)) for side in (-1, 1)
        )
        account.quote("EUR_USD", Price(now, *tiers))
        if step.decision and waiting is None:
            waiting = (now + LATENCY, 0 if account.state.open else step.decision)
    return [seen for one in account.transactions if (seen := told(one)) is not None], account.state.balance


def arrive(account: Account, units: int, stop: int) -> None:
    """An order reaches the account: an entry, or (0) the end of what is open."""
    if units:
        level = {"distance": f"{stop / 1e5:.5f}"}
        asked = {"type": "MARKET", "instrument": "EUR_USD", "units": str(units), "stopLossOnFill": level}
        create_order(account, asked)
        return
    held = account.state.position("EUR_USD")
    close_position(account, "EUR_USD", {"longUnits" if held >= 0 else "shortUnits": "ALL"})


def told(one: Json) -> tuple | None:
    """A transaction as an event, or None where it is none of these."""
    time = parse_rfc3339(one["time"])
    match one["type"]:
        case "ORDER_FILL":
            return time, int(one["units"]), int(Decimal(one["price"]) * 10**5), REASONS[one["reason"]]
        case "ORDER_CANCEL" if one["reason"] != "LINKED_TRADE_CLOSED":
            return time, one["reason"]
        case "MARKET_ORDER_REJECT":
            gone = one["rejectReason"] == "CLOSEOUT_POSITION_DOESNT_EXIST"
            return time, "position_gone" if gone else one["rejectReason"]
        case "DAILY_FINANCING":
            return time, Decimal(one["financing"])
    return None


@given(
    steps=STEPS,
    stop=st.integers(60, 4000),
    currency=st.sampled_from(("USD", "EUR")),
    rates=st.tuples(st.integers(-50, 50), st.integers(-50, 50), st.sampled_from((0, 30)), st.sampled_from((0, 5))),
)
def test_the_account_is_that_of_the_exchange(steps: list[Step], stop: int, currency: str, rates: tuple) -> None:
    """Fills with their prices, refusals with their reasons, closeouts, interest and the balance are the same."""
    long, short, margin, fee = (Decimal(rate) / 1000 for rate in rates)
    terms = Terms(True, margin, Interest({"EUR_USD": long}, {"EUR_USD": short}), fee)
    paper, balance = by_paper(steps, stop, currency, terms)
    account, theirs = by_account(steps, stop, currency, terms)
    assert paper == [event for event in account if not (len(event) == 2 and event[1] == 0)]
    assert rounded(balance) == theirs


@given(
    moves=st.lists(st.integers(-150, 150), min_size=20, max_size=60),
    side=st.sampled_from((-1, 1)),
    currency=st.sampled_from(("USD", "EUR")),
    fee=st.sampled_from((0, 5)),
)
def test_closeouts_come_at_the_quote_that_calls_them(moves: list[int], side: int, currency: str, fee: int) -> None:
    """However the price wanders there, and in a currency whose rate is the very price that moves."""
    prices = (110_000 - side * 60 * place + move for place, move in enumerate(moves))
    steps = [Step(300, price, 8, 0, (10**9, 10**9)) for price in prices]
    steps[0] = steps[0]._replace(decision=side * 43_000)
    terms = Terms(margin=True, conversion_fee=Decimal(fee) / 1000)
    paper, balance = by_paper(steps, 50_000, currency, terms)
    account, theirs = by_account(steps, 50_000, currency, terms)
    assert paper == account
    assert paper[-1][-1] == "risk" or len(steps) < 26
    assert rounded(balance) == theirs
