"""`micro-trader compare`: runs side by side."""

import argparse
from pathlib import Path
from typing import Any

from daemon.comparison import compare
from daemon.console import Ui
from daemon.options import Subparsers, add_command


def register(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        "compare",
        "put runs side by side: figures, settings that differ, the first decision where they part",
        "micro-trader compare runs/monday runs/tuesday",
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folders that runs left, two or more")
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace, _ui: Ui) -> dict[str, Any]:
    """The figures of all runs, and how each differs from the first."""
    return compare(args.runs)
