"""`micro-trader health`: is the service of this state folder alive? For health checks of containers."""

import argparse
from pathlib import Path
from typing import Any

from broker.errors import Fatal
from daemon.commands.control import ask
from daemon.console import Ui
from daemon.options import Subparsers, add_command, config_of
from daemon.working import JOBS, age_of

PATIENCE_S = 30.0


def register(subparsers: Subparsers) -> None:
    """Add the command."""
    about = "say whether the daemon, or a worker, of the state folder is alive"
    parser = add_command(subparsers, "health", about, "micro-trader health run")
    parser.add_argument("service", choices=("run", *JOBS), nargs="?", default="run", help="default: the daemon")
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace, _ui: Ui) -> dict[str, Any]:
    """Ask it.

    Raises:
        Fatal: it is not alive.
    """
    config = config_of(args)
    if args.service == "run":
        return ask(config, "GET", "/health/ready")
    age = age_of(Path(config.state.dir), args.service)
    if age > PATIENCE_S:
        raise Fatal(f"work {args.service} has shown no sign of life for {age:.0f} s")
    return {"ready": True, "why": "", "age_s": age}
