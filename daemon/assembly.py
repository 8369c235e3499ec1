"""Puts a service together: the config's values, the account's instruments, the session, and what remembers it."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import SystemRandom

from broker.clock import SystemClock
from broker.durable import Writer
from broker.errors import BadInput, StorageFault
from broker.oanda import Account, Event, FeedEvent, OrderLog, Price, PriceFeed, Transport, instruments
from broker.types import Instrument
from daemon.canary import NotFit, fit
from daemon.compose import limits_of, make_lane, make_session, make_strategy, paper_broker
from daemon.config import Config, to_toml
from daemon.console import Ui
from daemon.dayfolders import DayFolders
from daemon.daypage import page_aside
from daemon.desk import Desk
from daemon.environment import environment
from daemon.events import Activated, Limited
from daemon.experience import ExperienceAside
from daemon.journal import DiskJournal, resume
from daemon.memory import Memory
from daemon.models import BUNDLED, Chosen, choose_model
from daemon.news import news_of
from daemon.oanda import is_custom, keeper_waits, order_limits
from daemon.outputs import Logged, OverTheWire, Written
from daemon.recovery import Folded, Rehearsal
from daemon.service import Service
from daemon.stages import DecideTimes, TimedDisk
from daemon.summary import Latency, Run
from daemon.web import Hub, Metrics
from daemon.window import Window
from strategy.discovery import find
from strategy.lane import Lane
from strategy.plugin import Observation, Strategy
from training.recorder import Recorder

Aside = Callable[[Callable[[], object]], object]


class Ears:
    """Who the account asks for prices and tells its events: the feed and the service, once they are there."""

    feed: PriceFeed | None = None
    service: Service | None = None

    def fresh(self, instrument: str) -> Price | None:
        """The feed's latest price."""
        return self.feed.fresh(instrument) if self.feed else None

    def record(self, events: tuple[Event, ...]) -> None:
        """Tell the service; what comes before it is there shows in the account as a whole."""
        if self.service is not None:
            self.service.record(events)

    def apply(self, events: tuple[Event, ...]) -> None:
        """Tell the service."""
        if self.service is not None:
            self.service.apply(events)


@dataclass(slots=True)
class Body:
    """What runs.

    Attributes:
        why: why nothing may be entered throughout, or "".
        pairs: what is traded, by name.
        memory: keeps the state. folded: what a start folded of the journal; None where it began anew.
        newer: another model than the one that decided last.
        hub, metrics, window: what is told of it. chosen: the model that it started with, or None.
        disk: under the journal.
    """

    config: Config
    service: Service
    days: DayFolders
    recorder: Recorder
    account: Account | None
    ears: Ears
    pairs: Mapping[str, Instrument]
    why: str
    prepare: Callable[[str, Sequence[Sequence[Observation]], float], Activated]
    memory: Memory
    folded: Folded | None
    newer: Activated | None
    hub: Hub
    metrics: Metrics
    window: Window
    chosen: Chosen | None
    disk: TimedDisk

    def hear(self, event: FeedEvent) -> None:
        """What the price stream tells: the window looks on from here, the service acts."""
        self.window.begin(event)
        self.service.hear(event)

    async def durable(self) -> None:
        """Return once all inputs so far are on the disk."""
        await self.disk.durable()

    def open(self) -> None:
        """Begin, or go on; with the limits and the model of now.

        Raises:
            BadInput: the file of news can't be used.
        """
        limits = limits_of(self.config, news_of(self.config.risk.news_file))
        self.service.open(self.why)
        self.service.take(Limited(self.service.desk.clock, limits))
        if self.newer is not None:
            self.service.take(replace(self.newer, time=self.service.desk.clock))


async def assemble(
    config: Config,
    environ: Mapping[str, str],
    transport: Transport,
    disk: TimedDisk,
    store: ExperienceAside,
    metrics: Metrics,
    aside: Aside,
    missed: Callable[[], None],
    ui: Ui,
    *,
    anew: bool = False,
) -> Body:
    """Ask the broker what it trades, build the session over it, and go on from the journal.

    Args:
        disk: keeps orders and transactions. store: keeps experience. metrics: are told.
        aside: runs what takes long. missed: called once for each gap of the prices.
        anew: begin a new run, whatever the journal has.

    Raises:
        BadInput: the config, the strategy, the model or the account can't be used.
        Differs: the journal can't be folded again.
        Transient, Denied, Unauthorised: the broker could not be asked.
    """
    found = disk.ask(resume)
    if found.cut:
        ui.warn(f"the journal's end is damaged: its last {found.cut} records were cut off and put aside")
    ears = Ears()
    account, config, pairs = await traded(config, environ, transport, disk, ears)
    chosen = choose_model(config, ui) if config.strategy == "muzero" else None
    latency, written, run = DecideTimes(metrics), DiskJournal(disk, found.end), secrets.token_hex(4)
    journal = Rehearsal(written)
    makers = Makers(config, tuple(pairs.values()), latency, str(chosen.path) if chosen else "")
    lanes = makers.lanes(chosen)
    days = days_of(config, tuple(pairs.values()), chosen, latency, aside)
    recorder = Recorder(run, lanes[0].strategy.feature_set, store.keep)
    wire = OverTheWire(account) if account else None
    window = Window(lanes, hub := Hub(), metrics)
    sink = Written(journal, days, recorder, window)
    session = make_session(lanes, config, wire or paper_broker(config), sink, run)
    session.sending = sink.sent
    desk = Desk(session, makers.prepared)
    name = transport.access.account if wire else ""
    memory = Memory(config, pairs.values(), name, desk, session, recorder, makers, written, disk)
    folded = memory.take_up(found, journal, days, anew=anew)
    if wire is not None:
        wire.forget()
    sink.tell(Logged())
    window.told = latency.told = True
    service = Service(config, session.run, desk, session, journal, days, account, wire, missed, memory.begin)
    ears.service = service
    newer = Activated(0, chosen.name, str(chosen.path)) if chosen and makers.folder != str(chosen.path) else None
    return Body(
        config=config,
        service=service,
        days=days,
        recorder=recorder,
        account=account,
        ears=ears,
        pairs=pairs,
        why=why_not(chosen, config) if chosen is not None else "",
        prepare=makers.prepare,
        memory=memory,
        folded=folded,
        newer=newer,
        hub=hub,
        metrics=metrics,
        window=window,
        chosen=chosen,
        disk=disk,
    )


