"""What systemd is told (sd_notify): one datagram to the socket that it named, nothing where it named none.

READY=1, RELOADING=1, STOPPING=1, WATCHDOG=1 and STATUS=text; see sd_notify(3). Its journal takes a line's priority from
the line's beginning; see sd-daemon(3).
"""

import os
import socket
from collections.abc import Mapping
from typing import TextIO

MICROSECONDS = 1_000_000
PRIORITIES = {"critical": 2, "error": 3, "exception": 3, "warning": 4, "info": 6, "debug": 7}


def is_journal(environ: Mapping[str, str], stream: TextIO) -> bool:
    """Whether `stream` is the one that systemd named in JOURNAL_STREAM as `device:inode`."""
    named = environ.get("JOURNAL_STREAM", "")
    if not named:
        return False
    try:
        file = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return named == f"{file.st_dev}:{file.st_ino}"


class Notifier:
    """Speaks to the service manager, if there is one.

    Args:
        environ: with NOTIFY_SOCKET and WATCHDOG_USEC where systemd started us.

    Attributes:
        watchdog_s: how often it wants to hear that all is well, seconds; 0 where it does not.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        text = environ.get("WATCHDOG_USEC", "")
        self.watchdog_s = int(text) / MICROSECONDS if text.isdecimal() else 0.0

    def say(self, **fields: object) -> None:
        """Send fields such as `READY=1`; a manager that is gone or slow is none of our business."""
        if not self._address:
            return
        lines = "\n".join(f"{name}={value}" for name, value in fields.items())
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as said:
                said.setblocking(False)
                said.sendto(lines.encode(), self._address)
        except OSError:
            return
