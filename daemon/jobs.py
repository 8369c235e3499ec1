"""Jobs: commands of this program as child processes, one at a time, that can't hold up or outlive the daemon."""

import asyncio
import json
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from broker.rfc3339 import rfc3339

LONGEST_DETAIL = 300
LONGEST_RESULT = 1 << 22
POLITE_S, STOP_S = 20.0, 1.0  # from the wish to end to the kill: of a job whose time is over; of the daemon's end


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a job may use: niceness, seconds, megabytes of data (0: any)."""

    nice: int = 10
    seconds: float = 4 * 3600.0
    megabytes: int = 4096


@dataclass(frozen=True, slots=True)
class Ended:
    """How a job went.

    Attributes:
        outcome: `done`, `failed` or `timeout`.
        document: what it printed with `--json`; {} where it failed. detail: its last word.
    """

    job: str
    outcome: str
    document: Mapping[str, Any]
    detail: str
    seconds: float


@dataclass(slots=True)
class _Known:
    """What is told of a job."""

    state: str = "idle"
    since: int = 0
    detail: str = ""
    last: Ended | None = None
    runs: dict[str, int] = field(default_factory=dict)


class Jobs:
    """The queue and its one worker.

    Args:
        bounds: of every job. now: ns. told: hears how each job ended, in the event loop.
        program: how this program is started.
    """

    def __init__(
        self,
        bounds: Bounds,
        now: Callable[[], int],
        told: Callable[[Ended], None],
        program: Sequence[str] = (sys.executable, "-m", "daemon"),
    ) -> None:
        self._bounds, self._now, self._told, self._program = bounds, now, told, tuple(program)
        self._queue: deque[tuple[str, tuple[str, ...]]] = deque()
        self._known: dict[str, _Known] = {}
        self._asked = asyncio.Event()

    def ask(self, job: str, arguments: Sequence[str]) -> bool:
        """Run a command of this program once those before it are done; False where this job waits or runs already.

        Args:
            job: what it is called. arguments: the command line; `--json` is added.
        """
        known = self._known.setdefault(job, _Known())
        if known.state != "idle":
            return False
        known.state, known.since, known.detail = "waiting", self._now(), ""
        self._queue.append((job, tuple(arguments)))
        self._asked.set()
        return True

    @property
    def busy(self) -> bool:
        """Whether a job waits or runs."""
        return any(known.state != "idle" for known in self._known.values())

    def status(self) -> list[dict[str, Any]]:
        """A row for each job that was ever asked for."""
        return [
            {
                "job": job,
                "state": known.state,
                "since": rfc3339(known.since),
                "detail": known.detail,
                "last_outcome": known.last.outcome if known.last else None,
                "last_seconds": known.last.seconds if known.last else None,
                "last_detail": known.last.detail if known.last else None,
            }
            for job, known in self._known.items()
        ]

    async def run(self) -> None:
        """Work until cancelled; a job that runs then is ended."""
        while True:
            while not self._queue:
                self._asked.clear()
                await self._asked.wait()
            job, arguments = self._queue.popleft()
            known = self._known[job]
            known.state, known.since = "running", self._now()
            ended: Ended | None = None
            try:
                ended = await self._work(job, arguments, known)
            finally:
                known.state, known.since, known.detail = "idle", self._now(), ""
            known.last = ended
            self._told(ended)

    async def _work(self, job: str, arguments: tuple[str, ...], known: _Known) -> Ended:
        loop = asyncio.get_running_loop()
        began = loop.time()
        limits = (str(self._bounds.nice), str(self._bounds.megabytes), str(os.getpid()))
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "daemon.launch", *limits),
            *(*self._program, *arguments, "--json"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        assert child.stdout is not None
        assert child.stderr is not None
        reading = asyncio.gather(_whole(child.stdout), _follow(child.stderr, known), child.wait())
        outcome, patience = "stopped", STOP_S
        try:
            async with asyncio.timeout(self._bounds.seconds):
                _, _, code = await asyncio.shield(reading)
                outcome = "done" if code == 0 else "failed"
        except TimeoutError:
            outcome, patience = "timeout", POLITE_S
        finally:
            if not reading.done():
                await _end(child, patience)
            await reading
        document = _document(reading.result()[0]) if outcome == "done" else {}
        if document is None:
            outcome = "failed"
        return Ended(job, outcome, document or {}, known.detail, loop.time() - began)


async def _whole(stream: asyncio.StreamReader) -> bytes:
    found = bytearray()
    while chunk := await stream.read(1 << 16):
        found += chunk[: LONGEST_RESULT - len(found)]
    return bytes(found)


async def _follow(stream: asyncio.StreamReader, known: _Known) -> None:
    """Keep the last line of what a job says while it runs: its progress, or its error."""
    rest = b""
    while chunk := await stream.read(1 << 12):
        *lines, rest = (rest + chunk).replace(b"\r", b"\n").split(b"\n")
        rest = rest[-LONGEST_DETAIL:]
        for line in (line.strip() for line in lines):
            if line:
                known.detail = line.decode(errors="replace")[:LONGEST_DETAIL]


async def _end(child: asyncio.subprocess.Process, patience: float) -> None:
    """Ask a child and all that it started to end; kill what has not after `patience` seconds."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGINT)
        try:
            async with asyncio.timeout(patience):
                await child.wait()
        except (TimeoutError, asyncio.CancelledError):
            pass
        os.killpg(child.pid, signal.SIGKILL)


def _document(text: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