def days_of(
    config: Config, pairs: tuple[Instrument, ...], chosen: Chosen | None, latency: Latency, aside: Aside
) -> DayFolders:
    """The run's folders."""
    described, commission = described_of(config, pairs, chosen), config.paper.commission_pips
    folders = Path(config.state.dir) / "runs"
    return DayFolders(
        folders, pairs, commission, described, to_toml(config), environment(()), latency, aside, page_aside
    )


async def traded(
    config: Config, environ: Mapping[str, str], transport: Transport, disk: Writer, ears: Ears
) -> tuple[Account | None, Config, dict[str, Instrument]]:
    """The account that orders go to (None: they are filled here), the config in its currency, and what is traded."""
    account = None
    if config.mode == "live" or is_custom(environ):
        account = account_of(config, environ, transport, disk, ears)
        known = await account.start()
        config = replace(config, account=replace(config.account, currency=account.currency))
    else:
        known = await instruments(transport)
    if unknown := [name for name in config.instruments if name not in known]:
        raise BadInput(f"the account has no {unknown[0]}", where="instruments", mend="see what OANDA offers it")
    return account, config, {name: known[name] for name in config.instruments}


def why_not(chosen: Chosen, config: Config) -> str:
    """Why a model may not open positions unasked, or "": the one that comes with the program was never promoted."""
    if config.model.allow_untrained:
        return ""
    return chosen.unfit(config.mode == "live") or ("no_model" if chosen.path == BUNDLED else "")


class Makers:
    """Makes lanes, and the strategies of another model beforehand; `folder` of the model that decides."""

    def __init__(self, config: Config, pairs: Sequence[Instrument], latency: Latency, folder: str) -> None:
        self._config, self._pairs, self._latency, self.folder = config, pairs, latency, folder
        self._factory = find(config.strategy)
        self._made: dict[str, Sequence[Strategy]] = {}
        self._silent = Ui(json=True)

    def lanes(self, chosen: Chosen | None) -> list[Lane]:
        """One for each pair."""
        return [make_lane(pair, self._config, self._factory, chosen, self._latency) for pair in self._pairs]

    def prepare(self, version: str, lately: Sequence[Sequence[Observation]], longest_ms: float) -> Activated:
        """Load and verify a model, ask it about what was seen lately, and make its strategies; in any thread.

        Raises:
            NotFit: it can't be used.
        """
        try:
            chosen = self._chosen(version)
        except (BadInput, StorageFault) as error:
            raise NotFit(str(error)) from error
        made = fit(lambda: self._make(chosen), lately, longest_ms)
        self._made[str(chosen.path)] = made
        return Activated(0, chosen.name, str(chosen.path))

    def _chosen(self, version: str) -> Chosen:
        return choose_model(replace(self._config, model=replace(self._config.model, version=version)), self._silent)

    def _make(self, chosen: Chosen) -> list[Strategy]:
        return [make_strategy(pair, self._config, self._factory, chosen, self._latency) for pair in self._pairs]

    def prepared(self, event: Activated) -> Sequence[Strategy]:
        """The strategies made for it, which are handed out once."""
        self.folder = event.folder
        return self._made.pop(event.folder, None) or self._make(self._chosen(event.folder))


def account_of(config: Config, environ: Mapping[str, str], transport: Transport, disk: Writer, ears: Ears) -> Account:
    """The account as orders go to it."""
    limits = order_limits(config, transport.access.hosts, is_custom(environ))
    log, waits = OrderLog(disk, transport.access.account), keeper_waits(config.oanda)
    return Account(transport, log, ears, ears, limits, waits, SystemRandom(), SystemClock().now)


def described_of(config: Config, pairs: tuple[Instrument, ...], chosen: Chosen | None) -> Run:
    """What is run, for its summaries."""
    return Run(
        strategy=config.strategy,
        model=chosen.name if chosen else config.strategy,
        seed=config.seed,
        out="",
        source="quotes",
        instruments=pairs,
        bar=config.bar,
        mode=config.mode,
        untrained=chosen.untrained if chosen else False,
    )
