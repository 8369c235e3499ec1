"""`micro-trader train`: learns from recorded ticks in a process of its own, and registers a candidate."""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from broker.errors import BadInput, Fatal
from daemon.commands.replay import instruments_of
from daemon.config import Config, bar_length
from daemon.console import Meter, Ui
from daemon.environment import git_commit
from daemon.experience import STORE
from daemon.models import find_model
from daemon.options import Subparsers, add_command, config_of
from daemon.reading import add_reading_options, reading_options
from daemon.report import build_training_report
from strategy.model import ABSTAINS
from training.store_maintenance import ExperienceMaintenance

EXAMPLE = """\
micro-trader ticks synth regime synth-regime.csv.gz --bars 20000
micro-trader train synth-regime.csv.gz --instrument EUR_USD --minutes 2 --from scratch"""
REFUSED, INTERRUPTED = 2, 130
SCRATCH = "scratch"
SHOWN_LOSSES = ("total", "policy", "value", "reward", "outcome")


def register(subparsers: Subparsers) -> None:
    """Add the command's parser."""
    parser = add_command(subparsers, "train", "learn from recorded ticks and register a candidate model", EXAMPLE)
    parser.add_argument("ticks", nargs="*", type=Path, metavar="TICKS", help="tick or bar files of any known format")
    parser.add_argument("--instrument", metavar="NAME[,NAME]", help="instruments of files that do not say")
    parser.add_argument("--minutes", type=float, metavar="M", help="longest time to learn; it may be done sooner")
    parser.add_argument("--steps", type=int, metavar="N", help="learner steps; with --workers 0 the same bytes again")
    parser.add_argument("--seed", type=int, metavar="N", help="seed of everything random")
    parser.add_argument(
        "--from",
        dest="parent",
        metavar="VERSION|scratch",
        help="model to go on from (default: none; an interrupted run of the same job is resumed, scratch forgets it)",
    )
    parser.add_argument("--workers", type=int, metavar="N", help="self-play processes; 0: play in the learner's own")
    parser.add_argument("--bar", metavar="1m|5s|100t", help="length of a bar, and so of a decision")
    parser.add_argument(
        "--store", action=argparse.BooleanOptionalAction, default=True, help="learn from what the store holds, too"
    )
    add_reading_options(parser)
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace, ui: Ui) -> dict[str, Any]:
    """Train and return the trainer's document.

    Raises:
        BadInput: the data or the parent can't be used.
        KeyboardInterrupt: interrupted; what was learned so far is kept for the next run.
    """
    config = config_of(args, {"seed": ("--seed", args.seed), "bar": ("--bar", args.bar)})
    document = job(args, config)
    state = Path(config.state.dir)
    store = held(state / STORE, config)
    result, code = run_trainer(document, ui, store)
    done = answer(result, code, ui)
    store = held(state / STORE, config) | done["store"]
    return done | {"store": store, "report": reported(state / "training" / done["version"], ui)}


def reported(folder: Path, ui: Ui) -> str | None:
    """Path of the training's report; None, and a warning, where the disk refuses it: the candidate is kept."""
    try:
        report = build_training_report(folder)
    except OSError as error:
        ui.warn(f"the report can't be written: {error.strerror} (`micro-trader report {folder}` tries again)")
        return None
    ui.note(f"report: {report}")
    return str(report)


def run_trainer(document: dict[str, Any], ui: Ui, store: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """Run the train process; returns its last line and its exit code.

    It has a session of its own, so that a terminal's Ctrl-C comes here alone and is handed on once.

    Raises:
        KeyboardInterrupt: this process, or the other, was interrupted.
    """
    command = (sys.executable, "-m", "training")
    with (
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        ) as child,
        ui.progress("train", None, "steps") as meter,
    ):
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            with suppress(BrokenPipeError):  # it ended at once: its exit code says why
                child.stdin.write(json.dumps(document))
                child.stdin.close()
            result = follow(child.stdout, meter, ui, store)
            code = child.wait()
        except KeyboardInterrupt:
            ui.note("stopping")
            child.terminate()
            child.wait()
            result, code = {}, INTERRUPTED
    if code == INTERRUPTED:
        ui.note("what was learned up to the last pass is kept: the same command goes on from there")
        raise KeyboardInterrupt
    return result, code


