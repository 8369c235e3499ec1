"""The page of a day that is over, made by a child process: what it takes for a moment would stay with the daemon."""

import os
import subprocess
import sys
from pathlib import Path

import structlog

NICE = 10


def page_aside(folder: Path) -> None:
    """Make the report of a finished folder; returns once it is there, or the log says why it is not."""
    launch = (sys.executable, "-m", "daemon.launch", str(NICE), "0", str(os.getpid()))
    command = (*launch, sys.executable, "-m", "daemon", "report", str(folder), "--json")
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, start_new_session=True)
    if done.returncode:
        structlog.get_logger().warning("report", folder=str(folder), why=done.stderr.strip()[-300:])
