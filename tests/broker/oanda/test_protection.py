"""No trade stays without its stop, and levels end up at their distance from the fill."""

from broker.oanda import Alarm
from tests.broker.oanda.desk import Desk
from tests.broker.oanda.rig import EUR_USD, entry, order, rig
from tests.broker.oanda.virtual import run


def test_a_missing_stop_is_set() -> None:
    """R13: a fill without its stop is found out within seconds, and the stop set at its distance from the fill."""

    async def main() -> None:
        desk = Desk()
        desk.hidden_stops = True
        async with rig(desk) as made:
            made.account.submit(entry(1))
            await made.until(lambda: made.desk.orders, 10)
            assert [o["price"] for o in made.desk.orders.values()] == ["1.38389"]
            assert [a.kind for a in made.heard.of(Alarm)] == ["stop_missing", "stop_restored"]

    run(main)


def test_a_trade_whose_stop_is_refused_is_closed() -> None:
    """R13: no stop, no trade."""

    async def main() -> None:
        desk = Desk()
        desk.hidden_stops = True
        async with rig(desk) as made:
            made.desk.script = ["", "bad:STOP_LOSS_ORDER_PRICE"]
            made.account.submit(entry(1))
            await made.until(lambda: len(made.desk.posted) == 2)
            await made.until(lambda: made.account.position(EUR_USD) == 0)
            assert made.desk.posted[1]["positionFill"] == "REDUCE_ONLY"

    run(main)


def test_a_close_that_fails_is_tried_again() -> None:
    """Each try to close has an id of its own, though the account has not moved since the last one (faults, seed 59)."""

    async def main() -> None:
        desk = Desk()
        desk.hidden_stops = True
        async with rig(desk) as made:
            made.desk.script = ["", *["bad:STOP_LOSS_ORDER_PRICE", "bad:NO"] * 2, "bad:STOP_LOSS_ORDER_PRICE"]
            made.account.submit(entry(1))
            await made.until(lambda: len(made.desk.posted) == 2)
            await made.until(lambda: made.account.position(EUR_USD) == 0)
            ends = {intent.order.id: intent.outcome for intent in made.log._ended.values()}
            bare = [f"mt-test-1-bare{n}" for n in (1, 2, 3)]
            assert [ends[name] for name in bare] == ["rejected", "rejected", "filled"]

    run(main)


def test_a_take_profit_is_moved_to_its_distance_from_the_fill() -> None:
    """The level asked for with the order is of the quote; it ends up where the paper broker would hold it."""

    async def main() -> None:
        async with rig(Desk()) as made:
            made.desk.ask += 7  # the client has not heard of it
            made.account.submit(order(1, 1000, take=500))
            await made.until(lambda: made.account.book.state.trades and made.account.book.state.trades[3].take)
            await made.until(lambda: made.account.book.state.trades[3].take == 138696 + 500)
            assert made.account.book.state.trades[3].stop == 138696 - 300

    run(main)
