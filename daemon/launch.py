"""Starts a job as a child that is nice, bounded, and gone with its parent.

    python -m daemon.launch NICE MEGABYTES PARENT COMMAND...

The limits are set before the command is loaded, in the process that becomes it. Linux alone can end a child with its
parent (prctl(2), PR_SET_PDEATHSIG).
"""

import ctypes
import os
import resource
import signal
import sys

PDEATHSIG = 1
MEGABYTE = 1 << 20


def main(argv: list[str]) -> int:
    """Become the command.

    Args:
        argv: niceness, most megabytes of data (0: no limit), the parent's process id, and the command.

    Returns:
        1 where the parent is gone already; else it does not return.
    """
    nice, megabytes, parent, *command = argv
    ctypes.CDLL(None, use_errno=True).prctl(PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):
        return 1
    os.nice(int(nice))
    if limit := int(megabytes) * MEGABYTE:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    return os.execvp(command[0], command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
