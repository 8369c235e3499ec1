"""`micro-trader health`: is the service of this state folder alive? For health checks of containers."""

import argparse
from pathlib import Path
from typing import Any

from broker.errors import Fatal
from daemon.alive import age_of, ailment
from daemon.commands.control import ask
from daemon.console import Ui
from daemon.options import Subparsers, add_command, config_of
from daemon.working import JOBS


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
    state = Path(config.state.dir)
    if wrong := ailment(state, args.service):
        raise Fatal(wrong)
    return {"ready": True, "why": "", "age_s": age_of(state, args.service)}
