"""The paper broker: prevailing quotes, tiers, held levels, orders that must not fill, and the end of the quotes."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.account.drafts import UNITS_MAXIMUM
from broker.account.tiers import Tier
from broker.paper import NEVER, PaperBroker
from broker.types import Cancel, Fill, Instrument, Order

EUR_USD = Instrument("EUR_USD", -4, 5, Decimal("0.02"))


def order(number: int, time: int, units: int, reason: str = "entry", stop: int = 0, take: int = 0) -> Order:
    opens = (units > 0) - (units < 0) if reason == "entry" else 0
    return Order(f"o{number}", time, "EUR_USD", units, stop, take, reason, opens, "m")


def test_an_order_fills_at_the_other_side_after_the_latency() -> None:
    """BUY at the ask, SELL at the bid, slippage rounded up to whole points and always against the trade."""
    broker = PaperBroker(latency=7, slippage_pips=0.11)
    watch = broker.watch(EUR_USD)
    for units, price in ((1000, 110_012), (-1000, 109_998)):
        broker.submit(order(1, 100, units, "entry" if units > 0 else "close"))
        assert watch["due"][0] == 107
        fill = broker.settle("EUR_USD", 110_000, 110_010)
        assert isinstance(fill, Fill)
        assert (fill.time, fill.price, fill.units) == (107, price, units)
        assert watch["due"][0] == NEVER


def test_orders_in_flight_settle_in_their_order() -> None:
    """The earliest is due first, and the next one after it."""
    broker = PaperBroker(latency=10)
    watch = broker.watch(EUR_USD)
    broker.submit(order(1, 100, 1000))
    broker.submit(order(2, 103, -1000, "close"))
    assert watch["due"][0] == 110
    assert broker.settle("EUR_USD", 1, 2).order_id == "o1"
    assert watch["due"][0] == 113
    assert broker.settle("EUR_USD", 1, 2).order_id == "o2"


def test_levels_are_held_from_the_fill() -> None:
    """Distances count from the fill price, on the side that closes; both go when the position does."""
    broker = PaperBroker(latency=0)
    watch = broker.watch(EUR_USD)
    broker.submit(order(1, 0, -1000, stop=50, take=30))
    broker.settle("EUR_USD", 110_000, 110_010)
    assert (watch["side"][0], -watch["floor"][0], -watch["ceiling"][0]) == (-1, 110_050, 109_970)
    fill = broker.trigger("EUR_USD", "stop", 9, 110_045, 110_055)
    assert (fill.units, fill.price, fill.time, fill.reason) == (1000, 110_055, 9, "stop")
    assert watch["side"][0] == 0


def test_an_exit_whose_position_is_gone_is_cancelled() -> None:
    """It never opens one; the levels of an earlier entry do not live on in the next."""
    broker = PaperBroker(latency=5)
    watch = broker.watch(EUR_USD)
    broker.submit(order(1, 0, 1000, stop=50, take=30))
    broker.settle("EUR_USD", 110_000, 110_010)
    broker.submit(order(2, 1, -1000, "close"))
    broker.trigger("EUR_USD", "stop", 2, 109_950, 109_960)
    gone = broker.settle("EUR_USD", 109_950, 109_960)
    assert isinstance(gone, Cancel)
    assert (gone.outcome, gone.reason) == ("cancelled", "position_gone")
    broker.submit(order(3, 10, 1000))
    broker.settle("EUR_USD", 110_000, 110_010)
    assert watch["floor"][0] < 0 < 110_010 < watch["ceiling"][0]


def test_the_end_settles_what_is_due_and_closes_what_is_open() -> None:
    """Due by the last quote: filled at it; later: cancelled; an open position closes there, at its time."""
    broker = PaperBroker(latency=10)
    broker.watch(EUR_USD)
    broker.submit(order(1, 90, 1000))
    broker.submit(order(2, 91, -1000, "close"))
    filled, late, closed = broker.finish("EUR_USD", 100, 110_000, 110_010)
    assert isinstance(filled, Fill)
    assert isinstance(closed, Fill)
    assert isinstance(late, Cancel)
    assert (filled.time, filled.price, late.reason) == (100, 110_010, "end_of_quotes")
    assert (closed.order_id, closed.reason, closed.time, closed.price) == ("", "end", 100, 110_000)
    assert broker.finish("EUR_USD", 100, 110_000, 110_010) == []


def thin(broker: PaperBroker, *sizes: int) -> None:
    """Tiers a pip apart from 1.1000 down and 1.1001 up."""
    broker.look_at(
        "EUR_USD",
        lambda side: tuple(
            Tier(Decimal((110_010 if side > 0 else 110_000) + 10 * side * place), size)
            for place, size in enumerate(sizes)
        ),
    )


@given(sizes=st.lists(st.integers(1, 5000), min_size=1, max_size=5), units=st.integers(1, 20_000), side=st.booleans())
def test_an_order_walks_the_tiers(sizes: list[int], units: int, side: bool) -> None:
    """It pays the mean of what it takes, rounded against it; what all tiers lack cancels it whole."""
    broker, sign = PaperBroker(latency=0), 1 if side else -1
    broker.watch(EUR_USD)
    thin(broker, *sizes)
    broker.submit(order(1, 0, sign * units))
    end = broker.settle("EUR_USD", 110_000, 110_010)
    if units > sum(sizes):
        assert isinstance(end, Cancel)
        assert (end.outcome, end.reason) == ("cancelled", "INSUFFICIENT_LIQUIDITY")
        return
    each = [place for place, size in enumerate(sizes) for _ in range(size)][:units]
    paid = sum((110_010 if side else 110_000) + sign * 10 * place for place in each)
    assert isinstance(end, Fill)
    assert end.units == sign * units
    assert end.price * units * sign >= paid * sign > (end.price - sign) * units * sign


def test_an_order_may_be_filled_in_part() -> None:
    """IOC: what there is is filled, the rest of an exit stays open, and nothing at all is a cancellation."""
    broker = PaperBroker(latency=0, partial=True)
    watch = broker.watch(EUR_USD)
    thin(broker, 400)
    broker.submit(order(1, 0, 1000, stop=50))
    assert broker.settle("EUR_USD", 110_000, 110_010).units == 400
    thin(broker, 300)
    broker.submit(order(2, 1, -400, "close"))
    assert broker.settle("EUR_USD", 110_000, 110_010).units == -300
    assert (watch["side"][0], watch["floor"][0]) == (1, 109_960)
    thin(broker, 0)
    broker.submit(order(3, 2, -100, "close"))
    assert broker.settle("EUR_USD", 110_000, 110_010).reason == "INSUFFICIENT_LIQUIDITY"
    assert broker.trigger("EUR_USD", "stop", 3, 109_950, 109_960).units == -100


def test_a_take_profit_waits_for_all_at_its_price() -> None:
    """It is a limit: deeper tiers do not count for it; a stop takes whatever there is."""
    broker = PaperBroker(latency=0)
    broker.watch(EUR_USD)
    broker.submit(order(1, 0, 1000, stop=50, take=30))
    broker.settle("EUR_USD", 110_000, 110_010)
    broker.look_at("EUR_USD", lambda side: (Tier(Decimal(110_045), 600), Tier(Decimal(110_035), 600)))
    assert broker.trigger("EUR_USD", "take_profit", 5, 110_045, 110_050) is None
    broker.look_at("EUR_USD", lambda side: (Tier(Decimal(110_045), 600), Tier(Decimal(110_040), 600)))
    fill = broker.trigger("EUR_USD", "take_profit", 6, 110_045, 110_050)
    assert (fill.units, fill.price) == (-1000, 110_043)


@pytest.mark.parametrize(
    ("first", "second", "end"),
    [
        ((1000, "entry"), (-1000, "entry"), ("cancelled", "position_there")),
        ((1000, "entry"), (1000, "close"), ("cancelled", "position_gone")),
        ((1000, "entry"), (2000, "reverse"), ("cancelled", "position_gone")),
        (None, (-2000, "reverse"), ("cancelled", "position_gone")),
        (None, (UNITS_MAXIMUM + 1, "entry"), ("rejected", "UNITS_LIMIT_EXCEEDED")),
    ],
)
def test_an_order_that_meets_another_position_than_it_was_made_for(first, second, end) -> None:
    """An entry never adds to one, an exit never opens one: what was to come before may have been refused."""
    broker = PaperBroker(latency=0)
    broker.watch(EUR_USD)
    if first is not None:
        broker.submit(order(1, 0, *first))
        broker.settle("EUR_USD", 110_000, 110_010)
    broker.submit(order(2, 1, *second))
    cancel = broker.settle("EUR_USD", 110_000, 110_010)
    assert isinstance(cancel, Cancel)
    assert (cancel.outcome, cancel.reason) == end
