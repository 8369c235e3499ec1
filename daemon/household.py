"""Everything that keeps a service company: its API, its school, its messages. None of it can change a decision.

What it asks of the service are inputs like any other; where it fails, it fails aloud and the daemon ends with it.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import structlog

from broker.clock import SystemClock
from broker.errors import TraderError
from daemon.assembly import Body
from daemon.chores import JOURNAL, chores_of
from daemon.config import Config
from daemon.events import Activated, Command, Operator
from daemon.frontdesk import Behind, FrontDesk, JournalFigures, Streams
from daemon.notify import Notifications, apprise, heartbeat, secret_lines
from daemon.operator import SIGNALS, OperatorFile
from daemon.probation import Terms
from daemon.promotion import Hands, Promotion
from daemon.school import School
from daemon.web import Health, Metrics, Query, Web, api_token
from daemon.web.address import kept_address
from training.registry import Registry

PROBATION = "probation.json"
LAG_S = 0.1
STOCK_S = 300.0
MODEL = ("promoted", "rejected", "rolled_back", "retired", "probation_passed")
JOB = ("job_ended", "job_missed", "job_overlaps")
TOLD = dict.fromkeys(MODEL, "model") | dict.fromkeys(JOB, "job") | {"summary": "summary", "operator": "halt"}
"""The kind by which people ask for an event, by its name."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the household may ask of the daemon.

    Attributes:
        options: of a child's command line: `--config`, `--state`. badge: PAPER, PRACTICE or LIVE.
        streams, health: how they are. late: waits in lock-step that were given up. reload, stop: as the signals do.
        signalled: signals that say what to do.
    """

    options: Sequence[str]
    badge: str
    streams: Callable[[], Streams]
    health: Callable[[], Health]
    late: Callable[[], int]
    reload: Callable[[], Mapping[str, Any]]
    stop: Callable[[], None]
    signalled: asyncio.Queue[int]


class Household:
    """Made once the service stands.

    Args:
        config: in force. body: what runs. registry: owned. wishes: see there.

    Raises:
        BadInput: a file of secrets, a port or a schedule can't be used.
    """

    def __init__(self, config: Config, body: Body, registry: Registry, wishes: Wishes) -> None:
        self._config, self._body, self._wishes = config, body, wishes
        self._state = Path(config.state.dir)
        self._log = structlog.get_logger()
        self._notifications = notifications_of(config)
        self._promotion = self._school = None
        if config.strategy == "muzero":
            terms = Terms(config.validation.probation_trades, config.validation.probation_drawdown_pips)
            hands = Hands(self._prepare, self._activate, self._observe, self.tell)
            self._promotion = Promotion(registry, self._state / PROBATION, terms, hands)
            chores = chores_of(config, registry)
            self._school = School(config, wishes.options, self._promotion, chores, self.tell, self._clock)
            body.window.followed = self._promotion.traded
        behind = Behind(
            service=body.service,
            window=body.window,
            registry=registry,
            promotion=self._promotion,
            school=self._school,
            streams=wishes.streams,
            health=wishes.health,
            obey=self.obey,
            reload=wishes.reload,
            stop=wishes.stop,
            chosen=body.chosen,
            badge=wishes.badge,
            journal=self._journal,
            late=wishes.late,
        )
        self._desk = FrontDesk(config, behind, body.hub, SystemClock().now())
        body.metrics.refresh = self._desk.measure

    async def run(self) -> None:
        """Keep company until cancelled."""
        settings = self._config
        with ExitStack() as held:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(loop_lag(self._body.metrics))
                tasks.create_task(self._count_stock())
                tasks.create_task(self._obey_signals())
                tasks.create_task(OperatorFile(self._state, self.obey).run())
                if self._notifications is not None:
                    tasks.create_task(self._notifications.run())
                if settings.notify.heartbeat_file:
                    url = secret_lines(Path(settings.notify.heartbeat_file))[0]
                    tasks.create_task(heartbeat(url, settings.notify.heartbeat_s, lambda: self._wishes.health().ready))
                if self._school is not None:
                    tasks.create_task(self._school.run())
                if settings.api.enabled:
                    tasks.create_task(self._serve(held))

    async def _count_stock(self) -> None:
        """Look into the experience store now and then, for the metrics."""
        while True:
            try:
                await self._desk.view("store", Query())
            except TraderError as fault:
                self._log.warning("store", why=str(fault))
            await asyncio.sleep(STOCK_S)

    def _journal(self) -> JournalFigures:
        file, disk = self._state / JOURNAL, self._body.disk
        sizes = [path.stat().st_size for path in (file, file.with_name(f"{file.name}-wal")) if path.exists()]
        return JournalFigures(self._body.memory.records, sum(sizes), disk.waiting, disk.oldest_s)

    async def _serve(self, held: ExitStack) -> None:
        settings, token = self._config.api, await asyncio.to_thread(api_token, self._state)
        hosts = frozenset(name.lower() for name in settings.hosts)
        web = Web(self._desk, self._body.hub, self._body.metrics, token, settings.host, settings.port, hosts)
        url = await web.start()
        held.enter_context(kept_address(self._state, url))
        self._log.info("api", url=url)
        try:
            await asyncio.Event().wait()
        finally:
            await web.close()

    def tell(self, what: str, facts: Mapping[str, Any]) -> None:
        """Say what happened: to the log, to who listens, to who is to be notified, to Prometheus."""
        say = self._log.info if facts.get("outcome", "done") == "done" else self._log.warning
        say(what, **facts)
        self._body.hub.publish(what, facts)
        if what == "job_ended":
            self._body.metrics.count("job_runs_total", facts["job"], facts["outcome"])
        if self._notifications is not None and what in TOLD:
            self._notifications.tell(TOLD[what], what, facts)

    # What an operator says.

    async def obey(self, command: Command, who: str, why: str) -> None:
        """Do it, and return once it is on the disk."""
        service = self._body.service
        service.command(Operator(service.desk.clock, command, who, why))
        self._body.memory.note()
        await self._body.durable()
        self.tell("operator", {"command": command.value, "who": who, "reason": why})

    async def _obey_signals(self) -> None:
        while True:
            number = await self._wishes.signalled.get()
            await self.obey(SIGNALS[number], "signal", f"signal {number}")

    # What promotion does.

    async def _prepare(self, version: str) -> Activated:
        lately, longest = self._body.window.lately(), self._config.validation.max_decision_ms
        return await asyncio.to_thread(self._body.prepare, version, lately, longest)

    def _activate(self, prepared: Activated) -> None:
        service = self._body.service
        service.take(replace(prepared, time=service.desk.clock))

    def _observe(self, why: str) -> None:
        """Close what is held and open nothing; an operator's own wish stays what it is."""
        service, wish = self._body.service, self._body.service.desk.state
        service.bar("model", why)
        if why and any(lane.expected_units for lane in service.session.lanes):
            clock = service.desk.clock
            service.command(Operator(clock, Command.FLATTEN, "watch", why))
            service.command(Operator(clock, wish, "watch", why))

    def _clock(self) -> int:
        return self._body.service.desk.clock


def notifications_of(config: Config) -> Notifications | None:
    """Who is to be told, None where nobody is.

    Raises:
        BadInput: the addresses can't be used.
    """
    settings = config.notify
    if not settings.urls_file:
        return None
    send = apprise(secret_lines(Path(settings.urls_file)), settings.urls_file)
    return Notifications(send, frozenset(settings.events), settings.per_hour)


async def loop_lag(metrics: Metrics) -> None:
    """Measure how late the event loop is, until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + LAG_S
        await asyncio.sleep(LAG_S)
        metrics.observe("loop_lag_seconds", max(0.0, loop.time() - due))
