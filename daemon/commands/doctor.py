"""`micro-trader doctor`: is this machine fit to run the program?"""

import argparse
import os
from dataclasses import asdict
from typing import Any

from broker.errors import Fatal
from daemon.checkup import examine
from daemon.console import Ui
from daemon.options import Subparsers, add_command, config_of


def register(subparsers: Subparsers) -> None:
    """Add the command."""
    about = "check Python, kernels, clock, config, disk, store, models and the broker"
    add_command(subparsers, "doctor", about, "micro-trader doctor --json").set_defaults(handler=run)


def run(args: argparse.Namespace, ui: Ui) -> dict[str, Any]:
    """Look at everything.

    Raises:
        Fatal: something is wrong; said after the document is shown.
    """
    found = list(examine(lambda: config_of(args), os.environ))
    document = {"checks": [asdict(check) for check in found]}
    wrong = [check.name for check in found if not check.ok]
    if not wrong:
        return document
    ui.show(document, "doctor")
    raise Fatal(f"not in order: {', '.join(wrong)}")
