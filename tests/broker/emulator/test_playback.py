"""The emulated clock: in lock-step with its client nothing depends on the wall's."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from broker.bars import BarSize
from broker.rfc3339 import parse_rfc3339
from broker.types import SECOND
from tests.broker.emulator.served import START, Client, Json, new_exchange, served, tick_file

BAR, LATENCY = 5 * SECOND, 100_000_000
Quote = tuple[float, int, int]


def walk(seed: int, count: int) -> list[Quote]:
    """Quotes with gaps of up to some bars; some share a time, some stand on a boundary."""
    draw = np.random.default_rng(seed)
    after = np.round(np.cumsum(draw.choice([0.0, 0.05, 0.5, 2.5, 17.0], count, p=[0.1, 0.3, 0.3, 0.2, 0.1])), 2)
    bids = 110_000 + np.cumsum(draw.integers(-5, 6, count))
    return [(float(when), int(bid), int(bid) + 10) for when, bid in zip(after, bids, strict=True)]


async def follow(client: Client, orders: dict[int, int], early: bool) -> tuple[list[Json], list[int], list[Json]]:
    """Read the whole file in lock-step, send orders at some boundaries; prices, boundaries and fills.

    Args:
        orders: units to buy by the number of the boundary.
        early: acknowledge before the order's answer is there, saying how many were sent.
    """
    prices: list[Json] = []
    boundaries: list[int] = []
    answers: list[asyncio.Future[tuple[int, Json]]] = []
    last = client.emulator.exchange.history.end
    async with client.stream("pricing", instruments="EUR_USD") as lines:
        while not prices or parse_rfc3339(prices[-1]["time"]) < last or not client.emulator.exchange.history.is_over:
            said = await lines.next()
            if said["type"] == "PRICE":
                prices.append(said)
                continue
            boundaries.append(parse_rfc3339(said["time"]))
            units = orders.get(len(boundaries))
            if units is not None:
                answers.append(asyncio.ensure_future(client.order(units)))
                if not early:
                    await answers[-1]
            await client.control("ack", time=said["time"], orders=int(units is not None))
    return prices, boundaries, [(await answer)[1]["orderFillTransaction"] for answer in answers]


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("seed", range(4))
async def test_lock_step_is_exact(seed: int, early: bool, tmp_path: Path) -> None:
    """Every quote once and in order, a heartbeat at the end of each bar with quotes before anything later, and each
    order filled at the quote that prevails its latency after the boundary, whenever the client's messages arrive."""
    quotes = walk(seed, 150)
    exchange = new_exchange([tick_file(tmp_path, quotes)])
    times = [START + round(when * 1000) * SECOND // 1000 for when, _, _ in quotes]
    ends = sorted({time - time % BAR + BAR for time in times})
    ends = [end for end in ends if end <= times[-1]]
    wanted = {number: 100 * number for number in range(1, len(ends) + 1, 3)}
    async with served(exchange, speed=0.0, bar=BarSize(clock=True, size=BAR), latency=LATENCY) as client:
        prices, boundaries, fills = await asyncio.wait_for(follow(client, wanted, early), 60)
    assert [(parse_rfc3339(one["time"]), one["bids"][0]["price"]) for one in prices] == [
        (time, f"{bid / 1e5:.5f}") for time, (_, bid, _) in zip(times, quotes, strict=True)
    ]
    assert boundaries == ends
    for fill, number in zip(fills, wanted, strict=True):
        due = ends[number - 1] + LATENCY
        place = max(place for place, time in enumerate(times) if time <= due)
        assert fill["price"] == f"{quotes[place][2] / 1e5:.5f}"
        assert parse_rfc3339(fill["time"]) == due


async def test_bars_of_ticks_end_with_their_last_quote(tmp_path: Path) -> None:
    """A heartbeat follows each N-th quote at its time, the last of the file too."""
    exchange = new_exchange([tick_file(tmp_path, [(n, 110_000, 110_010) for n in range(9)])])
    async with served(exchange, speed=0.0, bar=BarSize(clock=False, size=3)) as client:
        kinds = ""
        async with client.stream("pricing", instruments="EUR_USD") as lines:
            while len(kinds) < 12:
                said = await lines.next()
                kinds += said["type"][0]
                if kinds[-1] == "H":
                    await client.control("ack")
    assert kinds == "PPPH" * 3


async def test_held_stops_go_before_a_later_order(tmp_path: Path) -> None:
    """A stop touched while an order is under way fills first, at its own quote; the order then opens anew."""
    quotes = [
        (0, 110_000, 110_010),
        (5, 110_000, 110_010),
        (10.05, 109_000, 109_010),
        (10.2, 109_500, 109_510),
        (30, 1, 2),
    ]
    exchange = new_exchange([tick_file(tmp_path, quotes)])
    async with served(exchange, speed=0.0, bar=BarSize(clock=True, size=BAR), latency=LATENCY) as client:
        seen = 0
        async with client.stream("pricing", instruments="EUR_USD") as lines:
            while seen < 2:
                said = await lines.next()
                if said["type"] == "HEARTBEAT":
                    seen += 1
                    links = {"stopLossOnFill": {"distance": "0.005"}} if seen == 1 else {}
                    await client.order(100 if seen == 1 else -100, **links)
                    await client.control("ack")
    fills = [one for one in exchange.account.transactions if one["type"] == "ORDER_FILL"]
    assert [(one["reason"], one["price"], one["time"][17:23]) for one in fills] == [
        ("MARKET_ORDER", "1.10010", "05.100"),
        ("STOP_LOSS_ORDER", "1.09000", "10.050"),
        ("MARKET_ORDER", "1.09000", "10.100"),
    ]


async def test_a_silent_client_holds_the_clock_for_a_second_at_most(tmp_path: Path) -> None:
    """Without acknowledgements the file still comes to its end."""
    exchange = new_exchange([tick_file(tmp_path, [(n * 5, 110_000, 110_010) for n in range(3)])])
    async with served(exchange, speed=0.0, bar=BarSize(clock=True, size=BAR)) as client:
        stream = client.stream("pricing", instruments="EUR_USD")
        async with stream as lines:
            said = [(await lines.next())["type"] for _ in range(5)]
    assert said == ["PRICE", "HEARTBEAT", "PRICE", "HEARTBEAT", "PRICE"]


async def test_the_clock_waits_for_a_reader(tmp_path: Path) -> None:
    """As fast as the client reads means not at all while none does."""
    exchange = new_exchange([tick_file(tmp_path, [(n, 110_000, 110_010) for n in range(3)])])
    async with served(exchange, speed=0.0) as client:
        assert (await client.order(1))[0] == 201
        assert exchange.now == START


async def test_the_clock_jumps_and_changes_pace(tmp_path: Path) -> None:
    """To a time at once, all quotes shown; backwards it does not go."""
    exchange = new_exchange([tick_file(tmp_path, [(n, 110_000 + n, 110_010 + n) for n in range(60)])])
    async with served(exchange, speed=0.0) as client:
        assert (await client.control("clock", time="2014-05-01T00:00:30Z"))["time"][17:19] == "30"
        said = await client.get("/pricing", instruments="EUR_USD")
        assert said["prices"][0]["bids"][0]["price"] == "1.10030"
        await client.control("clock", speed=600)
        async with client.stream("pricing", instruments="EUR_USD", snapshot="false") as lines:
            assert (await lines.next())["time"] > "2014-05-01T00:00:30Z"


async def test_the_market_closes_for_the_week_end(tmp_path: Path) -> None:
    """From Friday 17:00 New York without quotes nothing can be traded; the first quote opens it again."""
    friday = 20 * 3600 + 86_400
    exchange = new_exchange([tick_file(tmp_path, [(0, 1, 2), (friday, 3, 4), (friday + 60 * 3600, 5, 6)])])
    async with served(exchange, speed=0.0) as client:
        await client.control("clock", time="2014-05-03T12:00:00Z")
        assert (await client.order(1))[1]["orderCancelTransaction"]["reason"] == "MARKET_HALTED"
        await client.control("clock", time="2014-05-05T08:00:00Z")
        assert "orderFillTransaction" in (await client.order(1))[1]


async def test_at_a_factor_no_quote_is_lost(tmp_path: Path) -> None:
    """Every quote is shown, in order, and orders under way arrive."""
    exchange = new_exchange([tick_file(tmp_path, [(n * 7.0, 110_000 + n, 110_010 + n) for n in range(50)])])
    shown: list[str] = []
    exchange.on_price.append(lambda _, said: shown.append(said["time"]))
    async with served(exchange, speed=2000.0, latency=LATENCY) as client:
        for _ in range(3):
            assert (await client.order(1))[0] == 201
        while not exchange.history.is_over:  # noqa: ASYNC110 - the playback tells nobody
            await asyncio.sleep(0.01)
    assert len(shown) == 49
    assert shown == sorted(shown)


async def test_an_order_due_after_the_last_quote_is_cancelled(tmp_path: Path) -> None:
    """As a replay cancels it; what is sent once the clock stands meets the last quote at once."""
    quotes = [(0.0, 110_000, 110_010), (5.0, 110_000, 110_010), (10.05, 110_000, 110_010)]
    exchange = new_exchange([tick_file(tmp_path, quotes)])
    async with served(exchange, speed=0.0, bar=BarSize(clock=True, size=BAR), latency=LATENCY) as client:
        answers = []
        async with client.stream("pricing", instruments="EUR_USD") as lines:
            while len(answers) < 2:
                said = await lines.next()
                if said["type"] == "HEARTBEAT":
                    answers.append(asyncio.ensure_future(client.order(1000)))
                    await client.control("ack", time=said["time"], orders=1)
            first, second = [(await answer)[1] for answer in answers]
        assert parse_rfc3339(first["orderFillTransaction"]["time"]) == START + BAR + LATENCY
        assert second["orderCancelTransaction"]["reason"] == "MARKET_HALTED"
        assert "orderFillTransaction" in (await client.order(1000))[1]
