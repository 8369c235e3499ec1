"""`micro-trader explain`: one decision with its search, inputs and veto."""

import argparse
from pathlib import Path
from typing import Any

from daemon.console import Ui
from daemon.explanation import explain
from daemon.options import Subparsers, add_command


def register(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        "explain",
        "explain one decision: what was known, what search found, what came of it",
        "micro-trader explain runs/monday 17",
    )
    parser.add_argument("folder", type=Path, metavar="RUN", help="the folder that a run left")
    parser.add_argument("seq", type=int, metavar="SEQ", help="number of the decision, from 0")
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace, _ui: Ui) -> dict[str, Any]:
    """The decision and what it led to."""
    return explain(args.folder, args.seq)
