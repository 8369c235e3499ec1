"""The client and the emulator, written apart, over real sockets: what one sends the other understands."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import pytest

from broker.account import Account as EmulatedAccount
from broker.account import Market
from broker.clock import SystemClock
from broker.durable import Threaded, connect
from broker.emulator import Emulator, Exchange, Faults, Settings, load_history
from broker.instruments import KNOWN, instrument
from broker.oanda import (
    Access,
    Account,
    Adopted,
    Alarm,
    Ended,
    FeedEvent,
    FeedWaits,
    Filled,
    Hosts,
    KeeperWaits,
    OrderLimits,
    OrderLog,
    Outcome,
    Pace,
    PriceFeed,
    Secret,
    Transport,
    Waits,
    candles,
)
from broker.rates import Rates
from broker.rfc3339 import rfc3339
from broker.ticks import ReadOptions
from broker.types import SECOND
from tests.broker.oanda.desk import ACCOUNT, START, TOKEN
from tests.broker.oanda.rig import EUR_USD, Heard, entry, leave, order

QUICK = Waits(connect=2, answer=1.2, silence=3, retry_first=0.02, retry_longest=0.1)
KEEPING = KeeperWaits(
    reconcile=0.5, doubt=0.1, settle=0.6, stop_patience=0.2, retry_first=0.02, retry_longest=0.2, healthy=1, barred=0.2
)
FEEDING = FeedWaits(retry_first=0.02, retry_longest=0.2, healthy=1, barred=0.2)


@dataclass
class Both:
    """The client, and the emulator's control plane."""

    account: Account
    feed: PriceFeed
    heard: Heard
    log: OrderLog
    told: list[FeedEvent]
    transport: Transport
    exchange: Exchange
    control: str
    disk: Threaded

    async def until(self, met: Callable[[], object], seconds: float = 60.0) -> None:
        """Wait until a condition holds."""
        async with asyncio.timeout(seconds):
            while not met():  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.01)

    async def tell(self, what: str, **body: Any) -> None:
        """Use the control plane."""
        async with aiohttp.ClientSession() as session, session.post(f"{self.control}/{what}", json=body) as answer:
            assert answer.status == 200, await answer.text()


def ticks(folder: Path) -> Path:
    """A minute of quotes."""
    path = folder / "EUR_USD-a.csv"
    rows = [f"{rfc3339(START + n * SECOND)},{1.38676 + n % 3 * 1e-5:.5f},1.38689\n" for n in range(60)]
    path.write_text("time,bid,ask\n" + "".join(rows))
    return path


@asynccontextmanager
async def both(folder: Path, faults: str = "") -> AsyncIterator[Both]:
    """Emulator and client, running and ready; the disk is written by a thread."""
    history, recorded = load_history([ticks(folder)], ReadOptions())
    known = {**{name: instrument(name) for name in KNOWN}, **recorded}
    exchange = Exchange(EmulatedAccount(ACCOUNT, Market(known, "USD", Rates({})), Decimal(0)), history, known, None)
    exchange.start(Decimal(100_000))
    emulator = Emulator(exchange, Settings(token=TOKEN, speed=20.0), Faults.parse(faults))
    where = await emulator.start()
    hosts = Hosts(str(where["rest"]), str(where["stream"]))
    transport = Transport(Access(Secret(TOKEN), ACCOUNT, hosts), Pace.usual(), QUICK, Random(0), SystemClock().now)
    disk = Threaded(connect(folder / "journal.db"))
    heard, log, told = Heard(disk), OrderLog(disk, ACCOUNT), []
    feeds: list[PriceFeed] = []

    class Prices:
        def fresh(self, name: str) -> Any:
            return feeds[0].fresh(name)

    limits = OrderLimits(10_000, 10_000, 50.0)
    account = Account(transport, log, Prices(), heard, limits, KEEPING, Random(0), SystemClock().now)
    known = await account.start()
    feeds.append(PriceFeed(transport, {EUR_USD: known[EUR_USD]}, told.append, None, FEEDING, Random(0)))
    tasks = [asyncio.create_task(job) for job in (account.run(), feeds[0].run())]
    made = Both(account, feeds[0], heard, log, told, transport, exchange, str(where["control"]), disk)
    try:
        await made.until(lambda: account.ready and feeds[0].fresh(EUR_USD))
        yield made
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        await transport.close()
        await emulator.stop()
        disk.close()
        assert [end for end in ends if not isinstance(end, asyncio.CancelledError)] == []


