"""`micro-trader validate`: what a model makes of ticks that it has not seen, and whether it may trade."""

import argparse
import json
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from broker.errors import BadInput, StorageFault
from daemon.commands.replay import instruments_of
from daemon.console import Ui
from daemon.contest import Performance
from daemon.kernels import must_compile
from daemon.options import Subparsers, add_command, config_of
from daemon.reading import add_reading_options, reading_options
from daemon.report.validation import DOCUMENT, build_validation_report, drawn_curve
from daemon.validation import Request, validate
from daemon.whole import write_whole

EXAMPLE = """\
micro-trader validate
micro-trader validate 3d26e9c4 EUR_USD-2026-01.csv.gz --promote"""
NICENESS = 5
"""What trades goes first."""
HIDDEN = ("curves", "ticks", "walk_forward", "baselines", "incumbent_figures")
"""Of the document, not as figures in the terminal."""


def register(subparsers: Subparsers) -> None:
    """Add the command's parser."""
    parser = add_command(subparsers, "validate", "score a model on unseen ticks, and let it through the gate", EXAMPLE)
    parser.add_argument(
        "named",
        nargs="*",
        metavar="[VERSION] [TICKS...]",
        help="a model (default: the newest candidate without a verdict, else the best again) and tick files (default: "
        "the recordings in the state folder)",
    )
    parser.add_argument("--promote", action="store_true", help="make it best if it passes the gate, reject it if not")
    parser.add_argument("--instrument", metavar="NAME[,NAME]", help="instruments of files that do not say")
    parser.add_argument("--bar", metavar="1m|5s|100t", help="length of a bar, and so of a decision")
    parser.add_argument("--seed", type=int, metavar="N", help="seed of everything random")
    parser.add_argument("--fix", choices=("drop", "swap"), help="crossed quotes are dropped or repaired")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder (default: validations/<time> in the state)")
    add_reading_options(parser)
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace, ui: Ui) -> dict[str, Any]:
    """Validate; keeps the document and its report in a folder, and the verdict with the models."""
    flags = {"seed": ("--seed", args.seed), "bar": ("--bar", args.bar), "paper.fix": ("--fix", args.fix)}
    config = config_of(args, flags)
    version, files = split_names(args.named)
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    out: Path = args.out if args.out is not None else Path(config.state.dir) / "validations" / now
    os.nice(max(0, NICENESS - os.nice(0)))
    if must_compile(os.environ):
        ui.note("compiling kernels: this happens once, and takes about half a minute")
    request = Request(
        version=version,
        files=files,
        options=reading_options(args, fix=config.paper.fix),
        only=instruments_of(args.instrument),
        promote=args.promote,
    )

    def keep(document: dict[str, Any], performances: Mapping[str, Performance]) -> None:
        curves = {name: drawn_curve(one.play.bars) for name, one in performances.items()}
        write(out, {**document, "curves": curves})

    document = validate(request, config, time.time_ns, ui, keep) | {"report": str(out / "report.html")}
    if ui.json:
        return document
    rows = [{"strategy": name, **figures} for name, figures in played(document)]
    shown = {name: value for name, value in document.items() if name not in HIDDEN}
    shown["gate"] = {"passed": document["gate"]["passed"]}
    shown["why it does not pass"] = [{"reason": reason} for reason in document["gate"]["reasons"]]
    return shown | {"on the same ticks": [{short: row[name] for short, name in COLUMNS.items()} for row in rows]}


COLUMNS = {
    "strategy": "strategy",
    "trades": "trades",
    "pips each": "expectancy_pips",
    "won": "win_rate",
    "net pips": "net_pips",
    "per 1000 bars": "pips_per_1000_bars",
    "score": "quality_score",
}
"""Of the table in the terminal, by what they are called in the document."""


def played(document: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Every strategy with its figures."""
    rival = document["incumbent_figures"]
    others = [("incumbent", rival)] if rival is not None else []
    return [(document["version"], document), *others, *document["baselines"].items()]


def split_names(named: list[str]) -> tuple[str | None, tuple[Path, ...]]:
    """The version, where the first name is no file's, and the files.

    >>> split_names(["3d26e9c4", "a.csv"])
    ('3d26e9c4', (PosixPath('a.csv'),))
    >>> split_names(["missing.csv"]), split_names([])
    ((None, (PosixPath('missing.csv'),)), (None, ()))
    """
    if named and not Path(named[0]).exists() and "." not in Path(named[0]).name:
        return named[0], tuple(map(Path, named[1:]))
    return None, tuple(map(Path, named))


def write(out: Path, document: Mapping[str, Any]) -> None:
    """Keep a validation's document and its report; each file is replaced whole.

    Raises:
        BadInput: the folder can't be made.
        StorageFault: the disk failed.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"can't be written: {error.strerror}", where=str(out), mend="choose another --out") from error
    try:
        write_whole(out / DOCUMENT, json.dumps(document, indent=1, allow_nan=False) + "\n")
        build_validation_report(out)
    except OSError as error:
        raise StorageFault(f"writing failed: {error.strerror}", where=str(error.filename or out)) from error
