"""How long each stage takes of the way from a tick to its order, and the journal to the disk, as Prometheus is told.

When the price stream says something, the time goes into a variable of the task's context. The task that sends an order
begins in that context, and so knows the tick that led to it, whatever happens beside it; one that no tick led to, such
as an operator's, is not measured.
"""

import sqlite3
from contextvars import ContextVar
from time import perf_counter_ns
from types import SimpleNamespace

import aiohttp

from broker.durable import Job, Threaded
from daemon.summary import Latency
from daemon.web import Metrics

NANOSECONDS = 1e-9
ORDERS = "/orders"
_HEARD: ContextVar[int] = ContextVar("heard", default=0)
_PASSED: ContextVar[int] = ContextVar("passed", default=0)


def heard() -> int:
    """The price stream has said something: the time of what comes of it counts from here; now, ns of no clock."""
    now = perf_counter_ns()
    _HEARD.set(now)
    return now


class DecideTimes(Latency):
    """The times of a strategy's answers.

    Attributes:
        told: whether Prometheus hears of them.
    """

    def __init__(self, metrics: Metrics) -> None:
        super().__init__()
        self._metrics, self.told = metrics, False

    def add(self, duration_ns: int) -> None:
        """Take in a duration."""
        super().add(duration_ns)
        if self.told:
            self._metrics.observe("stage_seconds", duration_ns * NANOSECONDS, "decide")


class TimedDisk(Threaded):
    """A writer that tells how long its transactions take, and what waits for them."""

    def __init__(self, db: sqlite3.Connection, metrics: Metrics) -> None:
        self._metrics = metrics
        self._oldest = self._writing = self._began = 0
        super().__init__(db)

    @property
    def waiting(self) -> int:
        """Jobs that are not on disk yet."""
        with self._ready:
            return self._taken - self._settled

    @property
    def oldest_s(self) -> float:
        """How long the oldest of them has waited, seconds."""
        with self._ready:
            since = self._writing or self._oldest
        return (perf_counter_ns() - since) * NANOSECONDS if since else 0.0

    def put(self, job: Job) -> None:
        """Hand in a job."""
        if self._bundle is None and not self._oldest:
            self._oldest = perf_counter_ns()
        super().put(job)

    async def durable(self) -> None:
        """Wait for the disk: a stage where an order does."""
        began = perf_counter_ns()
        await super().durable()
        if _HEARD.get():
            now = perf_counter_ns()
            self._metrics.observe("stage_seconds", (now - began) * NANOSECONDS, "journal")
            _PASSED.set(now)

    def _group(self) -> list[Job] | None:
        with self._ready:
            jobs = super()._group()
            self._writing, self._oldest = self._oldest, 0
            self._began = perf_counter_ns()
        return jobs

    def _settle(self, jobs: int) -> None:
        self._metrics.observe("journal_commit_seconds", (perf_counter_ns() - self._began) * NANOSECONDS)
        with self._ready:
            self._writing = 0
            super()._settle(jobs)


def order_trace(metrics: Metrics) -> aiohttp.TraceConfig:
    """What an HTTP session tells of the orders that a tick led to."""

    async def sent(
        _session: aiohttp.ClientSession, request: SimpleNamespace, told: aiohttp.TraceRequestChunkSentParams
    ) -> None:
        if told.method == "POST" and told.url.path.endswith(ORDERS) and (tick := _HEARD.get()):
            request.sent = now = perf_counter_ns()
            metrics.observe("stage_seconds", (now - _PASSED.get()) * NANOSECONDS, "send")
            metrics.observe("tick_to_order_seconds", (now - tick) * NANOSECONDS)

    async def answered(
        _session: aiohttp.ClientSession, request: SimpleNamespace, _: aiohttp.TraceRequestEndParams
    ) -> None:
        if began := getattr(request, "sent", 0):
            metrics.observe("stage_seconds", (perf_counter_ns() - began) * NANOSECONDS, "answer")

    tracing = aiohttp.TraceConfig()
    tracing.on_request_chunk_sent.append(sent)
    tracing.on_request_end.append(answered)
    return tracing
