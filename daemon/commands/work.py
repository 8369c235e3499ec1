"""`micro-trader work`: training or validation as a service of its own."""

import argparse
import asyncio
import time
from pathlib import Path
from typing import Any

from broker.errors import Fatal
from daemon.console import Ui
from daemon.options import Subparsers, add_command, config_of
from daemon.working import JOBS, Worker

EXAMPLE = """\
micro-trader work train
micro-trader work validate --once"""


def register(subparsers: Subparsers) -> None:
    """Add the command."""
    about = "train or validate on schedule, without a daemon that trades"
    parser = add_command(subparsers, "work", about, EXAMPLE)
    parser.add_argument("job", choices=JOBS, help="what [schedule] of the same name says when to do")
    parser.add_argument("--once", action="store_true", help="do it now, and end: for timers")
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace, _ui: Ui) -> dict[str, Any]:
    """Work until told to stop.

    Raises:
        Fatal: the job failed, with --once.
    """
    config = config_of(args)
    options = ["--state", str(Path(config.state.dir).resolve())]
    options += ["--config", str(args.config.resolve())] if args.config is not None else []

    async def work() -> list[str]:
        worker = Worker(config, args.job, options, time.time_ns)
        await worker.run(once=args.once)
        return worker.outcomes

    outcomes = asyncio.run(work())
    if args.once and outcomes != ["done"]:
        raise Fatal(f"{args.job}: {', '.join(outcomes) or 'stopped before it was done'}; the log says why")
    return {"job": args.job, "runs": len(outcomes), "done": outcomes.count("done")}
