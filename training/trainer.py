"""The train process: one job comes in as JSON on stdin, lines of JSON go out on stdout.

    python -m training.trainer < job.json

Lines: `{"progress": {...}}` after each pass, then one of `{"done": {...}}` and `{"error": {...}}`. It adds a model
folder and keeps a checkpoint; it touches nothing that trades. Ends with its parent: it stops when stdout breaks.
"""

import hashlib
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from broker.bars import BarSize
from broker.clock import SystemClock
from broker.errors import BadInput, TraderError
from broker.ticks import ReadOptions, TickFile, open_ticks, stream
from strategy import features
from strategy.model import ABSTAINS, TRAINED
from strategy.model import load as load_model
from training import checkpoint
from training.course import Course, Look, NotANumber, Plan
from training.export import export, sizes_for
from training.inputs import SIDE, Normaliser
from training.learner import Recipe
from training.locks import trainer_lock
from training.model_folders import ModelFolders
from training.networks import Networks
from training.players import InProcess, Players, Pool
from training.selfplay import Lanes, Play, play_rules
from training.tape import Tape, record
from training.targets import legal_table

MINUTE_NS = 60 * 10**9
BINS, BIN_WIDTH = 63, 0.1
"""Of the value's support: to 16 sigma, some twice what a good market is worth at a discount of 0.96."""
NICENESS = 5
"""What trades goes first."""
OK, FAILED, REFUSED, INTERRUPTED = 0, 1, 2, 130


@dataclass(frozen=True, slots=True)
class Job:
    """What to train.

    Attributes:
        files: tick files. options: keyword arguments of ReadOptions. bar: (is clock, size). feature_set: its name.
        warmup_bars, allow_reverse, simulations: as the model will be used. models: root of the registry.
        checkpoint: file. parent: folder of the model to go on from, or None. fresh: leave a checkpoint aside.
        minutes, steps: limits, or None. seed, workers: as on the command line. recipe: overrides, by name.
        code_version: kept in the manifest.
    """

    files: tuple[str, ...]
    options: Mapping[str, Any]
    bar: tuple[bool, int]
    feature_set: str
    warmup_bars: int
    allow_reverse: bool
    simulations: int
    models: str
    checkpoint: str
    parent: str | None
    fresh: bool
    minutes: float | None
    steps: int | None
    seed: int
    workers: int
    recipe: Mapping[str, Any]
    code_version: str | None

    def digest(self, hashes: list[str]) -> str:
        """Of all that a checkpoint must agree on; more time or steps may be given to the same job."""
        same = {key: value for key, value in asdict(self).items() if key not in {"files", "fresh", "minutes", "models"}}
        return hashlib.sha256(json.dumps([same, hashes], sort_keys=True).encode()).hexdigest()


class Stopped(Exception):
    """SIGINT or SIGTERM between or during passes."""


def main() -> int:
    """Run the job on stdin; the exit code of the process."""
    torch.set_num_threads(1)
    os.nice(NICENESS)
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, _stop)
    try:
        document = json.load(sys.stdin)
        document |= {"files": tuple(document["files"]), "bar": tuple(document["bar"])}
        _say({"done": train(Job(**document), SystemClock().now, lambda line: _say({"progress": line}))})
        return OK
    except (Stopped, BrokenPipeError):
        return INTERRUPTED
    except BadInput as error:
        _say({"error": {"what": error.what, "where": error.where, "mend": error.mend}})
        return REFUSED
    except (TraderError, NotANumber) as error:
        _say({"error": {"what": str(error), "where": "", "mend": ""}})
        return FAILED


def _stop(_signal: int, _frame: object) -> None:
    raise Stopped


def _say(line: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(line, allow_nan=False) + "\n")
    sys.stdout.flush()


