"""Composition of a replay: recorded ticks, an event clock and the paper broker around the one session."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from time import monotonic_ns, perf_counter, sleep
from typing import Any

import numpy as np

from broker.bars import BarSize
from broker.errors import BadInput
from broker.ledger import Ledger
from broker.paper import PaperBroker
from broker.rates import Rates
from broker.ticks import ReadOptions, TickFile, TickStream, open_ticks, stream
from broker.types import SECOND, Instrument, Quotes
from daemon.bookkeeping import Bookkeeper, Timed
from daemon.config import Config, bar_length, to_toml
from daemon.console import Meter, Ui
from daemon.environment import environment
from daemon.models import Chosen, choose_model
from daemon.runfolder import RunFolder
from daemon.summary import Counts, Latency, Run, summarise
from strategy import features
from strategy.discovery import Factory, find
from strategy.lane import Lane
from strategy.plugin import Context
from strategy.risk import Limits, Risk
from strategy.session import Session, fold

MILLISECOND = SECOND // 1000


@dataclass(frozen=True, slots=True)
class Request:
    """What to replay.

    Attributes:
        files: tick files. options: how to read them.
        only: instruments that the user named; a file of another one is refused. Empty: whatever the files hold.
        out: the run's folder.
        speed: event time over wall time; 0 = as fast as it goes.
    """

    files: tuple[Path, ...]
    options: ReadOptions
    only: tuple[str, ...]
    out: Path
    speed: float = 0.0


def replay(request: Request, config: Config, ui: Ui) -> dict[str, Any]:
    """Run the session over tick files and leave a run folder.

    Returns:
        The summary.

    Raises:
        BadInput: a file, the config, the strategy or the model can't be used.
        StorageFault: the disk failed; the folder has no summary.
    """
    started = perf_counter()
    groups = open_by_instrument(request)
    config = replace(config, instruments=tuple(instrument.name for instrument in groups))
    refuse_short_bars(groups, config.bar)
    factory = find(config.strategy)
    chosen = choose_model(config, ui) if config.strategy == "muzero" else None
    inputs = environment(request.files)
    latency = Latency()
    lanes = [make_lane(instrument, config, factory, chosen, latency) for instrument in groups]
    feeds = [Feed(stream(files, request.options)) for files in groups.values()]
    with RunFolder.create(request.out) as folder:
        books = Bookkeeper(folder, {lane.instrument.name: lane.instrument for lane in lanes}, config.paper.commission_pips)
        session = make_session(lanes, config, books, run_id(config, inputs))
        with ui.progress("replay", 1.0, "ticks") as meter:
            fold(session, [feed.batches(meter) for feed in feeds], pacer(request.speed))
        run = Run(
            strategy=config.strategy,
            model=chosen.name if chosen else config.strategy,
            seed=config.seed,
            out=str(request.out),
            source="bars" if any(file.source == "bars" for files in groups.values() for file in files) else "quotes",
            instruments=tuple(groups),
            bar=config.bar,
            synthetic=any("synth" in path.name for path in request.files),
            in_sample=chosen.in_sample(inputs["inputs"]) if chosen else False,
            untrained=chosen.untrained if chosen else False,
        )
        times = [time for feed in feeds for time in (feed.first, feed.last) if time is not None]
        counts = Counts(
            ticks=sum(feed.source.read for feed in feeds),
            dropped=sum(feed.source.dropped for feed in feeds),
            skipped_lines=sum(feed.source.skipped_lines for feed in feeds),
            bars=books.bars,
            decisions=books.decisions,
            orders=books.orders,
            first=min(times, default=None),
            last=max(times, default=None),
            seconds=perf_counter() - started,
            max_drawdown_mtm_pips=books.drawdown.largest,
            costs=books.costs,
            latency=latency,
            decision_log_sha256=folder.decision_log_sha256,
        )
        summary = summarise(books.trades, counts, run)
        folder.finish(summary, to_toml(config), inputs)
    if not books.decisions:
        ui.warn(f"no decision was made: {books.bars} bars are fewer than the warm-up of {config.model.warmup_bars}")
    return summary


def open_by_instrument(request: Request) -> dict[Instrument, list[TickFile]]:
    """The files, opened and grouped, in the order in which instruments were named or first appear.

    Raises:
        BadInput: a file can't be read, or is of an instrument that was not named.
    """
    options = request.options
    if len(request.only) == 1:
        options = replace(options, instrument=request.only[0])
    groups: dict[Instrument, list[TickFile]] = {}
    for path in request.files:
        file = open_ticks(path, options)
        if request.only and file.instrument.name not in request.only:
            mend = f"name it: --instrument {','.join((*request.only, file.instrument.name))}"
            raise BadInput(f"holds {file.instrument.name}, which was not named", where=str(path), mend=mend)
        groups.setdefault(file.instrument, []).append(file)
    if request.only:
        groups = dict(sorted(groups.items(), key=lambda item: request.only.index(item[0].name)))
    return groups


def refuse_short_bars(groups: dict[Instrument, list[TickFile]], bar: str) -> None:
    """A decision interval must not be shorter than the bars that stand in for quotes.

    Raises:
        BadInput: it is, or it counts quotes.
    """
    kind, size = bar_length(bar)
    for file in (file for files in groups.values() for file in files if file.source == "bars"):
        if kind == "tick" or size < file.bar_step:
            step = file.bar_step // SECOND
            named = next(f"{step // n}{unit}" for n, unit in ((3600, "h"), (60, "m"), (1, "s")) if step % n == 0)
            raise BadInput(
                f"a file of {named} bars can't serve decisions every {bar}", where=str(file.path), mend=f"--bar {named}"
            )


def make_lane(instrument: Instrument, config: Config, factory: Factory, chosen: Chosen | None, latency: Latency) -> Lane:
    """One instrument's lane; each gets a generator of its own from the seed and its name."""
    name = int.from_bytes(hashlib.sha256(instrument.name.encode()).digest()[:8])
    settings = dict(config.strategies.get(config.strategy, {}))
    if chosen is not None:
        settings |= {
            "simulations": config.model.simulations,
            "root": config.model.root,
            "allow_reverse": config.risk.allow_reverse,
        }
    context = Context(instrument, np.random.SeedSequence((config.seed, name)), chosen.path if chosen else None, settings)
    strategy = Timed(factory(context), latency)
    kind, size = bar_length(config.bar)
    ledger = Ledger(
        instrument, slippage_pips=config.paper.slippage_pips, commission_pips=config.paper.commission_pips
    )
    seen = features.get(strategy.feature_set) if strategy.feature_set else None
    return Lane(instrument, BarSize(kind == "clock", size), seen, strategy, ledger)


