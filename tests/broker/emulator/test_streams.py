"""The streams: what comes, in which order, how often, and what may go wrong with them."""

import asyncio
from pathlib import Path

import pytest

from broker.emulator import Faults
from broker.emulator.streams import Streams
from broker.types import SECOND
from tests.broker.emulator.served import START, Json, new_exchange, served, still_file, tick_file


def heard(streams: Streams, kind: str = "pricing") -> list[Json]:
    """What a stream of its own would be sent from now on."""
    sent: list[Json] = []
    subscriber = streams.subscribe(kind, ("EUR_USD",))
    subscriber.send = sent.append  # type: ignore[method-assign]
    return sent


async def test_prices_are_conflated_in_windows(tmp_path: Path) -> None:
    """At most one in 250 ms, the last; the end of a window sends what it held."""
    after = [0, 0.1, 0.2, 0.24, 0.3, 0.9, 1.0]
    exchange = new_exchange([tick_file(tmp_path, [(when, 110_000 + n, 110_010 + n) for n, when in enumerate(after)])])
    streams = Streams(exchange, Faults(), conflate=True)
    sent = heard(streams)
    while not exchange.history.is_over:
        streams.flush(exchange.history.next_time())
        exchange.show_next()
    streams.flush(START + 2 * SECOND)
    assert [one["bids"][0]["price"] for one in sent] == ["1.10001", "1.10004", "1.10005", "1.10006"]


async def test_every_price_is_sent_unconflated(tmp_path: Path) -> None:
    """As fast as the client reads, none is left out."""
    exchange = new_exchange([tick_file(tmp_path, [(n / 100, 110_000 + n, 110_010 + n) for n in range(50)])])
    sent = heard(Streams(exchange, Faults(), conflate=False))
    while not exchange.history.is_over:
        exchange.show_next()
    assert [one["bids"][0]["price"] for one in sent] == [f"1.{10_000 + n}" for n in range(1, 50)]


async def test_a_price_set_by_hand_triggers_before_the_answer(tmp_path: Path) -> None:
    """The control plane's answer already counts the fill, and both streams carry what happened."""
    async with served(new_exchange([still_file(tmp_path)])) as client:
        _, made = await client.order(kind="LIMIT", price="1.05")
        async with client.stream("pricing", instruments="EUR_USD") as prices, client.stream("transactions") as lines:
            assert (await prices.next())["type"] == "PRICE"
            said = await client.control("price", instrument="EUR_USD", bid="1.0499", ask="1.05")
            assert int(said["lastTransactionID"]) == int(made["lastTransactionID"]) + 1
            assert (await lines.next())["reason"] == "LIMIT_ORDER"
            assert (await prices.next())["asks"][0]["price"] == "1.05000"


async def test_a_halt_is_seen_on_the_stream(tmp_path: Path) -> None:
    """A price that can't be traded; orders are cancelled, the stream goes on."""
    async with served(new_exchange([still_file(tmp_path)])) as client:
        async with client.stream("pricing", instruments="EUR_USD,USD_JPY") as prices:
            assert [(await prices.next())["tradeable"] for _ in range(2)] == [True, False]
            await client.control("halt", instrument="EUR_USD", halted=True)
            assert (await prices.next())["status"] == "non-tradeable"
        _, said = await client.order()
        assert said["orderCancelTransaction"]["reason"] == "MARKET_HALTED"


async def test_without_a_snapshot_the_stream_begins_with_news(tmp_path: Path) -> None:
    """`snapshot=false` sends no known price."""
    async with served(new_exchange([still_file(tmp_path)])) as client:
        stream = client.stream("pricing", instruments="EUR_USD", snapshot="false")
        async with stream as prices:
            await client.control("price", instrument="EUR_USD", bid="1.3", ask="1.3001")
            assert (await prices.next())["bids"][0]["price"] == "1.30000"


async def test_after_the_last_quote_the_clock_stands_and_beats(tmp_path: Path) -> None:
    """Heartbeats go on with the last quote's time; requests are served."""
    exchange = new_exchange([tick_file(tmp_path, [(0, 1, 2), (1, 3, 4)])])
    async with served(exchange, speed=0.0, latency=SECOND) as client:
        stream = client.stream("pricing", instruments="EUR_USD")
        async with stream as prices:
            for _ in range(2):
                await prices.next()
            client.emulator.playback.set_speed(0.0)
            status, _ = await client.order(1)
            assert status == 201
            assert exchange.now == START + SECOND
            client.emulator.streams.heartbeat()
            assert (await prices.next())["time"] == "2014-05-01T00:00:01.000000000Z"


async def test_a_loop_goes_on_with_later_times(tmp_path: Path) -> None:
    """The recording begins again a second after its end; time never goes back, and candles cover both rounds."""
    exchange = new_exchange([tick_file(tmp_path, [(0, 110_000, 110_010), (10, 110_020, 110_030)])])
    async with served(exchange, speed=0.0, repeat=True) as client:
        async with client.stream("pricing", instruments="EUR_USD") as prices:
            times = [(await prices.next())["time"][17:19] for _ in range(4)]
        assert times == ["00", "10", "11", "21"]
        found = await client.get("/v3/instruments/EUR_USD/candles", granularity="S5")
        assert sum(one["volume"] for one in found["candles"]) >= 4


@pytest.mark.parametrize(("kind", "other"), [("pricing", "transactions"), ("transactions", "pricing")])
async def test_one_stream_may_die_while_the_other_beats(kind: str, other: str, tmp_path: Path) -> None:
    """A stalled stream stays open and says nothing more."""
    async with served(new_exchange([still_file(tmp_path)])) as client:
        options = {"instruments": "EUR_USD", "snapshot": "false"}
        names = {"pricing": options, "transactions": {}}
        async with client.stream(kind, **names[kind]) as dead, client.stream(other, **names[other]) as alive:
            await client.control("faults", next={f"stall_{kind}": 1})
            for _ in range(2):
                client.emulator.streams.heartbeat()
            assert [(await alive.next())["type"] for _ in range(2)] == ["HEARTBEAT"] * 2
            silent = asyncio.ensure_future(dead.raw())
            await asyncio.sleep(0.05)
            assert not silent.done()
            silent.cancel()


async def test_streams_break_repeat_and_lie_about_time(tmp_path: Path) -> None:
    """Half a line and the end; a line twice; a price from before."""
    async with served(new_exchange([still_file(tmp_path)])) as client:
        async with client.stream("pricing", instruments="EUR_USD") as prices:
            first = await prices.raw()
            await client.control("faults", next={"duplicate": 1})
            client.emulator.streams.heartbeat()
            assert await prices.raw() == await prices.raw() != first
            await client.control("faults", next={"backwards": 1}, backwards_s=3600)
            await client.control("price", instrument="EUR_USD", bid="1.3", ask="1.3001")
            assert (await prices.next())["time"] < "2014-05-01"
            await client.control("faults", next={"half_line": 1})
            client.emulator.streams.heartbeat()
            broken = await prices.raw()
            assert broken.startswith(b'{"type"')
            assert not broken.endswith(b"}\n")
            assert await prices.raw() == b""
        async with client.stream("transactions") as lines:
            await client.control("faults", next={"cut_transactions": 1})
            client.emulator.streams.heartbeat()
            assert (await lines.next())["type"] == "HEARTBEAT"
            assert await lines.raw() == b""