def train(job: Job, now: Callable[[], int], tell: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Train one candidate and add it to the models.

    Args:
        now: ns. tell: takes a line of progress.

    Returns:
        The document of `micro-trader train --json`.

    Raises:
        BadInput: the data can't be used, are too few, or changed while they were read; or another trainer runs.
        NotANumber: a loss was not finite; no candidate, and the checkpoint goes.
    """
    with trainer_lock(Path(job.checkpoint).parents[1], now):
        return _train(job, now, tell)


def _train(job: Job, now: Callable[[], int], tell: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    began = now()
    data, tapes = read(job)
    hashes = data["sha256"]
    path, digest = Path(job.checkpoint), job.digest(hashes)
    saved = None if job.fresh else checkpoint.load(path, digest)
    before = int(saved["elapsed"]) if saved else 0

    def elapsed() -> int:
        return before + now() - began

    limit = job.minutes * MINUTE_NS if job.minutes is not None else None
    course = make_course(job, tapes, lambda: elapsed() / limit if limit else 0.0)
    try:
        if saved:
            course.restore(saved["course"])
        for look in course.passes():
            checkpoint.save(path, {"job": digest, "elapsed": elapsed(), "course": course.state()})
            tell(progress_line(course, look, elapsed()))
        return finish(job, course, data, elapsed())
    except NotANumber:
        checkpoint.remove(path)
        raise
    finally:
        course.close()


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
    tapes = [record(feed, groups[name][0].instrument, size, seen, job.warmup_bars) for name, feed in feeds.items()]
    for name, digest in zip(job.files, before, strict=True):
        if file_hash(name) != digest:
            raise BadInput("changed while it was read", where=name, mend="train on a finished recording")
    return {
        "sha256": before,
        "instruments": list(groups),
        "ticks": sum(feed.read for feed in feeds.values()),
        "dropped": sum(feed.dropped for feed in feeds.values()),
        "skipped_lines": sum(feed.skipped_lines for feed in feeds.values()),
        "decisions": sum(map(len, tapes)),
    }, tapes


def file_hash(name: str) -> str:
    """SHA-256 of a file as it lies on disk, lowercase hex."""
    try:
        with open(name, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BadInput(f"can't be read: {error.strerror}", where=name) from error


def make_course(job: Job, tapes: list[Tape], deadline: Callable[[], float]) -> Course:
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
    plan = Plan(recipe, Play(), job.steps, deadline, job.seed, job.simulations)
    legal = legal_table(job.allow_reverse)
    return Course(tapes, features.get(job.feature_set), sizes, legal, plan, who_plays(job.workers), start)


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
        "selfplay_steps": course.played,
    }


def finish(job: Job, course: Course, data: Mapping[str, Any], elapsed: int) -> dict[str, Any]:
    """Decide whether it may trade, and add the candidate."""
    beta = Play().beta
    score = course.searched_score(beta)
    able = course.trades(score)
    networks = Networks(course.learner.networks.sizes)
    networks.load_state_dict({name: torch.from_numpy(values) for name, values in course.best.items()})
    last, recipe = course.looks[-1], course.learner.recipe
    files = export(
        networks,
        job.feature_set,
        seed=job.seed,
        status=TRAINED if able else ABSTAINS,
        parent=load_model(Path(job.parent)).id if job.parent is not None else None,
        mean=course.normaliser.mean,
        deviation=course.normaliser.deviation,
        discount=recipe.discount,
        search=play_rules(beta),
        metrics={"held_out": asdict(score), "looks": len(course.looks), "losses": asdict(last.losses)},
        data=data,
        config={"recipe": asdict(recipe), "steps": last.step, "workers": job.workers},
        code_version=job.code_version,
    )
    version = ModelFolders(Path(job.models)).add(files)
    checkpoint.remove(Path(job.checkpoint))
    seconds = elapsed / 1e9
    return {
        "version": version,
        "status": TRAINED if able else ABSTAINS,
        "parent": None if job.parent is None else load_model(Path(job.parent)).id,
        "steps": last.step,
        "selfplay_steps": course.played,
        "selfplay_steps_per_s": course.played / seconds,
        "learner_steps_per_s": last.step / seconds,
        "losses": asdict(last.losses),
        "held_out": asdict(score),
        "data": dict(data),
        "seconds": seconds,
    }


if __name__ == "__main__":
    sys.exit(main())
