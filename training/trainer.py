"""One training, from tick files to a candidate: the job, the data, the course, and what is kept of it.

It adds a model folder, and below `training/` in the state folder keeps a checkpoint, the transcript of each training
and TensorBoard's log; it touches nothing that trades.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

from broker.bars import BarSize
from broker.errors import BadInput
from broker.rfc3339 import rfc3339
from broker.ticks import ReadOptions, TickFile, open_ticks, stream
from broker.ticks.synth import Plan as Market
from broker.ticks.synth import plan_of
from strategy import features
from strategy.model import load as load_model
from training import checkpoint, eventlog
from training.candidate import finish, speeds
from training.course import Course, Look, NotANumber, Plan
from training.eventlog import EventLog
from training.export import sizes_for
from training.inputs import SIDE, Normaliser
from training.job import Job
from training.learner import Recipe
from training.locks import trainer_lock
from training.memory import Stored
from training.model_folders import ModelFolders
from training.players import InProcess, Players, Pool
from training.seen import Watch
from training.selfplay import Lanes, Play
from training.stock import figures, provenance, still_good, take
from training.stopwatch import Stopwatch
from training.tape import Tape, record
from training.targets import legal_table

MINUTE_NS = 60 * 10**9
MARKET_BAR = (True, MINUTE_NS)
"""The step of a synthetic market, and so of its optimal policy's decisions."""
BINS, BIN_WIDTH = 63, 0.1
"""Of the value's support: to 16 sigma, some twice what a good market is worth at a discount of 0.96."""


Tell: TypeAlias = Callable[[Mapping[str, Any]], None]
"""Takes a line for whoever watches."""


def train(job: Job, now: Callable[[], int], tell: Tell) -> dict[str, Any]:
    """Train one candidate and add it to the models.

    Args:
        now: ns. tell: takes lines while it goes on.

    Returns:
        The document of `micro-trader train --json`.

    Raises:
        BadInput: the data can't be used, are too few, or changed while they were read; or another trainer runs.
        NotANumber: a loss was not finite; no candidate, and the checkpoint goes.
        StorageFault: the disk failed; the last checkpoint is kept.
    """
    with trainer_lock(Path(job.checkpoint).parents[1], now):
        checkpoint.sweep(Path(job.checkpoint))
        ModelFolders(Path(job.models)).sweep()
        return _train(job, now, tell)


def _train(job: Job, now: Callable[[], int], tell: Tell) -> dict[str, Any]:
    began, watch = now(), Stopwatch(now)
    with watch.part("reading"):
        data, tapes = read(job)
        stored = take(job, data["instruments"], tapes)
        data = provenance(data, stored) if stored else data
    path, digest = Path(job.checkpoint), job.digest(data["sha256"])
    saved = None if job.fresh else checkpoint.load(path, digest)
    saved = still_good(saved, stored, tell, alone=not tapes)
    before = int(saved["elapsed"]) if saved else 0
    watch.spent = dict(saved["spent"]) if saved else watch.spent
    name = str(saved["run"]) if saved else f"{rfc3339(began)[:19].replace(':', '')}-{digest[:8]}"

    def elapsed() -> int:
        return before + now() - began

    limit = job.minutes * MINUTE_NS if job.minutes is not None else None
    course = make_course(job, tapes, stored, lambda: elapsed() / limit if limit else 0.0, watch)
    log = event_log(path.parent / "tensorboard" / name, tell)
    try:
        if saved:
            resume(course, saved["course"], path)
            tell({"note": f"going on from step {course.learner.steps}"})
        for look in course.passes():
            with watch.part("checkpoints"):
                state = {"job": digest, "run": name, "elapsed": elapsed(), "spent": watch.spent}
                checkpoint.save(path, {**state, "course": course.state()})
            line = progress_line(course, look, elapsed())
            if log is not None:
                log.add(now(), look.step, line)
            tell({"progress": line})
        return finish(job, course, data, watch, elapsed)
    except NotANumber:
        checkpoint.remove(path)
        raise
    finally:
        course.close()
        if log is not None:
            log.close()


