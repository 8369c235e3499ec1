"""The paper broker: prevailing quotes, held levels, orders whose position is gone, and the end of the quotes."""

from decimal import Decimal

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
