"""The command `micro-trader`: picks a command's module, runs it, and turns what happens into an exit code.

Exit codes: 0 done, 1 the work failed, 2 wrong usage or invalid input, 130 interrupted. A command's module is imported
only when that command is asked for, so that help and errors come at once.
"""

import argparse
import difflib
import errno
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from importlib import import_module

from broker.errors import BadInput, TraderError
from daemon import __version__
from daemon.console import Ui
from daemon.kernels import use_kernel_cache
from daemon.options import DEFAULTS, Parser
from daemon.systemd import PRIORITIES, is_journal

PROGRAM = "micro-trader"
DONE, FAILED, REFUSED, INTERRUPTED = 0, 1, 2, 130

COMMANDS: Mapping[str, str] = {
    "run": "trade live prices, on paper or for real, until stopped",
    "work": "train or validate on schedule, without a daemon that trades",
    "health": "say whether the service of a state folder is alive",
    "status": "how the running daemon is",
    "pause": "no new entries; exits go on",
    "resume": "trade again",
    "reduce": "no new entries, and positions are closed at their next bar",
    "flatten": "close everything at once, and pause",
    "halt": "obey the strategy no more; stops and loss limits still close",
    "reload": "let the daemon read its config again",
    "swap": "let another model decide",
    "rollback": "return to the model that was best before",
    "stop": "end the daemon in good order",
    "replay": "replay recorded ticks through the live code path, and report",
    "train": "learn from recorded ticks and register a candidate model",
    "validate": "score a model on unseen ticks, and let it through the gate",
    "study": "walk-forward study of model and baselines",
    "report": "rebuild the HTML report of a run",
    "compare": "put runs side by side",
    "explain": "explain one decision of a run",
    "ticks": "inspect, convert and synthesise tick files",
    "emulator": "serve OANDA's v20 API over loopback from tick files",
    "models": "list, promote and roll back models",
    "audit": "fold the journal of a day again, and name the first difference",
    "store": "look after the experience store",
    "config": "check, show and write the configuration",
    "new-strategy": "write a tested plugin package",
    "completion": "make a shell complete commands, options and files",
    "doctor": "check the machine and what the program keeps on it",
}
"""Name of each command and what it does."""

CONTROL = frozenset("status pause resume reduce flatten halt reload swap rollback stop".split())
"""Commands that one module has: they talk to the running daemon."""


def module_of(command: str) -> str:
    """The module of a command.

    >>> module_of("new-strategy")
    'daemon.commands.new_strategy'
    """
    return f"daemon.commands.{'control' if command in CONTROL else command.replace('-', '_')}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the command line without the program's name; None takes the process's own.

    Returns:
        The exit code.
    """
    try:
        code = _run(list(sys.argv[1:] if argv is None else argv), dict(os.environ))
        sys.stdout.flush()
        return code
    except SystemExit as done:  # argparse, after --help and --version
        return int(done.code or DONE)
    except BrokenPipeError:
        _give_up_stdout()
        return FAILED
    except KeyboardInterrupt:
        return _say("interrupted", INTERRUPTED)
    except BadInput as error:
        return _say(f"error: {error}", REFUSED)
    except TraderError as error:
        return _say(f"error: {error}", FAILED)
    except OSError as error:
        _give_up_stdout()
        return _say(f"error: {_disk_or_system(error)}", FAILED)
    except Exception:  # noqa: BLE001 - the outermost frame: whatever arrives here is a bug, and says so
        traceback.print_exc()
        return _say("error: this is a bug in micro-trader; please report it with the lines above", FAILED)


def _run(argv: list[str], environ: Mapping[str, str]) -> int:
    if not argv or argv[0].startswith("-"):
        if command := next((word for word in argv if word in COMMANDS), None):
            raise BadInput(f"{argv[0]} stands before the command", mend=f"write {PROGRAM} {command} {argv[0]} ...")
        _overview().parse_args(argv)
        _overview().print_help(sys.stderr)
        return REFUSED
    args = _parse(argv)
    args.environ = environ
    ui = Ui(args.json)
    document = args.handler(args, ui)
    if document is not None:
        ui.show(document, args.parser.prog.removeprefix(f"{PROGRAM} "))
    return DONE


def _overview() -> Parser:
    """The parser of a command line without a command: it knows --help and --version."""
    width = max(map(len, COMMANDS)) + 2
    commands = "\n".join(f"  {name:{width}}{summary}" for name, summary in COMMANDS.items())
    parser = Parser(
        prog=PROGRAM,
        usage=f"{PROGRAM} COMMAND [options]",
        description="Trades currencies with Stochastic MuZero: one code path for replay, paper and live.",
        epilog=f"commands:\n{commands}\n\nexample:\n  {PROGRAM} replay --help",
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    return parser


def _parse(argv: list[str]) -> argparse.Namespace:
    name = argv[0]
    if name not in COMMANDS:
        raise BadInput(f"no command {name!r}", mend=_nearest(name, COMMANDS, f"see {PROGRAM} --help"))
    parser = Parser(prog=PROGRAM)
    parser.set_defaults(**DEFAULTS)
    subparsers = parser.add_subparsers(required=True)
    use_kernel_cache(os.environ)
    import_module(module_of(name)).register(subparsers)
    args, unknown = parser.parse_known_args(argv)
    if unknown:
        flags = args.parser._option_string_actions
        raise BadInput(
            f"no argument {unknown[0]!r}", mend=_nearest(unknown[0], flags, f"see {args.parser.prog} --help")
        )
    return args


def _nearest(word: str, known: Mapping[str, object], otherwise: str) -> str:
    close = difflib.get_close_matches(word.split("=")[0], known, n=1)
    return f"did you mean {close[0]}?" if close else otherwise


def _disk_or_system(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    what = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror or str(error)
    return f"{where}{what}"


def _give_up_stdout() -> None:
    """Where stdout can't be written, point it to nowhere: else the interpreter complains once more at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(line: str, code: int) -> int:
    priority = (
        f"<{PRIORITIES['info' if code == INTERRUPTED else 'error']}>" if is_journal(os.environ, sys.stderr) else ""
    )
    sys.stderr.write(f"{priority}{PROGRAM}: {' '.join(line.split())}\n")
    return code
