"""Composition of a replay: recorded ticks, an event clock and the paper broker around the one session."""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from broker.ticks import ReadOptions, TickFile, stream
from broker.types import Instrument
from daemon.bookkeeping import Bookkeeper
from daemon.compose import make_lane, make_session, paper_broker
from daemon.config import Config, to_toml
from daemon.console import Ui
from daemon.environment import environment
from daemon.experience import Both, stored_experience
from daemon.feeds import Feed, open_by_instrument, pacer, refuse_short_bars
from daemon.models import Chosen, choose_model
from daemon.news import news_of
from daemon.optimum import known_plan, optimum_document
from daemon.runfolder import RunFolder
from daemon.summary import Latency, Run, summarise
from strategy.discovery import find
from strategy.lane import Lane
from strategy.session import Sink, fold


@dataclass(frozen=True, slots=True)
class Request:
    """What to replay.

    Attributes:
        files: tick files. options: how to read them.
        only: instruments that the user named; a file of another one is refused. Empty: whatever the files hold.
        out: the run's folder.
        speed: event time over wall time; 0 = as fast as it goes.
        store: whether experience is kept.
    """

    files: tuple[Path, ...]
    options: ReadOptions
    only: tuple[str, ...]
    out: Path
    speed: float = 0.0
    store: bool = False


def replay(request: Request, config: Config, ui: Ui) -> dict[str, Any]:
    """Run the session over tick files and leave a run folder.

    Returns:
        The summary.

    Raises:
        BadInput: a file, the config, the strategy or the model can't be used.
        StorageFault: the disk failed; the folder has no summary.
    """
    started = perf_counter()
    groups = open_by_instrument(request.files, request.options, request.only)
    config = replace(config, instruments=tuple(instrument.name for instrument in groups))
    refuse_short_bars(groups, config.bar)
    factory = find(config.strategy)
    chosen = choose_model(config, ui) if config.strategy == "muzero" else None
    inputs = environment(request.files)
    latency = Latency()
    lanes = [make_lane(instrument, config, factory, chosen, latency) for instrument in groups]
    feeds = [Feed(stream(files, request.options)) for files in groups.values()]
    with RunFolder.create(request.out) as folder:
        books = Bookkeeper(folder, groups, config.paper.commission_pips)
        _fold(request, config, ui, lanes, feeds, books, run_id(config, inputs))
        counts = books.counts(feeds, latency, perf_counter() - started)
        summary = summarise(books.trades, counts, _described(request, config, chosen, groups, inputs))
        plan = known_plan(request.files, inputs["inputs"], config.bar)
        summary["optimum"] = optimum_document(plan, books.decisions, summary["net_pips"])
        folder.finish(summary, to_toml(config), inputs)
    if not books.decisions:
        ui.warn(f"no decision was made: {books.bars} bars are fewer than the warm-up of {config.model.warmup_bars}")
    return summary


def _fold(
    request: Request,
    config: Config,
    ui: Ui,
    lanes: Sequence[Lane],
    feeds: Sequence[Feed],
    books: Bookkeeper,
    run: str,
) -> None:
    """Run the session, with experience stored where that was asked for."""
    with ExitStack() as held:
        sink: Sink = books
        if request.store:
            seen = lanes[0].strategy.feature_set
            sink = Both(books, held.enter_context(stored_experience(config, "replay", run, seen, ui)))
        meter = held.enter_context(ui.progress("replay", None, "ticks"))
        session = make_session(lanes, config, paper_broker(config), sink, run, news_of(config.risk.news_file))

        def passed(quotes: int) -> None:
            meter.advance(quotes)
            meter.reach(sum(feed.source.share_read for feed in feeds) / len(feeds))

        fold(session, [feed.batches(passed) for feed in feeds], pacer(request.speed))


def _described(
    request: Request,
    config: Config,
    chosen: Chosen | None,
    groups: Mapping[Instrument, Sequence[TickFile]],
    inputs: Mapping[str, Any],
) -> Run:
    """What was run, and what its numbers are not."""
    from_bars = any(file.source == "bars" for files in groups.values() for file in files)
    return Run(
        strategy=config.strategy,
        model=chosen.name if chosen else config.strategy,
        seed=config.seed,
        out=str(request.out),
        source="bars" if from_bars else "quotes",
        instruments=tuple(groups),
        bar=config.bar,
        synthetic=any("synth" in path.name for path in request.files),
        in_sample=chosen.in_sample(inputs["inputs"]) if chosen else False,
        untrained=chosen.untrained if chosen else False,
        learned_market=chosen.market if chosen else None,
    )


def run_id(config: Config, inputs: dict[str, Any]) -> str:
    """Eight hex digits that the same config and inputs give again."""
    hashes = [file["sha256"] for file in inputs["inputs"]]
    return hashlib.sha256("\n".join([to_toml(config), *hashes]).encode()).hexdigest()[:8]
