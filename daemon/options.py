"""What all commands have in common: `--config`, `--state`, `--json`, a help text with an example, and the config read.

A command is a module in `daemon/commands/` with `register(subparsers)`, which calls `add_command` and gives the parser
a handler: `parser.set_defaults(handler=fn)` with `fn(args, ui) -> dict | None`. What it returns is the result: the one
JSON document with `--json`, tables for a person otherwise. None: it has said all that there is to say.
"""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

from broker.errors import BadInput
from daemon.config import Config, load
from daemon.console import Ui
from daemon.log import start_log

Handler: TypeAlias = Callable[[argparse.Namespace, Ui], dict[str, Any] | None]
Subparsers: TypeAlias = "argparse._SubParsersAction[Parser]"

DEFAULTS: Mapping[str, Any] = {"config": None, "state": None, "json": False}
"""Of the options of every command. They are the top parser's: a subcommand's own would undo its command's options."""

DEFAULT_CONFIG = Path("config.toml")


class Parser(argparse.ArgumentParser):
    """An argument parser that raises BadInput for wrong usage, and takes no abbreviated options."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("allow_abbrev", False)
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(**options)

    def error(self, message: str) -> NoReturn:
        """Report wrong usage.

        Raises:
            BadInput: always.
        """
        raise BadInput(message, mend=f"see {self.prog} --help")


def add_command(subparsers: Subparsers, name: str, summary: str, example: str) -> Parser:
    """A parser for one command or subcommand, with the options that every command has.

    Args:
        summary: one line, shown in lists of commands and above the options.
        example: command lines that work as they stand, one a line.
    """
    epilog = "\n".join(["example:", *(f"  {line}" for line in example.strip().splitlines())])
    parser = subparsers.add_parser(name, help=summary, description=summary, epilog=epilog)
    every = parser.add_argument_group("options of every command", argument_default=argparse.SUPPRESS)
    every.add_argument(
        "--config", type=Path, metavar="FILE", help="config file (default: ./config.toml, if there is one)"
    )
    every.add_argument("--state", metavar="DIR", help="state folder (default: $STATE_DIRECTORY, else [state] dir)")
    every.add_argument("--json", action="store_true", help="print one JSON document to stdout, logs to stderr")
    parser.set_defaults(parser=parser)
    return parser


def config_of(args: argparse.Namespace, flags: Mapping[str, tuple[str, Any]] | None = None) -> Config:
    """The effective config of a command, and the log as it says: defaults, file, environment, command line.

    Args:
        flags: config key to (flag, value), like `{"model.version": ("--model", args.model)}`; a None is no override.

    Raises:
        BadInput: a key is unknown, or a value is of the wrong type or out of range.
    """
    path = args.config if args.config is not None else DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None
    given = {
        key: pair
        for key, pair in {"state.dir": ("--state", args.state), **(flags or {})}.items()
        if pair[1] is not None
    }
    config = load(path, args.environ, given)
    start_log(config.log, args.environ)
    return config
