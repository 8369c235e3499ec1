"""A walk-forward study: a candidate trained on earlier quotes is tested on later ones, beside the baselines.

Every fold trains a candidate of its own on its training window alone, written to a tick file of its own, and tests it
and each baseline on the same later quotes, under the same costs, through the session that trades. Between the two lies
the embargo; its last bars warm up the test, so that the first decision is made where the test begins.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import numpy as np

from broker.bars import BarSize
from broker.rfc3339 import rfc3339
from broker.ticks import ReadOptions, TickFile, stream
from broker.ticks.rows import QUOTE_COLUMNS, Rows
from broker.ticks.writing import Shape, write_file
from broker.types import SECOND, Instrument, Int64s, Quotes
from daemon.config import Config, bar_length
from daemon.console import Ui
from daemon.feeds import open_by_instrument
from daemon.foldtest import Result, Willing, run_test
from daemon.models import Chosen
from daemon.studytable import CANDIDATE, WILLING, fold_row, row
from strategy.baselines import BASELINES
from strategy.discovery import find
from strategy.model import ABSTAINS
from training.folds import Fold, bar_starts, split

Learn: TypeAlias = Callable[[Path, Config, Path], Chosen]
"""Trains on a tick file, in a folder that goes when its fold is over, and returns the model, verified."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to study.

    Attributes:
        files: tick files. options: how to read them. only: instruments that the user named.
        merge: the files of one instrument are one set; else each file is one.
        folds: of each set. embargo: bars; None: the warm-up. window: most bars to learn from; None: all before.
    """

    files: tuple[Path, ...]
    options: ReadOptions
    only: tuple[str, ...] = ()
    merge: bool = False
    folds: int = 3
    embargo: int | None = None
    window: int | None = None


@dataclass(frozen=True, slots=True)
class Recording:
    """A set in memory.

    Attributes:
        name: as rows call it. instrument, quotes: what it holds, clean. starts: `[bars] int64`, first quotes of bars.
        bar: their length, as in the config. from_bars: the quotes are made from bars.
    """

    name: str
    instrument: Instrument
    quotes: Quotes
    starts: Int64s
    bar: str
    from_bars: bool

    def part(self, first: int, stop: int) -> Quotes:
        """The quotes of bars `first` to `stop`."""
        start = int(self.starts[first])
        end = int(self.starts[stop]) if stop < len(self.starts) else len(self.quotes)
        quotes = self.quotes
        return Quotes(quotes.time[start:end], quotes.bid[start:end], quotes.ask[start:end])


def study(
    request: Request, config: Config, learn: Learn, ui: Ui, done: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Study every set.

    Args:
        learn: trains a candidate. done: takes the document so far, after each set.

    Returns:
        The document: `rows`, one for each set and strategy, and `folds`.

    Raises:
        BadInput: a file can't be used, or holds too few bars: known before anything is trained.
    """
    sets = recordings(request, config)
    warmup = config.model.warmup_bars
    embargo = warmup if request.embargo is None else request.embargo
    plans = [split(len(one.starts), request.folds, warmup, embargo, request.window, one.name) for one in sets]
    document: dict[str, Any] = {
        "rows": [], "folds": [], "seed": config.seed, "embargo_bars": embargo, "window_bars": request.window,
        "latency_ms": config.paper.latency_ms, "slippage_pips": config.paper.slippage_pips,
        "commission_pips": config.paper.commission_pips, "allow_reverse": config.risk.allow_reverse,
        "simulations": config.model.simulations, "features": config.model.features, "caveats": [],
    }  # fmt: skip
    with ui.progress("study", float(sum(map(len, plans))), "folds") as meter:
        for found, plan in zip(sets, plans, strict=True):
            results: dict[str, list[Result]] = {name: [] for name in (CANDIDATE, WILLING, *BASELINES)}
            described = []
            for number, part in enumerate(plan, 1):
                described.append(one_fold(found, part, replace(config, bar=found.bar), learn, results))
                document["folds"].append({"set": found.name, "fold": number, **described[-1]})
                ui.note(f"{found.name}, fold {number} of {len(plan)}: {described[-1]['status']}")
                meter.advance(1.0)
            document["rows"] += [
                row(found.name, found.bar, name, results[name], described, config.seed) for name in results
            ]
            if found.from_bars:
                document["caveats"].append(f"{found.name}: four quotes a bar stand in for the real ones.")
            done(document)
    return document


