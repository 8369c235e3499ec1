"""`micro-trader report`: (re)builds the HTML report of a run, a training or a validation from its folder."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from broker.errors import BadInput, StorageFault
from daemon.console import Ui
from daemon.options import Subparsers, add_command
from daemon.report import build_report, build_training_report, build_validation_report, is_training, is_validation


def register(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        "report",
        "(re)build the HTML report of a run, a training or a validation from its folder",
        "micro-trader report runs/2026-01-05T08-00-00",
    )
    parser.add_argument(
        "folder", type=Path, metavar="RUN_DIR", help="the folder that a replay, a training or a validation left"
    )
    parser.set_defaults(handler=report)


def report(args: argparse.Namespace, _ui: Ui) -> dict[str, Any]:
    """Build it; returns its path.

    Raises:
        BadInput: the folder holds nothing finished, or a file of it is damaged.
        StorageFault: the report can't be written.
    """
    if not args.folder.is_dir():
        raise BadInput("no such folder", where=str(args.folder), mend="give the folder of a run")
    try:
        return {"path": str(builder(args.folder)(args.folder))}
    except OSError as error:
        raise StorageFault(f"the report can't be written: {error.strerror}", where=str(args.folder)) from error


def builder(folder: Path) -> Callable[[Path], Path]:
    """What builds the report of a folder, by what is in it."""
    if is_training(folder):
        return build_training_report
    return build_validation_report if is_validation(folder) else build_report
