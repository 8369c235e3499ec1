"""`micro-trader completion`: what makes a shell complete commands, options and file names."""

import argparse
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import shtab

from daemon.cli import COMMANDS, PROGRAM, module_of
from daemon.console import Ui
from daemon.options import Parser, Subparsers, add_command

EXAMPLE = """\
micro-trader completion bash
micro-trader completion zsh"""


def register(subparsers: Subparsers) -> None:
    """Add the command."""
    about = "print what makes a shell complete commands, options and files"
    parser = add_command(subparsers, "completion", about, EXAMPLE)
    parser.add_argument("shell", choices=shtab.SUPPORTED_SHELLS, help="bash, zsh or tcsh")
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace, ui: Ui) -> dict[str, Any] | None:
    """Print the script."""
    script = shtab.complete(every_command(), args.shell)
    if ui.json:
        return {"shell": args.shell, "script": script}
    sys.stdout.write(script)
    return None


def every_command() -> Parser:
    """The parser of all commands, with what holds a path marked as a file."""
    parser = Parser(prog=PROGRAM)
    subparsers = parser.add_subparsers()
    for module in dict.fromkeys(map(module_of, COMMANDS)):
        import_module(module).register(subparsers)
    _mark_files(parser)
    return parser


def _mark_files(parser: argparse.ArgumentParser) -> None:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                _mark_files(inner)
        elif action.type is Path or action.dest == "state":
            action.complete = shtab.FILE  # type: ignore[attr-defined]
