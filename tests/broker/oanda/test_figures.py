"""R17: what an operator must see of the wire: ages, reconnects, missed time, lag, doubts, throttling."""

import asyncio

from broker.oanda import Gap
from tests.broker.oanda.desk import Desk
from tests.broker.oanda.rig import entry, rig
from tests.broker.oanda.virtual import run


def test_each_stream_has_its_age_and_its_reconnects() -> None:
    """The one that is cut is opened anew; the other's figures do not move."""

    async def main() -> None:
        async with rig(Desk()) as made:
            feed, keeper = made.feed, made.account.keeper
            await made.until(lambda: max(feed.silence, keeper.silence) < 6)
            assert (feed.reconnects, keeper.reconnects, feed.missed) == (0, 0, 0)
            made.desk.cut("pricing")
            await made.until(lambda: feed.reconnects == 1)
            await made.until(lambda: any(isinstance(event, Gap) for event in made.told))
            assert keeper.reconnects == 0
            assert feed.missed == sum(event.end - event.start for event in made.told if isinstance(event, Gap)) > 0
            made.desk.mute = True
            before = feed.silence, keeper.silence
            await asyncio.sleep(4)
            assert (feed.silence, keeper.silence) == (before[0] + 4, before[1] + 4)

    run(main)


def test_lag_and_doubts_are_counted() -> None:
    """Transactions that a heartbeat told of and that can't be read are lag; an order without an answer is UNKNOWN."""

    async def main() -> None:
        async with rig(Desk()) as made:
            keeper = made.account.keeper
            assert (keeper.lag, made.account.unknown, made.transport.throttled) == (0, 0, 0)
            made.desk.deaf, made.desk.lag = True, 3
            made.desk.script = ["lose"]
            made.account.submit(entry(1))
            await made.until(lambda: made.account.unknown == 1)
            await made.until(lambda: keeper.lag == 3)
            made.desk.lag = 0
            await made.until(lambda: made.account.ready)
            assert (keeper.lag, made.account.unknown) == (0, 0)

    run(main)
