"""The stages of an order and of the journal are measured where they happen, in the daemon that runs."""

import asyncio
import threading
from pathlib import Path

import aiohttp
from aiohttp import web

from broker.durable import connect
from daemon.stages import DecideTimes, TimedDisk, heard, order_trace
from daemon.web import Metrics
from tests.daemon.test_household import TEXT, running
from tests.daemon.test_running import until

STAGES = ("decide", "journal", "send", "answer")


def value(metrics: Metrics, name: str) -> float:
    """As Prometheus reads it; 0 where it is not there."""
    lines = [line for line in metrics.exposition().decode().splitlines() if line.startswith(f"micro_trader_{name} ")]
    return float(lines[0].split()[-1]) if lines else 0.0


async def test_a_running_daemon_measures_its_stages(tmp_path: Path) -> None:
    """Each stage is counted once an order went through it; the way to the connection holds all of it but the answer;
    the journal grows, and is on the disk; the store says what it holds."""
    async with running(tmp_path, TEXT.replace("muzero", "random")) as it:
        await until(lambda: '"outcome": "filled"' in (tmp_path / "log").read_text(), "an order is filled")
        was, decisions = await it.metrics(), len(it.decisions())
        counts = {stage: was[f'stage_seconds_count{{stage="{stage}"}}'] for stage in STAGES}
        sums = {stage: was[f'stage_seconds_sum{{stage="{stage}"}}'] for stage in STAGES}
        assert min(counts.values()) > 0
        assert min(sums.values()) > 0
        assert counts["journal"] >= counts["send"] == was["tick_to_order_seconds_count"] >= counts["answer"]
        assert was["tick_to_order_seconds_sum"] > sums["send"]
        await until(lambda: len(it.decisions()) > decisions + 20, "it goes on")
        store, now = await it.view("store"), await it.metrics()
        for name in (
            "journal_commit_seconds_count",
            "tick_to_order_seconds_count",
            'stage_seconds_count{stage="decide"}',
        ):
            assert now[name] > was[name]
        assert now["journal_records"] >= was["journal_records"] + 20
        assert now["journal_bytes"] >= (tmp_path / "state/journal.db").stat().st_size > 0
        assert now["journal_oldest_seconds"] < 60
        assert (now["store_steps"], now["store_capacity_steps"]) == (store["size"], store["capacity"])
        assert store["capacity"] > now["store_evicted_steps"] == store["evicted_steps"]
        assert {'store_quality{of="min"}', 'store_quality{of="max"}'} <= now.keys()
        assert (await it.command("status"))["counts"]["lockstep_late"] == now["lockstep_late"] == 0


async def test_what_waits_for_the_disk_is_told(tmp_path: Path) -> None:
    """While a write takes long: how many wait, and for how long the oldest has; nothing once all is on the disk."""
    metrics, going = Metrics(), threading.Event()
    disk = TimedDisk(connect(tmp_path / "journal.db"), metrics)
    try:
        assert (disk.waiting, disk.oldest_s) == (0, 0.0)
        disk.put(lambda _: going.wait())
        disk.put(lambda db: db.execute("CREATE TABLE t (x)"))
        assert disk.waiting == 2
        first = disk.oldest_s
        assert first > 0.0
        await asyncio.sleep(0.1)
        disk.put(lambda db: db.execute("INSERT INTO t VALUES (1)"))
        assert disk.waiting == 3
        assert disk.oldest_s > first
        going.set()
        await disk.durable()
        assert (disk.waiting, disk.oldest_s) == (0, 0.0)
        assert value(metrics, "journal_commit_seconds_count") >= 1
        assert value(metrics, 'stage_seconds_count{stage="journal"}') == 0
    finally:
        going.set()
        disk.close()


async def test_only_orders_that_a_tick_led_to_are_measured(tmp_path: Path) -> None:
    """Each against its own tick, though another comes while it waits; an operator's order, and what is no order, is
    not measured."""
    metrics = Metrics()
    disk = TimedDisk(connect(tmp_path / "journal.db"), metrics)

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.json_response({})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/v3/accounts/1"

    async def order(session: aiohttp.ClientSession, path: str = "/orders", wait: float = 0.0) -> None:
        await disk.durable()
        await asyncio.sleep(wait)
        async with session.post(url + path, json={"units": 1}) as answered:
            await answered.read()

    async def tick(session: aiohttp.ClientSession, wait: float) -> None:
        heard()
        slow = asyncio.create_task(order(session, wait=wait))
        heard()
        await asyncio.gather(slow, asyncio.create_task(order(session, path="/pending")))

    async with aiohttp.ClientSession(trace_configs=[order_trace(metrics)]) as session:
        await order(session)
        assert value(metrics, "tick_to_order_seconds_count") == 0
        await asyncio.create_task(tick(session, 0.3))
        await order(session)
    await runner.cleanup()
    disk.close()
    assert value(metrics, "tick_to_order_seconds_count") == 1
    assert value(metrics, "tick_to_order_seconds_sum") >= 0.3
    assert value(metrics, 'stage_seconds_sum{stage="send"}') >= 0.3
    assert value(metrics, 'stage_seconds_count{stage="answer"}') == 1


def test_what_a_start_folds_again_is_not_told() -> None:
    """Its answers were told when they were given; the summary's latency has them all."""
    metrics = Metrics()
    times = DecideTimes(metrics)
    times.add(1_000_000)
    times.told = True
    times.add(3_000_000)
    assert value(metrics, 'stage_seconds_sum{stage="decide"}') == 0.003
    assert times.document()["max"] == 3.0
