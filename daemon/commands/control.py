"""The commands that talk to the running daemon over its local API: status, pause, resume, ..., swap, stop."""

import argparse
import getpass
import http.client
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from broker.errors import BadInput, Fatal, Refused
from daemon.config import Config
from daemon.console import Ui
from daemon.options import Subparsers, add_command, config_of
from daemon.web.address import address
from daemon.web.routes import COMMANDS, LONGEST_REASON, V1, WHO

ANSWER_S = 30.0
ABOUT = {"status": "how the running daemon is"} | {name: command.about for name, command in COMMANDS.items()}


def register(subparsers: Subparsers) -> None:
    """Add all of them."""
    for name, about in ABOUT.items():
        named = " 3d26e9c4" if name == "swap" else ""
        parser = add_command(subparsers, name, about, f"micro-trader {name}{named}")
        if name == "swap":
            parser.add_argument("version", metavar="VERSION", help="a model, or its first 8 characters")
        if name != "status":
            parser.add_argument("--reason", default="", metavar="TEXT", help="kept in the journal")
        parser.set_defaults(handler=run, command=name, version="")


def run(args: argparse.Namespace, _ui: Ui) -> dict[str, Any]:
    """Ask the daemon of the state folder; its answer.

    Raises:
        BadInput: no daemon runs there, or it does not know what was named.
        Refused: it can't do that now. Fatal: it failed.
    """
    config = config_of(args)
    if args.command == "status":
        return ask(config, "GET", f"{V1}/status")
    if not re.fullmatch(rf"[^\x00-\x1f\x7f\ud800-\udfff]{{0,{LONGEST_REASON}}}", args.reason):
        raise BadInput(
            "is too long, or more than a line", where="--reason", mend=f"at most {LONGEST_REASON} characters"
        )
    body = {"who": person(), "reason": args.reason}
    return ask(config, "POST", f"{V1}/{args.command}", body | ({"version": args.version} if args.version else {}))


def person() -> str:
    """Who asks, as the journal takes it."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = ""
    return name if re.fullmatch(WHO, name) else "cli"


def ask(config: Config, method: str, path: str, body: Mapping[str, str] | None = None) -> dict[str, Any]:
    """One request to the daemon of the config's state folder.

    Raises:
        BadInput, Refused, Fatal: as `run`.
    """
    state = Path(config.state.dir)
    host, port, token = address(state)
    connection = http.client.HTTPConnection(host, port, timeout=ANSWER_S)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    try:
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = connection.getresponse()
        document: dict[str, Any] = json.loads(answer.read())
    except (OSError, http.client.HTTPException) as error:
        raise BadInput("no daemon answers", where=str(state), mend="start it: micro-trader run") from error
    except ValueError as error:
        raise Fatal(f"what answers at {host}:{port} is no daemon of this program") from error
    finally:
        connection.close()
    if answer.status == http.client.OK:
        return document
    if "error" not in document:
        raise Fatal(document["why"])
    wrong = document["error"]
    if answer.status == http.client.CONFLICT:
        raise Refused(wrong["what"])
    if answer.status < http.client.INTERNAL_SERVER_ERROR:
        raise BadInput(wrong["what"], where=wrong["where"], mend=wrong["mend"])
    raise Fatal(wrong["what"])
