"""`micro-trader config`: check, show and write the configuration."""

import argparse
import sys
from pathlib import Path
from typing import Any

from broker.errors import BadInput
from daemon.config import load, reference, rows, shown, template
from daemon.console import Ui
from daemon.options import Subparsers, add_command, config_of


def register(subparsers: Subparsers) -> None:
    """Add `config` and its subcommands."""
    parser = add_command(subparsers, "config", "check, show and write the configuration", "micro-trader config show")
    verbs = parser.add_subparsers(required=True, metavar="check|show|init|reference")
    about = "say whether the configuration is valid"
    check = add_command(verbs, "check", about, "micro-trader config check --config config.toml")
    check.set_defaults(handler=check_config)
    about = "show the effective configuration and where each value came from"
    show = add_command(verbs, "show", about, "micro-trader config show --json")
    show.set_defaults(handler=show_config)
    about = "write a commented config file"
    init = add_command(verbs, "init", about, "micro-trader config init my.toml")
    init.add_argument("file", type=Path, nargs="?", default=Path("config.toml"), help="where to (default: config.toml)")
    init.add_argument("--force", action="store_true", help="write over a file that is there")
    init.set_defaults(handler=init_config)
    about = "print the reference of all keys, in Markdown"
    document = add_command(verbs, "reference", about, "micro-trader config reference")
    document.set_defaults(handler=print_reference)


def check_config(args: argparse.Namespace, ui: Ui) -> dict[str, Any]:
    """Validate; an invalid config is a BadInput."""
    config = config_of(args)
    given = [name for name, origin in config.origins.items() if origin != "default"]
    verdict = {"valid": True, "keys": len(config.origins), "keys_set": len(given)}
    return {**shown(config), **verdict} if ui.json else verdict


def show_config(args: argparse.Namespace, ui: Ui) -> dict[str, Any]:
    """Show every value with its origin."""
    config = config_of(args)
    return shown(config) if ui.json else dict(rows(config))


def init_config(args: argparse.Namespace, ui: Ui) -> dict[str, Any]:
    """Write the commented template.

    Raises:
        BadInput: the file is there already, or can't be written.
    """
    path: Path = args.file
    try:
        with path.open("w" if args.force else "x", encoding="utf-8") as out:
            out.write(template())
    except FileExistsError as error:
        raise BadInput("is there already", where=str(path), mend="--force writes over it") from error
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError) as error:
        raise BadInput(f"can't be written: {error.strerror}", where=str(path)) from error
    return {"path": str(path), **shown(load(path, {}))} if ui.json else {"path": str(path)}


def print_reference(_args: argparse.Namespace, ui: Ui) -> dict[str, Any] | None:
    """Print docs/configuration.md."""
    if ui.json:
        return {"markdown": reference()}
    sys.stdout.write(reference())
    return None
