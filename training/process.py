"""The train process: one job comes in as JSON on stdin, lines of JSON go out on stdout.

    python -m training < job.json

Lines: `{"note": text}`, `{"progress": {...}}` after each pass, then one of `{"done": {...}}` and `{"error": {...}}`.
SIGINT, SIGTERM and the end of its parent stop it; what was learned up to the last pass is kept.
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Mapping
from typing import Any

import torch

from broker.clock import SystemClock
from broker.errors import BadInput, TraderError
from training.course import NotANumber
from training.job import Job
from training.trainer import train

NICENESS = 5
"""What trades goes first."""
OK, FAILED, REFUSED, INTERRUPTED = 0, 1, 2, 130
PARENT_CHECKED_S = 0.5


class Stopped(Exception):
    """SIGINT or SIGTERM between or during passes."""


def main() -> int:
    """Run the job on stdin; the exit code of the process."""
    torch.set_num_threads(1)
    os.nice(NICENESS)
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, _stop)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    try:
        document = json.load(sys.stdin)
        document |= {"files": tuple(document["files"]), "bar": tuple(document["bar"])}
        _say({"done": train(Job(**document), SystemClock().now, _say)})
        return OK
    except (Stopped, BrokenPipeError):
        return INTERRUPTED
    except BadInput as error:
        _say({"error": {"what": error.what, "where": error.where, "mend": error.mend}})
        return REFUSED
    except (TraderError, NotANumber) as error:
        _say({"error": {"what": str(error), "where": "", "mend": ""}})
        return FAILED


def _stop(_signal: int, _frame: object) -> None:
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)  # once is enough: what follows must not be cut off
    raise Stopped


def _end_with(parent: int) -> None:
    """Stop when the parent is gone."""
    while not threading.Event().wait(PARENT_CHECKED_S):
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)
            return


def _say(line: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(line, allow_nan=False) + "\n")
    sys.stdout.flush()
