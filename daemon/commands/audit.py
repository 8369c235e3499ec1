"""`micro-trader audit`: does the journal of a day still say what it said?"""

import argparse
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from broker.errors import Fatal
from daemon.audit import audit
from daemon.console import Ui
from daemon.kernels import must_compile
from daemon.options import Subparsers, add_command, config_of

JOURNAL = "journal.db"


def register(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        "audit",
        "fold the journal of a day again, and name the first difference",
        "micro-trader audit --json",
    )
    parser.add_argument("day", nargs="?", metavar="DAY", help="like 2026-01-05 (default: the latest)")
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace, ui: Ui) -> dict[str, Any]:
    """Audit a day.

    Raises:
        Fatal: there is a difference; said after the document is shown.
    """
    config = config_of(args)
    if must_compile(os.environ):
        ui.note("compiling kernels: this happens once, and takes about half a minute")
    found = audit(Path(config.state.dir) / JOURNAL, args.day)
    document = asdict(found)
    if found.difference is None:
        return document
    ui.show(document, "audit")
    raise Fatal(f"{found.day} differs: {found.difference}")
