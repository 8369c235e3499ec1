"""The account fills as the paper broker of the replay does: the same quotes and orders, the same prices and times."""

from decimal import Decimal

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from broker.account import Price, Tier
from broker.account.closing import close_position
from broker.instruments import instrument
from broker.paper import PaperBroker, is_due, level_touched
from broker.rfc3339 import parse_rfc3339
from broker.types import FLAT, LONG, SHORT, Exit, Order
from tests.broker.account.market_place import START, new_account, order

MILLISECOND = 1_000_000
LATENCY = 100 * MILLISECOND
Filled = tuple[int, int, int, str]
EUR_USD = instrument("EUR_USD")
REASONS = {"MARKET_ORDER": "order", "MARKET_ORDER_POSITION_CLOSEOUT": "order", "STOP_LOSS_ORDER": "stop"}

Step = tuple[int, int, int, int]
"""Milliseconds since the quote before, bid, spread (points), and what is decided after the quote."""

DECISIONS = st.sampled_from((0, 0, LONG, SHORT))
STEPS = st.lists(
    st.tuples(st.integers(0, 300), st.integers(109_900, 110_100), st.integers(0, 20), DECISIONS),
    min_size=2,
    max_size=60,
)


def by_paper(steps: list[Step], stop: int) -> list[Filled]:
    """(time, units, price, why) of the paper broker's fills: one order at a time; in a position it closes."""
    broker, filled = PaperBroker(LATENCY), []
    watch = broker.watch(EUR_USD).view(np.recarray)[0]
    now, known, units, number = START, (110_000, 110_000), 0, 0
    waiting = False
    for after, bid, spread, decision in steps:
        now += after * MILLISECOND
        if is_due.py_func(watch, now):
            fill = broker.settle("EUR_USD", *known)
            waiting = False
            if hasattr(fill, "units"):
                units += fill.units
                filled.append((fill.time, fill.units, fill.price, "order"))
        known = (bid, bid + spread)
        if units and level_touched.py_func(watch, *known):
            fill = broker.trigger("EUR_USD", Exit.STOP.value, now, *known)
            units += fill.units
            filled.append((now, fill.units, fill.price, "stop"))
        if decision and not waiting:
            number, waiting = number + 1, True
            size, why, side = (1000 * decision, "entry", decision) if units == 0 else (-units, "close", FLAT)
            held = stop if why == "entry" else 0
            broker.submit(Order(str(number), now, "EUR_USD", size, held, 0, why, side, "test"))
    return filled


def by_account(steps: list[Step], stop: int) -> list[Filled]:
    """The same of the account, whose requests arrive a latency after they are sent."""
    account = new_account()
    account.near_stops = True
    now, waiting = START, None
    for after, bid, spread, decision in steps:
        now += after * MILLISECOND
        if waiting is not None and now > waiting[0]:
            account.advance(waiting[0])
            if waiting[1] is not None:
                order(account, units=1000 * waiting[1], stopLossOnFill={"distance": f"{stop / 1e5:.5f}"})
            elif held := account.state.position("EUR_USD"):
                close_position(account, "EUR_USD", {"longUnits" if held > 0 else "shortUnits": "ALL"})
            waiting = None
        bids, asks = ((Tier(Decimal(price).scaleb(-5), 10**7),) for price in (bid, bid + spread))
        account.quote("EUR_USD", Price(now, bids, asks))
        if decision and waiting is None:
            waiting = (now + LATENCY, decision if not account.state.open else None)
    fills = [one for one in account.transactions if one["type"] == "ORDER_FILL"]
    return [
        (parse_rfc3339(one["time"]), int(one["units"]), int(Decimal(one["price"]) * 10**5), REASONS[one["reason"]])
        for one in fills
    ]


@given(steps=STEPS, stop=st.integers(1, 90))
def test_fills_are_those_of_the_replay(steps: list[Step], stop: int) -> None:
    """Orders at the quote that prevails when they arrive, stops at the first quote beyond them, also such within the
    spread (which the exchange opens for those who ask)."""
    assert by_account(steps, stop) == by_paper(steps, stop)
