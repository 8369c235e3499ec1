"""`micro-trader run`: the service that trades, on paper or for real."""

import argparse
import asyncio
import gc
import os
import sys
from pathlib import Path
from typing import NoReturn

from daemon.console import Ui
from daemon.kernels import must_compile
from daemon.options import Subparsers, add_command, config_of
from daemon.running import Daemon

EXAMPLE = "micro-trader run --mode paper"


def register(subparsers: Subparsers) -> None:
    """Add the command's parser."""
    parser = add_command(subparsers, "run", "trade live prices, on paper or for real, until stopped", EXAMPLE)
    parser.add_argument("--mode", choices=("paper", "live"), help="where orders are filled (default: the config's)")
    parser.add_argument("--anew", action="store_true", help="begin a new run instead of folding the journal again")
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace, ui: Ui) -> None:
    """Run until SIGTERM or SIGINT; the former ends the process here.

    Raises:
        KeyboardInterrupt: it was stopped by SIGINT, in good order.
    """
    flags = {"mode": ("--mode", args.mode)}
    config = config_of(args, flags)
    options = ["--state", str(Path(config.state.dir).resolve())]
    options += ["--config", str(args.config.resolve())] if args.config is not None else []
    if must_compile(os.environ):
        ui.note("compiling kernels: this happens once, and takes about half a minute")

    gc.collect()
    gc.freeze()  # what is there by now stays: looking through it would stop the event loop for tens of milliseconds

    async def live() -> bool:
        return await Daemon(config, args.environ, lambda: config_of(args, flags), ui, options, anew=args.anew).run()

    with asyncio.Runner() as runner:
        if runner.run(live()):
            raise KeyboardInterrupt
        leave()


def leave() -> NoReturn:
    """End the process at once: all is on disk and closed, and who has sent SIGTERM waits.

    Taking the interpreter apart would cost half a second of computing, and a thread that still copies or packs any
    time; what such a thread does is there whole or not at all.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
