"""`ticks record` and `ticks download`: prices and candles from the user's own account."""

import argparse
import asyncio
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import SystemRandom
from typing import Any

import numpy as np
import structlog

from broker.clock import SystemClock
from broker.errors import BadInput
from broker.oanda import (
    Candle,
    Down,
    FeedEvent,
    FeedWaits,
    Price,
    PriceFeed,
    Recorder,
    Transport,
    candles,
    instruments,
)
from broker.rfc3339 import rfc3339
from broker.ticks.rows import ASK_BAR_COLUMNS, BID_BAR_COLUMNS, Rows
from broker.ticks.writing import RowWriter, Shape, ending_of, write_file
from broker.types import MINUTE, SECOND, Instrument
from daemon.commands.replay import instruments_of
from daemon.config import Config
from daemon.console import Ui
from daemon.oanda import transport_of
from daemon.options import config_of
from daemon.reading import moment_of

FLUSH_S = 1.0


def record(args: argparse.Namespace, _ui: Ui) -> dict[str, Any]:
    """Record until the time is over or SIGINT or SIGTERM comes; says what was written."""
    config = config_of(args)
    if args.minutes is not None and not args.minutes > 0:
        raise BadInput("must be above 0", where="--minutes")
    names = instruments_of(args.instrument) if args.instrument else config.instruments
    out = args.out if args.out is not None else Path(config.state.dir) / "ticks"
    return asyncio.run(_record(args, config, names, out))


async def _record(args: argparse.Namespace, config: Config, names: tuple[str, ...], out: Path) -> dict[str, Any]:
    transport = transport_of(args.environ, config.oanda)
    try:
        wanted = await _known(transport, names)
        loop = asyncio.get_running_loop()
        packing: list[asyncio.Future[object]] = []

        def aside(job: Callable[[], object]) -> None:
            packing.append(loop.run_in_executor(None, job))

        recorder = Recorder(out, names, aside)
        counts: Counter[str] = Counter()
        log = structlog.get_logger()

        def heard(event: FeedEvent) -> None:
            counts[type(event).__name__] += 1
            if isinstance(event, Down):
                log.warning("stream_lost", why=event.why)

        feed = PriceFeed(transport, wanted, heard, recorder, FeedWaits(), SystemRandom())
        try:
            await _until_told([feed.run(), _flush(recorder, packing)], args.minutes)
        finally:
            recorder.close()
            await asyncio.gather(*packing)
    finally:
        await transport.close()
    return {
        "out": str(out),
        "lines": recorder.lines,
        "ticks": counts[Price.__name__],
        "heartbeats": counts["Beat"],
        "gaps": counts["Gap"],
        "reconnects": max(0, feed.reconnects),
        "passed_over": feed.regressed + feed.repeated + feed.broken,
    }


async def _known(transport: Transport, names: tuple[str, ...]) -> dict[str, Instrument]:
    known = await instruments(transport)
    if unknown := [name for name in names if name not in known]:
        raise BadInput(f"the account has no {unknown[0]}", where="--instrument")
    return {name: known[name] for name in names}


async def _flush(recorder: Recorder, packing: list["asyncio.Future[object]"]) -> None:
    """Hand lines to the system every second; a day that could not be packed ends the recording."""
    while True:
        await asyncio.sleep(FLUSH_S)
        recorder.flush()
        for job in [job for job in packing if job.done()]:
            packing.remove(job)
            job.result()


async def _until_told(jobs: list[Any], minutes: float | None) -> None:
    """Run jobs until one fails, the time is over, or a signal says so."""
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told.set)
    tasks = [asyncio.create_task(job) for job in jobs]
    waiting = asyncio.create_task(told.wait())
    try:
        limit = minutes * MINUTE / SECOND if minutes is not None else None
        done, _ = await asyncio.wait([*tasks, waiting], timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {waiting}:
            task.result()
    finally:
        for task in (*tasks, waiting):
            task.cancel()
        await asyncio.gather(*tasks, waiting, return_exceptions=True)
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def download(args: argparse.Namespace, _ui: Ui) -> dict[str, Any]:
    """Download candles into a file of bars; says how many."""
    config = config_of(args)
    if ending_of(args.out).startswith(".jsonl"):
        raise BadInput("bars are no stream of quotes", where=str(args.out), mend="end it with .csv or .parquet")
    name = instruments_of(args.instrument)[0]
    start, end = span_of(args, SystemClock().now())
    pair, found = asyncio.run(_download(args, config, name, start, end))
    columns = (*BID_BAR_COLUMNS, *ASK_BAR_COLUMNS, "volume")
    rows = bar_rows(found, pair)

    def write(writer: RowWriter) -> None:
        writer.write(rows)

    write_file(args.out, Shape(name, columns, 0), write)
    ends = {"first": rfc3339(found[0].start), "last": rfc3339(found[-1].start)} if found else {}
    return {"out": str(args.out), "instrument": name, "granularity": args.granularity, "bars": len(found), **ends}


def span_of(args: argparse.Namespace, latest: int) -> tuple[int, int]:
    """The times of --from and --to, ns; the end is `latest` at most, and where none is given."""
    start = moment_of(args.start, "--from")
    end = min(latest, moment_of(args.end, "--to") if args.end else latest)
    if end <= start:
        raise BadInput("ends before it begins", where="--to")
    return start, end


async def _download(
    args: argparse.Namespace, config: Config, name: str, start: int, end: int
) -> tuple[Instrument, list[Candle]]:
    transport = transport_of(args.environ, config.oanda)
    try:
        pair = (await _known(transport, (name,)))[name]
        return pair, [candle async for candle in candles(transport, pair, args.granularity, start, end)]
    finally:
        await transport.close()


def bar_rows(found: list[Candle], pair: Instrument) -> Rows:
    """Candles as rows of bid and ask bars with their number of ticks."""
    table = np.array([(*candle.bid, *candle.ask, candle.ticks) for candle in found], np.int64).reshape(-1, 9)
    digits = np.full((9, len(found)), pair.precision, np.uint8)
    digits[8] = 0
    time = np.array([candle.start for candle in found], np.int64)
    return Rows(time, np.arange(1, len(found) + 1), np.ascontiguousarray(table.T), digits)