def event_log(folder: Path, tell: Tell) -> EventLog | None:
    """TensorBoard's log of this run; None, and a word about it, where its library is missing."""
    if eventlog.available():
        return EventLog(folder)
    tell({"note": f"no TensorBoard log: {eventlog.LIBRARY} is not installed (pip install 'micro-trader[tensorboard]')"})
    return None


def resume(course: Course, state: Mapping[str, Any], path: Path) -> None:
    """Go on from a checkpoint's state.

    Raises:
        BadInput: it was made by another version of the program.
    """
    try:
        course.restore(state)
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        what = "the checkpoint was made by another version of the program"
        raise BadInput(what, where=str(path), mend="begin anew: --from scratch") from error


def read(job: Job) -> tuple[dict[str, Any], list[Tape]]:
    """What was read, with the hashes of the files, and one tape an instrument.

    Raises:
        BadInput: a file can't be used, or changed while it was read.
    """
    options = ReadOptions(**job.options)
    before = [file_hash(path) for path in job.files]
    groups: dict[str, list[TickFile]] = {}
    for name in job.files:
        file = open_ticks(Path(name), options)
        groups.setdefault(file.instrument.name, []).append(file)
    seen, size = features.get(job.feature_set), BarSize(*job.bar)
    feeds = {name: stream(files, options) for name, files in groups.items()}
    watches = {name: Watch() for name in feeds}
    tapes = [
        record(watches[name].passing(feed), groups[name][0].instrument, size, seen, job.warmup_bars)
        for name, feed in feeds.items()
    ]
    for name, digest in zip(job.files, before, strict=True):
        if file_hash(name) != digest:
            raise BadInput("changed while it was read", where=name, mend="train on a finished recording")
    market = market_of(job, before)
    return {
        "sha256": before,
        "market": None if market is None else asdict(market),
        "instruments": list(groups),
        "windows": {name: found.document() for name, watch in watches.items() if (found := watch.window())},
        "ticks": sum(feed.read for feed in feeds.values()),
        "dropped": sum(feed.dropped for feed in feeds.values()),
        "skipped_lines": sum(feed.skipped_lines for feed in feeds.values()),
        "decisions": sum(map(len, tapes)),
    }, tapes


def market_of(job: Job, hashes: Sequence[str]) -> Market | None:
    """The synthetic market that the data are, where its optimum can be told."""
    if len(job.files) != 1 or job.bar != MARKET_BAR:
        return None
    return plan_of(Path(job.files[0]), hashes[0])


def file_hash(name: str) -> str:
    """SHA-256 of a file as it lies on disk, lowercase hex."""
    try:
        with open(name, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BadInput(f"can't be read: {error.strerror}", where=name) from error


def make_course(
    job: Job, tapes: list[Tape], stored: Stored | None, deadline: Callable[[], float], watch: Stopwatch
) -> Course:
    """The job as a course."""
    sizes, start = sizes_for(job.feature_set, bins=BINS, value_scale=BIN_WIDTH), None
    if job.parent is not None:
        parent = load_model(Path(job.parent))
        if parent.feature_set != job.feature_set:
            what = f"the parent sees {parent.feature_set}, this training {job.feature_set}"
            raise BadInput(what, where=job.parent, mend="begin with --from scratch, or set [model] features")
        side = features.get(job.feature_set).columns.index(SIDE)
        sizes, start = parent.sizes, (parent.tensors, Normaliser(parent.mean, parent.deviation, side))
    recipe = Recipe(**job.recipe)
    plan = Plan(recipe, Play(), job.steps, deadline, job.seed, job.simulations, watch=watch)
    legal = legal_table(job.allow_reverse)
    return Course(tapes, features.get(job.feature_set), sizes, legal, plan, who_plays(job.workers), start, stored)


def who_plays(workers: int) -> Callable[[Lanes], Players]:
    """In this process, or `workers` processes."""
    return InProcess if workers == 0 else lambda lanes: Pool(lanes, workers)


def progress_line(course: Course, look: Look, elapsed: int) -> dict[str, Any]:
    """What a person wants to see after a pass."""
    return {
        "share": course.progress,
        "step": look.step,
        "steps": course.total,
        "seconds": elapsed / 1e9,
        "losses": asdict(look.losses),
        "held_out": asdict(look.score),
        **speeds(course, elapsed),
        "store": figures(course),
    }