async def test_a_round_trip(tmp_path: Path) -> None:
    """Entry with stop, exit, then an exit without a position, which ends as on paper: the position is gone."""
    async with both(tmp_path) as made:
        made.account.submit(order(1, 1000, take=900))
        await made.until(lambda: made.heard.of(Filled))
        filled = made.heard.of(Filled)[0]
        trade = made.account.book.state.trades[filled.opened]
        await made.until(lambda: trade.stop == filled.fill.price - 300 and trade.take == filled.fill.price + 900)
        assert filled.fill.price == filled.fill.ask
        assert filled.balance == Decimal(100_000)
        made.account.submit(leave(2, -1000))
        await made.until(lambda: not made.account.book.state.trades)
        assert made.log.intent("mt-test-2").outcome is Outcome.FILLED  # type: ignore[union-attr]
        assert (made.heard.of(Alarm), made.heard.of(Adopted)) == ([], [])
        assert made.account.book.state.balance < Decimal(100_000)


async def test_a_stop_fires_and_is_ours(tmp_path: Path) -> None:
    """A price beyond the stop closes the trade; the fill is the held level's, and the account agrees afterwards."""
    async with both(tmp_path) as made:
        made.account.submit(entry(1))
        await made.until(lambda: made.account.position(EUR_USD) == 1000)
        await made.tell("price", instrument=EUR_USD, bid="1.38300", ask="1.38310")
        await made.until(lambda: made.account.position(EUR_USD) == 0)
        last = made.heard.of(Filled)[-1]
        assert (last.fill.reason, last.fill.order_id, last.external) == ("stop", "", False)
        await asyncio.sleep(1)
        assert made.account.ready


async def test_a_stop_within_the_spread_opens_nothing(tmp_path: Path) -> None:
    """As on the real thing the entry is cancelled, which leaves nothing behind; the next one fills."""
    async with both(tmp_path) as made:
        made.account.submit(order(1, 1000, stop=12))
        await made.until(lambda: made.heard.of(Ended))
        assert made.heard.of(Ended)[0].cancel.reason == "STOP_LOSS_ON_FILL_LOSS"
        assert made.log.intent("mt-test-1").outcome is Outcome.CANCELLED  # type: ignore[union-attr]
        made.account.submit(entry(2))
        await made.until(lambda: made.account.position(EUR_USD) == 1000)


async def test_a_halt_ends_an_order_without_a_fill(tmp_path: Path) -> None:
    """An exit in a halted market is cancelled by the broker and stays open work; an entry does not go out."""
    async with both(tmp_path) as made:
        made.account.submit(entry(1))
        await made.until(lambda: made.account.position(EUR_USD) == 1000)
        await made.tell("halt", instrument=EUR_USD, halted=True)
        await made.until(lambda: not made.feed.fresh(EUR_USD).tradeable)  # type: ignore[union-attr]
        made.account.submit(leave(2, -1000))
        await made.until(lambda: made.heard.of(Ended))
        assert made.heard.of(Ended)[0].cancel.reason == "MARKET_HALTED"
        assert made.account.position(EUR_USD) == 1000


async def test_candles_are_downloaded(tmp_path: Path) -> None:
    """What the emulator makes of its ticks is read back as bars of both sides."""
    async with both(tmp_path) as made:
        await made.until(lambda: made.feed.time > START + 40 * SECOND)
        pair = made.account.book.instruments[EUR_USD]
        first = START - START % (5 * SECOND)
        got = [c async for c in candles(made.transport, pair, "S5", first, START + 30 * SECOND)]
        assert [c.start for c in got] == list(range(first, START + 30 * SECOND, 5 * SECOND))
        assert all(c.complete and c.bid[2] <= c.bid[0] <= c.bid[1] for c in got)


@pytest.mark.parametrize("faults", ["seed=1,lost=0.3,late=0.2", "seed=2,lost=0.5", "seed=3,html=0.1,late=0.2"])
async def test_the_books_agree_under_the_emulators_faults(tmp_path: Path, faults: str) -> None:
    """Orders through lost and late answers: none doubled, every one ended, and both sides hold the same."""
    async with both(tmp_path) as made:
        await made.tell("faults", **{k: float(v) for k, v in (pair.split("=") for pair in faults.split(","))})
        for n in range(6):
            await asyncio.sleep(0.05)
            held = made.account.position(EUR_USD)
            made.account.submit(leave(n, -held) if held else entry(n))
            await made.until(lambda: not made.log.open())
        await made.tell("faults", lost=0, late=0, html=0)
        await made.until(lambda: made.account.ready and not made.log.open())
        created = [made.log.intent(f"mt-test-{n}").outcome for n in range(6)]  # type: ignore[union-attr]
        assert set(created) <= {Outcome.FILLED, Outcome.CANCELLED, Outcome.REJECTED}
        rows = made.disk.ask(lambda db: db.execute("SELECT fill FROM heard WHERE kind = 'Filled'").fetchall())
        fills = [row[0] for row in rows]
        assert len(fills) == len(set(fills)) == sum(outcome is Outcome.FILLED for outcome in created)
        await asyncio.sleep(1)
        assert made.heard.of(Adopted) == []
        assert made.account.ready
