"""Dukascopy's public tick history: one .bi5 an hour, fetched into folders like theirs, which replay as they lie.

What is there and sound is not fetched again, so that an interrupted download goes on. A file takes its name only once
it is whole: fetched aside, unpacked to verify it, and renamed.
"""

import argparse
import asyncio
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random, SystemRandom
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from broker.clock import SystemClock
from broker.errors import BadInput, StorageFault, Transient
from broker.instruments import instrument
from broker.oanda.pacing import Backoff
from broker.ticks.formats.dukascopy import count_records
from broker.types import HOUR, SECOND, Instrument
from daemon.commands.replay import instruments_of
from daemon.console import Ui
from daemon.recording import span_of

PUBLIC = "https://datafeed.dukascopy.com/datafeed"
AT_ONCE = 4
TRIES = 5
RETRY_FIRST_S, RETRY_LONGEST_S = 0.5, 20.0
ANSWER_S = 60.0
MOST_BYTES = 1 << 25  # an hour has some hundred kilobytes
NOT_FOUND, OK = 404, 200


@dataclass(frozen=True, slots=True)
class Span:
    """What to fetch: the hours of an instrument that begin in [start, end), ns, below `folder`."""

    instrument: Instrument
    start: int
    end: int
    folder: Path

    def hours(self) -> Iterator[str]:
        """Paths of the hours, as the server has them: `EURUSD/2019/00/04/10h_ticks.bi5`, months from 0."""
        name = self.instrument.name.replace("_", "")
        for hour in range(-(-self.start // HOUR), -(-self.end // HOUR)):
            at = datetime.fromtimestamp(hour * HOUR // SECOND, UTC)
            yield f"{name}/{at.year:04}/{at.month - 1:02}/{at.day:02}/{at.hour:02}h_ticks.bi5"


def download(args: argparse.Namespace, ui: Ui) -> dict[str, Any]:
    """Fetch what is missing below the folder `args.out`; says what came of it."""
    url = args.url or PUBLIC
    if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
        raise BadInput(f"{url!r} is no URL", where="--url", mend=f"as in {PUBLIC}")
    pair = instrument(instruments_of(args.instrument)[0])
    start, end = span_of(args, SystemClock().now() // HOUR * HOUR)
    span = Span(pair, start, end, args.out)
    with ui.progress("download", sum(1 for _ in span.hours()), "hours") as meter:
        history = History(url, SystemRandom(), lambda: meter.advance(1))
        asyncio.run(history.fetch(span))
    return {"out": str(args.out), "instrument": pair.name, "hours": sum(1 for _ in span.hours()), **history.counts}


class NoAnswer(Transient):
    """An hour could not be had, however often it was tried."""


class History:
    """A server of hourly files.

    Args:
        url: what the paths of hours are added to. dice: jitter of the waits between tries. told: after each hour.
        retry_first: seconds before the second try.
    """

    def __init__(self, url: str, dice: Random, told: Callable[[], None], retry_first: float = RETRY_FIRST_S) -> None:
        self._url, self._dice, self._told, self._retry_first = url.rstrip("/"), dice, told, retry_first
        self.counts: Counter[str] = Counter(fetched=0, kept=0, missing=0, ticks=0, bytes=0)

    async def fetch(self, span: Span) -> None:
        """Bring all hours of a span that are not there yet; `counts` says what came of them.

        Raises:
            NoAnswer: the server failed too often; what was fetched stays, and the same call goes on from there.
            StorageFault: the disk failed.
        """
        hours = iter(list(span.hours()))
        timeout = aiohttp.ClientTimeout(total=ANSWER_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            try:
                async with asyncio.TaskGroup() as tasks:
                    for _ in range(AT_ONCE):
                        tasks.create_task(self._work(session, span.folder, hours))
            except BaseExceptionGroup as group:
                raise group.exceptions[0] from None

    async def _work(self, session: aiohttp.ClientSession, folder: Path, hours: Iterator[str]) -> None:
        for hour in hours:
            path = folder / hour
            if (ticks := await asyncio.to_thread(_sound, path)) is not None:
                self._count("kept", ticks, 0)
            elif (body := await self._get(session, hour)) is None:
                self.counts["missing"] += 1
            else:
                self._count("fetched", await asyncio.to_thread(_keep, path, body), len(body))
            self._told()

    def _count(self, what: str, ticks: int, size: int) -> None:
        self.counts.update({what: 1, "ticks": ticks, "bytes": size})

    async def _get(self, session: aiohttp.ClientSession, hour: str) -> bytes | None:
        """A verified file, None where the server has none."""
        backoff = Backoff(self._retry_first, RETRY_LONGEST_S, self._dice.random)
        why = ""
        for left in reversed(range(TRIES)):
            try:
                async with session.get(f"{self._url}/{hour}") as answer:
                    if answer.status == NOT_FOUND:
                        return None
                    if answer.status == OK:
                        return await _read(answer.content)
                    why = f"status {answer.status}"
            except (aiohttp.ClientError, TimeoutError) as error:
                why = str(error) or type(error).__name__
            except ValueError as error:
                why = str(error)
            if left:
                await asyncio.sleep(backoff.next())
        raise NoAnswer(f"{self._url}/{hour}: {why}; the same command goes on from here")


async def _read(content: aiohttp.StreamReader) -> bytes:
    """A whole file.

    Raises:
        ValueError: it is none.
    """
    body = bytearray()
    async for chunk in content.iter_any():
        body += chunk
        if len(body) > MOST_BYTES:
            raise ValueError("is larger than an hour of ticks can be")
    found = bytes(body)
    await asyncio.to_thread(count_records, found)
    return found


def _sound(path: Path) -> int | None:
    """How many ticks a file that is there holds; None where it must be fetched."""
    try:
        return count_records(path.read_bytes())
    except (OSError, ValueError):
        return None


def _keep(path: Path, body: bytes) -> int:
    """Write a file under its name, whole or not at all; how many ticks it holds."""
    aside = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except (NotADirectoryError, PermissionError, FileExistsError) as error:
        raise BadInput(f"can't be written: {error.strerror}", where=str(path)) from error
    except OSError as error:
        raise StorageFault(f"can't be written: {error.strerror}", where=str(path)) from error
    return count_records(body)
