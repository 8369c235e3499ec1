"""`micro-trader replay`: recorded ticks through the live code path."""

import argparse
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from broker.errors import BadInput
from broker.instruments import instrument
from daemon.console import Ui
from daemon.kernels import must_compile
from daemon.options import Subparsers, add_command, config_of
from daemon.reading import add_reading_options, reading_options
from daemon.replay import Request, replay

EXAMPLE = """\
micro-trader ticks synth regime synth-regime.csv.gz --bars 5000
micro-trader replay synth-regime.csv.gz --instrument EUR_USD --strategy ema-cross --out run"""


def register(subparsers: Subparsers) -> None:
    """Add the command's parser."""
    parser = add_command(subparsers, "replay", "replay recorded ticks through the live code path, and report", EXAMPLE)
    parser.add_argument("ticks", nargs="+", type=Path, metavar="TICKS", help="tick or bar files of any known format")
    parser.add_argument("--instrument", metavar="NAME[,NAME]", help="what to trade (default: what the files hold)")
    parser.add_argument("--strategy", metavar="NAME", help="built-in, installed, or path/to/file.py:Class")
    parser.add_argument("--model", metavar="best|VERSION|PATH", help="what the strategy muzero decides with")
    parser.add_argument("--out", type=Path, metavar="DIR", help="the run's folder (default: runs/<time> in the state)")
    parser.add_argument("--seed", type=int, metavar="N", help="seed of everything random")
    parser.add_argument("--bar", metavar="1m|5s|100t", help="length of a bar, and so of a decision")
    parser.add_argument("--speed", default="max", metavar="max|1x|10x", help="event time over wall time (default: max)")
    parser.add_argument(
        "--fix", choices=("drop", "swap"), help="crossed quotes (bid above ask) are dropped or repaired"
    )
    parser.add_argument(
        "--store", action=argparse.BooleanOptionalAction, default=False, help="keep what was experienced for training"
    )
    add_reading_options(parser)
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace, ui: Ui) -> dict[str, Any]:
    """Replay and return the summary."""
    config = config_of(
        args,
        {
            "strategy": ("--strategy", args.strategy),
            "model.version": ("--model", args.model),
            "seed": ("--seed", args.seed),
            "bar": ("--bar", args.bar),
            "paper.fix": ("--fix", args.fix),
        },
    )
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    request = Request(
        files=tuple(args.ticks),
        options=reading_options(args, fix=config.paper.fix),
        only=instruments_of(args.instrument),
        out=args.out if args.out is not None else Path(config.state.dir) / "runs" / now,
        speed=speed_of(args.speed),
        store=args.store,
    )
    if must_compile(os.environ):
        ui.note("compiling kernels: this happens once, and takes about half a minute")
    summary = replay(request, config, ui)
    optimum = summary["optimum"]
    if optimum is not None and optimum["share"] is not None:
        ui.note(f"earned {100 * optimum['share']:.1f} % of the best possible result on these bars")
    ui.note(f"report: {request.out / 'report.html'}")
    return summary


def instruments_of(text: str | None) -> tuple[str, ...]:
    """The names given with --instrument.

    >>> instruments_of("EUR_USD,USD_JPY"), instruments_of(None)
    (('EUR_USD', 'USD_JPY'), ())
    """
    names = tuple(text.split(",")) if text is not None else ()
    if len(set(names)) != len(names) or not all(names):
        raise BadInput(f"{text!r} is no list of instruments", where="--instrument", mend="like EUR_USD,USD_JPY")
    return tuple(instrument(name).name for name in names)


def speed_of(text: str) -> float:
    """Event time over wall time; 0 for as fast as it goes.

    >>> speed_of("max"), speed_of("10x")
    (0.0, 10.0)
    """
    if text == "max":
        return 0.0
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?x", text) and float(text[:-1]) > 0:
        return float(text[:-1])
    raise BadInput(f"{text!r} is no speed", where="--speed", mend="max, 1x, 10x or another factor")
