"""The life of `run`: start, keep company, reload, stop; one event loop, one state folder.

Start-up is recovery: the account is read and compared first, then bars are warmed up, then prices are opened.
"""

import asyncio
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from random import SystemRandom
from sys import setswitchinterval
from time import monotonic_ns
from typing import Any

import structlog

from broker.bars import BarSize
from broker.clock import SystemClock
from broker.errors import BadInput, Transient
from broker.oanda import Account, Denied, FeedEvent, PriceFeed, Recorder, Transport, Unauthorised
from broker.oanda.keeping import Keeper
from broker.types import Bar
from daemon.assembly import Body, assemble
from daemon.candlebars import granularity_of, recent_bars, warm_up_start
from daemon.compose import limits_of
from daemon.config import Config, bar_length
from daemon.console import Ui
from daemon.events import Limited
from daemon.experience import ExperienceAside
from daemon.frontdesk import Streams
from daemon.household import Household, Wishes
from daemon.journal import opened
from daemon.leaving import leave
from daemon.lockstep import Lockstep
from daemon.news import news_of
from daemon.oanda import feed_waits, is_custom, transport_of
from daemon.operator import SIGNALS
from daemon.slices import go_first
from daemon.stages import TimedDisk, order_trace
from daemon.systemd import Notifier
from daemon.web import Health, Metrics
from training.locks import FileLock, writer_lock
from training.registry import Registry

JOURNAL = "journal.db"
COMPANY_S = 1.0
SNAPSHOT_EVERY = 60  # rounds of company
READY_S = 0.02
JOBS_S = 1.0  # of the two that a stop may take
SWITCH_S = 0.0001  # longest that another thread keeps the interpreter while the loop waits for it