def job(args: argparse.Namespace, config: Config) -> dict[str, Any]:
    """What the trainer is to do (`training.job.Job`)."""
    if args.minutes is not None and args.minutes <= 0:
        raise BadInput(f"{args.minutes} minutes", where="--minutes", mend="give more than 0")
    if args.steps is not None and args.steps < 1:
        raise BadInput(f"{args.steps} steps", where="--steps", mend="give at least 1")
    workers = args.workers if args.workers is not None else config.training.workers
    if workers < 0:
        raise BadInput(f"{workers} workers", where="--workers", mend="give 0 or more")
    state = Path(config.state.dir)
    named = instruments_of(args.instrument)
    parent = None if args.parent in (None, SCRATCH) else find_model(args.parent, state / "models")
    kind, size = bar_length(config.bar)
    minutes = args.minutes if args.minutes is not None else None if args.steps else config.training.minutes
    return {
        "files": [str(path) for path in args.ticks],
        "options": asdict(
            reading_options(args, instrument=named[0] if len(named) == 1 else None, fix=config.paper.fix)
        ),
        "bar": [kind == "clock", size],
        "feature_set": config.model.features,
        "warmup_bars": config.model.warmup_bars,
        "allow_reverse": config.risk.allow_reverse,
        "simulations": config.model.simulations,
        "models": str(state / "models"),
        "checkpoint": str(state / "training" / "checkpoint.pt"),
        "parent": None if parent is None else str(parent),
        "fresh": args.parent == SCRATCH,
        "minutes": minutes,
        "steps": args.steps,
        "seed": config.seed,
        "workers": workers,
        "recipe": {},
        "code_version": git_commit(),
        "store": str(state / STORE) if args.store else None,
    }


def follow(lines: IO[str], meter: Meter, ui: Ui, store: Mapping[str, Any]) -> dict[str, Any]:
    """Relay notes and progress until the last line, which is the result."""
    last: dict[str, Any] = {}
    for line in lines:
        last = json.loads(line)
        if "note" in last:
            ui.note(last["note"])
        if "progress" in last:
            meter.update(last["progress"]["step"])
            meter.reach(last["progress"]["share"])
            ui.note(told(last["progress"], store))
    return last


def told(seen: Mapping[str, Any], store: Mapping[str, Any]) -> str:
    """A pass in one line."""
    held_out, share, seconds = seen["held_out"], seen["share"], seen["seconds"]
    losses = "  ".join(f"{name} {seen['losses'][name]:.3f}" for name in SHOWN_LOSSES)
    left = f"{seconds * (1.0 - share) / share:.0f} s left" if share else "time left unknown"
    return (
        f"step {seen['step']}/{seen['steps']}  {seconds:.0f} s, {left}  {losses}  "
        f"held out {held_out['pips']:+.1f} pips/1000 bars, z {held_out['z']:.1f}  "
        f"self-play {seen['selfplay_steps_per_s']:,.0f}/s, learner {seen['learner_steps_per_s']:,.1f}/s  "
        f"store {store['size']:,} steps, {seen['store']['drawn']:,} drawn"
    )


def held(path: Path, config: Config) -> dict[str, Any]:
    """What the experience store holds; it is made by `replay --store` and `run`."""
    if not path.exists():
        return {"size": 0, "capacity": config.store.capacity, "trades": 0}
    store = ExperienceMaintenance(path)
    try:
        return store.stats()
    finally:
        store.close()


def answer(result: dict[str, Any], code: int, ui: Ui) -> dict[str, Any]:
    """The document, or the error that the trainer reported."""
    if "done" in result:
        document: dict[str, Any] = result["done"]
        document["data"].pop("windows", None)  # marks by the hundred: the manifest keeps them
        if document["status"] == ABSTAINS:
            ui.warn("no edge that is more than luck on held-out data: the candidate abstains from trading")
        return document
    error = result.get("error")
    if error is None:
        raise Fatal(f"the trainer ended with code {code} and no result; nothing was registered")
    if code == REFUSED:
        raise BadInput(error["what"], where=error["where"], mend=error["mend"])
    raise Fatal(error["what"])
