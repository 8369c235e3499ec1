"""`micro-trader new-strategy`: a plugin package to start from."""

import argparse
from pathlib import Path
from typing import Any

from daemon.console import Ui
from daemon.newpackage import write_package
from daemon.options import Subparsers, add_command


def register(subparsers: Subparsers) -> None:
    """Add the command."""
    about = "write a tested plugin package that replays at once"
    parser = add_command(subparsers, "new-strategy", about, "micro-trader new-strategy my-idea")
    parser.add_argument("name", metavar="NAME", help="of the strategy: small letters, words joined by hyphens")
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace, ui: Ui) -> dict[str, Any]:
    """Write it into the current folder."""
    folder = write_package(args.name, Path())
    ui.note(f"try it here: micro-trader replay TICKS --strategy {args.name}; test it: python -m pytest {folder}")
    return {"path": str(folder)}