def make_session(lanes: Sequence[Lane], config: Config, books: Bookkeeper, run: str) -> Session:
    """The session with the paper broker and the account's risk."""
    return Session(
        lanes=lanes,
        broker=PaperBroker(config.paper.latency_ms * MILLISECOND, config.paper.slippage_pips),
        risk=Risk(limits_of(config), config.account.balance),
        rates=Rates({pair: Decimal(str(price)) for pair, price in config.account.rates.items()}),
        account=config.account.currency,
        warmup_bars=config.model.warmup_bars,
        run=run,
        sink=books,
    )


def limits_of(config: Config) -> Limits:
    """The [risk] section as the session's limits."""
    r = config.risk
    return Limits(
        units=r.units,
        risk_per_trade=r.risk_per_trade,
        stop_sigma=r.stop_sigma,
        take_profit_sigma=r.take_profit_sigma,
        allow_reverse=r.allow_reverse,
        max_units=r.max_units,
        max_exposure=r.max_exposure,
        max_spread_pips=r.max_spread_pips,
        max_daily_loss=r.max_daily_loss,
        max_drawdown=r.max_drawdown,
        max_orders_per_minute=r.max_orders_per_minute,
        max_quote_age=round(r.max_quote_age_s * SECOND),
        flatten_before_weekend=r.flatten_before_weekend,
    )


def run_id(config: Config, inputs: dict[str, Any]) -> str:
    """Eight hex digits that the same config and inputs give again."""
    hashes = [file["sha256"] for file in inputs["inputs"]]
    return hashlib.sha256("\n".join([to_toml(config), *hashes]).encode()).hexdigest()[:8]


def pacer(speed: float) -> Callable[[int], None] | None:
    """Waits so that event time runs at `speed` times wall time; None for no waiting."""
    if speed <= 0:
        return None
    origin: list[int] = []

    def pace(time: int) -> None:
        if not origin:
            origin.extend((time, monotonic_ns()))
        ahead = (time - origin[0]) / speed - (monotonic_ns() - origin[1])
        if ahead > 0:
            sleep(ahead / SECOND)

    return pace


class Feed:
    """One instrument's clean quotes, watched as they pass."""

    def __init__(self, source: TickStream) -> None:
        self.source = source
        self.first: int | None = None
        self.last: int | None = None

    def batches(self, meter: Meter) -> Iterator[Quotes]:
        """The quotes, in batches; tells the meter how far they have come."""
        for quotes in self.source:
            if self.first is None:
                self.first = int(quotes.time[0])
            self.last = int(quotes.time[-1])
            meter.advance(len(quotes))
            yield quotes
