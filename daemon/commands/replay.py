"""`micro-trader replay`: recorded ticks through the live code path."""

import argparse
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from broker.errors import BadInput
from broker.ticks import ReadOptions
from daemon.console import Ui
from daemon.options import Subparsers, add_command, config_of
from daemon.replay import Request, replay

EXAMPLE = """\
micro-trader ticks synth regime synth-regime.csv.gz --bars 5000
micro-trader replay synth-regime.csv.gz --instrument EUR_USD --strategy ema-cross --out run"""


def register(subparsers: Subparsers) -> None:
    """Add the command's parser."""
    parser = add_command(subparsers, "replay", "replay recorded ticks through the live code path, and report", EXAMPLE)
    parser.add_argument("ticks", nargs="+", type=Path, metavar="TICKS", help="tick or bar files of any known format")
    parser.add_argument("--instrument", metavar="NAME[,NAME]", help="instruments to trade (default: those of the files)")
    parser.add_argument("--strategy", metavar="NAME", help="built-in, installed, or path/to/file.py:Class")
    parser.add_argument("--model", metavar="best|VERSION|PATH", help="what the strategy muzero decides with")
    parser.add_argument("--out", type=Path, metavar="DIR", help="the run's folder (default: runs/<time> in the state folder)")
    parser.add_argument("--seed", type=int, metavar="N", help="seed of everything random")
    parser.add_argument("--bar", metavar="1m|5s|100t", help="length of a bar, and so of a decision")
    parser.add_argument("--speed", default="max", metavar="max|1x|10x", help="event time over wall time (default: max)")
    reading = parser.add_argument_group("reading the files")
    reading.add_argument("--date", metavar="YYYY-MM-DD", help="day of a file that has times of day only")
    reading.add_argument("--tz", metavar="ZONE", help="time zone of a file that does not say, like UTC or UTC-5")
    reading.add_argument("--spread-pips", type=float, metavar="P", help="spread to put on a file of bids only")
    reading.add_argument("--on-bad-line", choices=("fail", "skip"), default="fail", help="what a broken line does")
    reading.add_argument("--fix", choices=("drop", "swap"), help="what becomes of a crossed quote")
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
    options = ReadOptions(
        date=args.date, tz=args.tz, spread_pips=args.spread_pips, on_bad_line=args.on_bad_line, fix=config.paper.fix
    )
    request = Request(
        files=tuple(args.ticks),
        options=options,
        only=instruments_of(args.instrument),
        out=args.out if args.out is not None else Path(config.state.dir) / "runs" / now,
        speed=speed_of(args.speed),
    )
    summary = replay(request, config, ui)
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
    return names


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