class Daemon:
    """Runs a session until it is told to stop.

    Args:
        config: as read. environ: secrets and addresses. again: reads the config anew.
        ui: for notes at the start. options: that a command line needs for the same config and state folder.
        anew: begin a new run instead of folding the journal again.
    """

    def __init__(
        self,
        config: Config,
        environ: Mapping[str, str],
        again: Callable[[], Config],
        ui: Ui,
        options: Sequence[str] = (),
        *,
        anew: bool = False,
    ) -> None:
        self._config, self._environ, self._again, self._ui = config, environ, again, ui
        self._options, self._anew = options, anew
        self._state = Path(config.state.dir)
        self._log = structlog.get_logger()
        self._notifier = Notifier(environ)
        self._stop = asyncio.Event()
        self._signalled: asyncio.Queue[int] = asyncio.Queue()
        self._interrupted = False
        self._jobs: list[asyncio.Future[object]] = []
        self._tasks: asyncio.TaskGroup | None = None
        self._lockstep: Lockstep | None = None
        self._body: Body | None = None
        self._feed: PriceFeed | None = None
        self._feeding: asyncio.Task[None] | None = None
        self._flatten = config.risk.flatten_on_stop
        self._well = self._ready = self._overdue = False

    async def run(self) -> bool:
        """Live until SIGTERM or SIGINT; whether it was the latter.

        Raises:
            BadInput: config or account can't be used, or another daemon has the state folder.
            TraderError: something that a restart may mend.
        """
        setswitchinterval(SWITCH_S)
        go_first()
        now = SystemClock().now
        loop = asyncio.get_running_loop()
        for number, act in (
            (signal.SIGTERM, self.stop),
            (signal.SIGINT, self._interrupt),
            (signal.SIGHUP, self._reload),
        ):
            loop.add_signal_handler(number, act)
        for said in SIGNALS:
            loop.add_signal_handler(said, self._signalled.put_nowait, int(said))
        async with AsyncExitStack() as held:
            held.enter_context(FileLock(self._state / "daemon.lock", "daemon", now))
            held.enter_context(writer_lock(self._state, "daemon", now))
            registry = Registry(self._state / "models", "daemon", now)
            registry.own()
            held.callback(registry.disown)
            metrics = Metrics()
            transport = transport_of(self._environ, self._config.oanda, [order_trace(metrics)])
            held.push_async_callback(transport.close)
            disk = TimedDisk(opened(self._state / JOURNAL), metrics)
            held.callback(disk.close)
            store = ExperienceAside(self._state, self._config.store.capacity, self._ui.warn, disk.wait)
            held.callback(store.close)
            self._notifier.say(STATUS="starting")
            body = await assemble(
                self._config,
                self._environ,
                transport,
                disk,
                store,
                metrics,
                self._aside,
                self._missed,
                self._ui,
                anew=self._anew,
            )
            store.begin()
            for name, profit in body.memory.closed.items():
                self._ui.warn(
                    f"{name} is not traded any more: what was held on paper counts as closed at {profit:+.2f}"
                )
            await self._live(body, transport, registry)
        return self._interrupted

    def status(self) -> dict[str, Any]:
        """The service's, once it has been opened."""
        return self._body.service.status() if self._body is not None else {}

    async def _live(self, body: Body, transport: Transport, registry: Registry) -> None:
        tape = Recorder(self._state / "ticks", tuple(body.pairs), self._aside, SystemClock().now)
        living = asyncio.create_task(self._work(body, transport, registry, tape))
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait((living, stopping), return_when=asyncio.FIRST_COMPLETED)
            self._notifier.say(STOPPING=1)
            stopping.cancel()
            if self._feeding is not None and not living.done():
                await leave(body, self._feeding, flatten=self._flatten)
            living.cancel()
            await asyncio.wait((living,))
            if not living.cancelled():
                living.result()
            if self._lockstep is not None:
                self._lockstep.drain()
            body.memory.mark()
            body.days.finish()
        except BaseExceptionGroup as group:
            raise first_of(group) from None
        finally:
            body.days.abandon()
            tape.close()
            await self._let_jobs_end()

    async def _work(self, body: Body, transport: Transport, registry: Registry, tape: Recorder) -> None:
        service, account = body.service, body.account
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            tasks.create_task(body.memory.failure())
            tasks.create_task(self._household(body, registry).run())
            body.open()
            self._body = body
            if account is not None:
                tasks.create_task(account.run())
                while not account.ready:  # noqa: ASYNC110 - what it waits for has no event of its own
                    await asyncio.sleep(READY_S)
                service.reconcile()
            size = size_of(self._config)
            await self._warm_up(body, transport, size)
            listener: Callable[[FeedEvent], None] = body.hear
            if (control := self._environ.get("OANDA_CONTROL_URL", "")) and account is not None:
                self._lockstep = Lockstep(control, body.hear, lambda: service.sent, service.guards)
                tasks.create_task(self._lockstep.run(account.keeper))
                listener = self._lockstep.offer
            waits = feed_waits(self._config.oanda, granularity_of(size) or "S5")
            feed = PriceFeed(transport, body.pairs, listener, tape, waits, SystemRandom())
            body.ears.feed = self._feed = feed
            self._feeding = tasks.create_task(feed.run())
            self._notifier.say(READY=1, STATUS=f"trading in mode {body.config.mode}")
            self._log.info("started", **service.status())
            self._ready = True
            if self._overdue:
                self._reload()
            await self._keep_company(body, tape)

    async def _warm_up(self, body: Body, transport: Transport, size: BarSize) -> None:
        """Read candles since we last ran, or as many as a warm-up takes."""
        custom = is_custom(self._environ)
        if self._config.oanda.warm_up == "off" or (self._config.oanda.warm_up == "auto" and custom):
            return
        now = await heard_from(body.account.keeper) if custom and body.account else SystemClock().now()
        start = body.service.desk.clock or warm_up_start(size, self._config.model.warmup_bars, now)
        bars: list[tuple[str, Bar]] = []
        for name, pair in body.pairs.items():
            bars += [(name, bar) async for bar in recent_bars(transport, pair, size, start, now)]
        body.service.warm_up(bars, now)

    async def _keep_company(self, body: Body, tape: Recorder) -> None:
        """Once a second: hand on what was written, tell systemd that all is well, remember now and then."""
        service, settings = body.service, self._config.oanda
        loop = asyncio.get_running_loop()
        heard, well = -1, loop.time()
        patience, rounds = settings.silence_s + settings.retry_longest_s, 0
        while True:
            await asyncio.sleep(min(COMPANY_S, self._notifier.watchdog_s / 3 or COMPANY_S))
            tape.flush()
            body.days.flush()
            body.memory.note()
            for job in [job for job in self._jobs if job.done()]:
                self._jobs.remove(job)
                job.result()
            if service.heard != heard and (body.account is None or body.account.ready):
                heard, well = service.heard, loop.time()
            self._well = loop.time() - well < patience
            if self._well:
                self._notifier.say(WATCHDOG=1)
            rounds += 1
            if rounds % SNAPSHOT_EVERY == 0:
                body.memory.look_after()

    def _household(self, body: Body, registry: Registry) -> Household:
        real = body.account is not None and not is_custom(self._environ)
        live = real and self._environ.get("OANDA_ENVIRONMENT") == "live"
        wishes = Wishes(
            options=self._options,
            badge="LIVE" if live else "PRACTICE" if real else "PAPER",
            streams=lambda: streams_of(self._feed, body.account),
            health=lambda: self._health(body),
            late=lambda: self._lockstep.late if self._lockstep else 0,
            reload=self._reload,
            stop=self.stop,
            signalled=self._signalled,
        )
        return Household(self._config, body, registry, wishes)

    def _health(self, body: Body) -> Health:
        """Whether ticks and orders are alive."""
        if self._feed is None:
            return Health(False, "starting")
        if body.account is not None and not body.account.ready:
            return Health(False, "the account does not agree, or an order is in doubt")
        return Health(self._well, "" if self._well else "no price for too long")

    def _aside(self, job: Callable[[], object]) -> None:
        self._jobs.append(asyncio.get_running_loop().run_in_executor(None, job))

    async def _let_jobs_end(self) -> None:
        """Wait for what other threads write, but not for long: it is there whole or not at all."""
        if self._jobs:
            done, _ = await asyncio.wait(self._jobs, timeout=JOBS_S)
            for job in done:
                job.result()

    def _missed(self) -> None:
        assert self._tasks is not None, "prices are missed while it runs"
        self._tasks.create_task(self._agree())

    async def _agree(self) -> None:
        """After a gap: read the account to its end, however long that takes."""
        assert self._body is not None, "prices are missed while it runs"
        account, waits = self._body.account, self._config.oanda
        while account is not None:
            try:
                await account.keeper.catch_up()
                break
            except (Transient, Denied, Unauthorised):
                await asyncio.sleep(waits.retry_longest_s)
        self._body.service.agreed()

    # Signals.

    def stop(self) -> None:
        """Stop in good order."""
        self._stop.set()

    def _interrupt(self) -> None:
        self._interrupted = True
        self._stop.set()

    def _reload(self) -> dict[str, Any]:
        """Read the config again, once it has started: limits are taken over; what else changed waits for a restart."""
        if not self._ready or self._body is None:
            self._overdue = True
            return {"taken": [], "waits": "it is starting"}
        self._notifier.say(RELOADING=1, MONOTONIC_USEC=monotonic_ns() // 1000)
        try:
            config = self._again()
            service = self._body.service
            service.take(Limited(service.desk.clock, limits_of(config, news_of(config.risk.news_file))))
            self._flatten = config.risk.flatten_on_stop
            rest = replace(config, risk=self._config.risk, log=self._config.log) != self._config
            done = {"taken": ["risk", "log"], "needs_restart": rest}
            self._log.info("reload", **done)
        except BadInput as error:
            self._log.error("reload", refused=str(error))
            done = {"taken": [], "refused": str(error)}
        finally:
            self._notifier.say(READY=1)
        return done


def first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first exception that is no group."""
    first = group.exceptions[0]
    return first_of(first) if isinstance(first, BaseExceptionGroup) else first


async def heard_from(keeper: Keeper) -> int:
    """The server's time, ns, once it has told it: its clock need not be ours."""
    while not keeper.time:  # noqa: ASYNC110 - a heartbeat has no event of its own
        await asyncio.sleep(READY_S)
    return keeper.time


def size_of(config: Config) -> BarSize:
    """The config's bars."""
    kind, size = bar_length(config.bar)
    return BarSize(kind == "clock", size)


def streams_of(feed: PriceFeed | None, account: Account | None) -> Streams:
    """Ages and reconnects of the price and the transaction stream."""
    known: dict[str, PriceFeed | Keeper] = {"prices": feed} if feed else {}
    if account is not None:
        known["transactions"] = account.keeper
    ages = {name: stream.silence for name, stream in known.items()}
    return Streams(ages, {name: max(stream.reconnects, 0) for name, stream in known.items()})
