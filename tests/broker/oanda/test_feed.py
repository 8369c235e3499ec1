"""The price feed: never given up, its gaps marked and filled, stale when it is silent, and recorded as it came."""

import asyncio
import json

import pytest

from broker.oanda import Backfill, Beat, Down, Gap, Price
from broker.rfc3339 import rfc3339
from broker.types import SECOND
from tests.broker.oanda.desk import START, Desk
from tests.broker.oanda.rig import EUR_USD, Rig, rig
from tests.broker.oanda.virtual import VirtualLoop, run


class Tape:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.kept: list[bytes] = []
        self.dropped: list[tuple[str, bytes]] = []
        self.gaps: list[tuple[int, int]] = []

    def keep(self, line: bytes, time: int, instrument: str) -> None:
        self.kept.append(line)

    def drop(self, line: bytes, time: int, instrument: str, why: str) -> None:
        self.dropped.append((why, line))

    def gap(self, start: int, end: int) -> None:
        self.gaps.append((start, end))


def prices(made: Rig) -> list[Price]:
    """The prices told."""
    return [event for event in made.told if isinstance(event, Price)]


def test_prices_and_beats_move_the_clock() -> None:
    """The feed's clock is the later of the last price's and the last heartbeat's time."""

    async def main() -> None:
        async with rig(Desk()) as made:
            await asyncio.sleep(1)
            made.desk.price(138700, 138710)
            await asyncio.sleep(0.1)
            assert (prices(made)[-1].bid, made.feed.time) == (138700, prices(made)[-1].time)
            await asyncio.sleep(6)
            assert isinstance(made.told[-1], Beat)
            assert made.feed.time == made.told[-1].time > prices(made)[-1].time

    run(main)


@pytest.mark.parametrize("way", ["cut", "mute", "half", "garbage"])
def test_every_loss_is_followed_by_a_new_stream(way: str) -> None:
    """End, silence, half a line and rubbish: down, nothing fresh, then up again with the gap marked and filled."""

    async def main() -> None:
        desk, tape = Desk(), Tape()
        sides = {side: {"o": "1.1", "h": "1.3", "l": "1.0", "c": "1.2"} for side in ("bid", "ask")}
        for n in range(99):
            desk.candles.append({"time": rfc3339(START + 5 * n * SECOND), "volume": 1, "complete": True, **sides})
        async with rig(desk, tape=tape) as made:
            await asyncio.sleep(7)
            match way:
                case "mute":
                    desk.mute = True
                case "half":
                    desk.say("pricing", b'{"type": "PRICE", "inst')
                    desk.cut("pricing")
                case "garbage":
                    desk.say("pricing", b"<html>\n")
                case "cut":
                    desk.cut("pricing")
            await made.until(lambda: any(isinstance(e, Down) for e in made.told), 12)
            assert made.feed.fresh(EUR_USD) is None
            desk.mute = False
            await asyncio.sleep(1)
            desk.price(138690, 138700)
            await made.until(lambda: made.feed.fresh(EUR_USD), 30)
            down, gap, fill = (e for e in made.told if isinstance(e, Down | Gap | Backfill))
            assert isinstance(gap, Gap)
            assert isinstance(fill, Backfill)
            assert (gap.start, tape.gaps) == (down.time, [(gap.start, gap.end)])  # type: ignore[union-attr]
            assert gap.end >= made.told[made.told.index(fill) + 1].time  # type: ignore[union-attr]
            assert all(gap.start - 5 * SECOND < candle.start < gap.end for candle in fill.candles)
            assert fill.candles

    run(main)


def test_a_reconnect_storm_is_no_storm() -> None:
    """btoandav20#57: hours without a server cost a try a minute, and the first minute afterwards brings prices."""

    async def main() -> None:
        async with rig(Desk()) as made:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, VirtualLoop)
            server = loop.listeners.pop("desk")
            loop.unplug()
            await asyncio.sleep(4 * 3600)
            downs = sum(isinstance(e, Down) for e in made.told)
            assert 4 * 60 <= downs < 4 * 60 * 2.2
            loop.listeners["desk"] = server
            await made.until(lambda: made.feed.fresh(EUR_USD) and made.account.ready, 130)

    run(main)


def test_old_and_repeated_prices_are_passed_over_and_counted() -> None:
    """R16: time runs forward for each instrument; the snapshot after a reconnect is no new price."""

    async def main() -> None:
        tape = Tape()
        async with rig(Desk(), tape=tape) as made:
            await asyncio.sleep(1)
            old = made.desk.price(138690, 138700)
            await asyncio.sleep(1)
            new = made.desk.price(138691, 138701)
            await asyncio.sleep(0.1)
            made.desk.say("pricing", old + b"\n")
            made.desk.say("pricing", new + b"\n")
            await asyncio.sleep(0.1)
            assert (made.feed.regressed, [p.bid for p in prices(made)][-3:]) == (1, [138690, 138691, 138691])
            made.desk._price = lambda: json.loads(new)  # type: ignore[method-assign]
            made.desk.cut("pricing")
            await made.until(lambda: made.feed.repeated)
            assert made.feed.fresh(EUR_USD) == prices(made)[-1]
            assert [why for why, _ in tape.dropped] == ["regressed", "repeated"]

    run(main)


def test_unknown_lines_are_kept_and_passed_over() -> None:
    """R7, R11: a new type or an odd price neither stops the feed nor vanishes from the recording."""

    async def main() -> None:
        tape = Tape()
        async with rig(Desk(), tape=tape) as made:
            made.desk.say("pricing", b'{"type": "NEWS", "x": 1}\n{"type": "PRICE", "instrument": "EUR_USD"}\n')
            made.desk.price(138690, 138700)
            await asyncio.sleep(0.1)
            assert (prices(made)[-1].bid, made.feed.reconnects, made.feed.broken) == (138690, 0, 1)
            assert len(tape.dropped) == 2

    run(main)


def test_a_closed_market_is_healthy() -> None:
    """hootnot#173: a snapshot that is not tradeable, then heartbeats for hours: no alarm, no reconnect."""

    async def main() -> None:
        async with rig(Desk()) as made:
            made.desk.price(tradeable=False)
            await asyncio.sleep(6 * 3600)
            assert made.feed.reconnects == made.account.keeper.reconnects == 0
            price = made.feed.fresh(EUR_USD)
            assert price is not None
            assert not price.tradeable
            assert made.account.ready

    run(main)