def one_fold(
    found: Recording, part: Fold, config: Config, learn: Learn, results: dict[str, list[Result]]
) -> dict[str, Any]:
    """Train and test one fold; adds to `results`, by strategy, and returns what there is to say about the fold."""
    with TemporaryDirectory(prefix="micro-trader-study-") as name:
        folder = Path(name)
        ticks = folder / f"{found.instrument.name}-fold.csv"
        write_quotes(ticks, found.instrument, found.part(*part.train))
        chosen = learn(ticks, config, folder)
        quotes, muzero = found.part(part.lead, part.test[1]), replace(config, strategy="muzero")
        played = run_test(quotes, found.instrument, muzero, find("muzero"), chosen)
        abstains = chosen.model.status == ABSTAINS
        willing = run_test(quotes, found.instrument, muzero, Willing, chosen) if abstains else played
    results[CANDIDATE].append(played)
    results[WILLING].append(willing)
    for baseline in BASELINES:
        tested = run_test(quotes, found.instrument, replace(config, strategy=baseline), find(baseline))
        results[baseline].append(tested)
    times = [rfc3339(int(found.quotes.time[found.starts[bar]])) for bar in (part.train[0], *part.test[:1])]
    return {"train_from": times[0], "test_from": times[1], "train_bars": part.train[1] - part.train[0]} | fold_row(
        chosen.model, played, willing
    )


def recordings(request: Request, config: Config) -> list[Recording]:
    """The sets, read whole.

    Raises:
        BadInput: a file can't be read, or is of an instrument that was not named.
    """
    if request.merge:
        groups = open_by_instrument(request.files, request.options, request.only)
        return [recording(instrument.name, files, request, config.bar) for instrument, files in groups.items()]
    found = []
    for path in request.files:
        ((_, files),) = open_by_instrument([path], request.options, request.only).items()
        found.append(recording(path.name.split(".csv")[0].split(".parquet")[0], files, request, config.bar))
    return found


def recording(name: str, files: Sequence[TickFile], request: Request, bar: str) -> Recording:
    """One set; files of bars longer than `bar` are decided on at their own."""
    options = request.options
    kind, size = bar_length(bar)
    step = max(file.bar_step for file in files)
    if step and (kind == "tick" or size < step):
        kind, size, bar = (
            "clock",
            step,
            next(f"{step // (n * SECOND)}{u}" for n, u in UNITS if step % (n * SECOND) == 0),
        )
    batches = list(stream(files, options))
    none = np.empty(0, np.int64)
    quotes = Quotes(
        np.concatenate([none, *(batch.time for batch in batches)]),
        np.concatenate([none, *(batch.bid for batch in batches)]),
        np.concatenate([none, *(batch.ask for batch in batches)]),
    )
    starts = bar_starts(quotes.time, BarSize(kind == "clock", size))
    return Recording(name, files[0].instrument, quotes, starts, bar, step > 0)


UNITS = ((3600, "h"), (60, "m"), (1, "s"))


def write_quotes(path: Path, instrument: Instrument, quotes: Quotes) -> None:
    """Write clean quotes as a tick file of the instrument."""
    points = np.stack([quotes.bid, quotes.ask])
    digits = np.full(points.shape, instrument.precision, np.uint8)
    rows = Rows(quotes.time, np.arange(2, len(quotes) + 2), points, digits)
    write_file(path, Shape(instrument.name, QUOTE_COLUMNS), lambda writer: writer.write(rows))
