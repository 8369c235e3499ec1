"""`micro-trader study`: a walk-forward study of a fresh candidate and the baselines over tick files."""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

from broker.errors import BadInput, Fatal
from daemon.commands.replay import instruments_of
from daemon.config import Config, to_toml
from daemon.console import Ui
from daemon.kernels import must_compile
from daemon.models import Chosen
from daemon.options import Subparsers, add_command, config_of
from daemon.reading import add_reading_options, reading_options
from daemon.study import Learn, Request, study
from daemon.studytable import for_people, markdown, tables
from strategy.model import load

EXAMPLE = """\
micro-trader ticks synth regime EUR_USD-regime.csv.gz --bars 8000
micro-trader study EUR_USD-regime.csv.gz --folds 1 --minutes 0.5 --out study"""
REFUSED, INTERRUPTED = 2, 130
SHOWN = (
    "seed",
    "embargo_bars",
    "latency_ms",
    "slippage_pips",
    "commission_pips",
    "minutes",
    "seconds",
    "out",
    "caveats",
)
"""Of the document, in the terminal; the rest is in study.json."""


def register(subparsers: Subparsers) -> None:
    """Add the command's parser."""
    parser = add_command(subparsers, "study", "walk-forward study of model and baselines", EXAMPLE)
    parser.add_argument("ticks", nargs="+", type=Path, metavar="TICKS", help="tick or bar files of any known format")
    parser.add_argument("--instrument", metavar="NAME[,NAME]", help="instruments of files that do not say")
    parser.add_argument("--merge", action="store_true", help="files of one instrument are one set (else each is one)")
    parser.add_argument("--bar", metavar="1m|5s|100t", help="length of a bar; files of longer bars keep theirs")
    parser.add_argument("--folds", type=int, default=3, metavar="N", help="tests, over the last half (%(default)s)")
    parser.add_argument("--embargo", type=int, metavar="BARS", help="between training and test (default: the warm-up)")
    parser.add_argument("--window", type=int, metavar="BARS", help="most bars to learn from (default: all before)")
    parser.add_argument("--minutes", type=float, default=1.0, metavar="M", help="of training a fold (%(default)s)")
    parser.add_argument("--workers", type=int, default=0, metavar="N", help="self-play processes (%(default)s)")
    parser.add_argument("--seed", type=int, metavar="N", help="seed of everything random")
    parser.add_argument("--fix", choices=("drop", "swap"), help="crossed quotes are dropped or repaired")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder (default: studies/<time> in the state)")
    add_reading_options(parser)
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace, ui: Ui) -> dict[str, Any]:
    """Study, and keep study.json and study.md, after each set what is known by then."""
    if args.minutes <= 0:
        raise BadInput(f"{args.minutes} minutes", where="--minutes", mend="give more than 0")
    flags = {"seed": ("--seed", args.seed), "bar": ("--bar", args.bar), "paper.fix": ("--fix", args.fix)}
    config = config_of(args, flags)
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    out: Path = args.out if args.out is not None else Path(config.state.dir) / "studies" / now
    request = Request(
        files=tuple(args.ticks),
        options=reading_options(args, fix=config.paper.fix),
        only=instruments_of(args.instrument),
        merge=args.merge,
        folds=args.folds,
        embargo=args.embargo,
        window=args.window,
    )
    if must_compile(os.environ):
        ui.note("compiling kernels: this happens once, and takes about half a minute")
    started = monotonic()

    def keep(document: Mapping[str, Any]) -> None:
        write(out, {**document, **about()})

    def about() -> dict[str, Any]:
        return {"minutes": args.minutes, "seconds": monotonic() - started, "out": str(out)}

    document = study(request, config, as_train_does(args.minutes, args.workers), ui, keep) | about()
    ui.note(f"kept: {out / 'study.json'} and {out / 'study.md'}")
    if ui.json:
        return document
    return {key: document[key] for key in SHOWN} | tables(document["rows"])


def as_train_does(minutes: float, workers: int) -> Learn:
    """Trains by `micro-trader train`, from scratch, in a state folder that is the fold's own."""

    def learn(ticks: Path, config: Config, folder: Path) -> Chosen:
        toml, state = folder / "config.toml", folder / "state"
        toml.write_text(to_toml(config), encoding="utf-8")
        options = {
            "--config": toml, "--state": state, "--bar": config.bar, "--seed": config.seed, "--from": "scratch",
            "--minutes": minutes, "--workers": workers,
        }  # fmt: skip
        words = [str(word) for pair in options.items() for word in pair]
        command = [sys.executable, "-m", "daemon", "train", str(ticks), "--json", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == INTERRUPTED:
            raise KeyboardInterrupt
        if done.returncode:
            said = " | ".join(done.stderr.strip().splitlines()[-3:]).removeprefix("micro-trader: error: ")
            raise BadInput(said) if done.returncode == REFUSED else Fatal(f"training failed: {said}")
        path = state / "models" / json.loads(done.stdout)["version"]
        return Chosen(path, load(path))

    return learn


def write(out: Path, document: Mapping[str, Any]) -> None:
    """Keep a document, for programs and for people; each file is replaced whole.

    Raises:
        BadInput: the folder can't be written.
    """
    texts = {
        "study.json": json.dumps(document, indent=1, allow_nan=False) + "\n",
        "study.md": markdown(for_people(document["rows"])) + "\n",
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            part = out / f".{name}.part"
            part.write_text(text, encoding="utf-8")
            part.replace(out / name)
    except OSError as error:
        raise BadInput(f"can't be written: {error.strerror}", where=str(out), mend="choose another --out") from error
