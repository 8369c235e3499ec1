"""What an operator says without the API: a signal to the process, or a file in the state folder.

Both end as the API's commands do, in one journalled input; a file is gone once that is on the disk.
"""

import asyncio
import re
import signal
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import structlog

from broker.errors import StorageFault
from daemon.events import Command

FILE = "operator"
TAKEN = "operator.taken"
LOOK_S = 0.5
LONGEST = 200  # characters of a reason, as the API takes it
LONGEST_WORD = 40
SIGNALS: Mapping[int, Command] = {
    signal.SIGUSR1: Command.FLATTEN,
    signal.SIGUSR2: Command.HALT,
    signal.SIGRTMIN: Command.PAUSE,
    signal.SIGRTMIN + 1: Command.REDUCE,
    signal.SIGRTMIN + 2: Command.RESUME,
}
"""What each signal says."""

Obey = Callable[[Command, str, str], Awaitable[None]]
"""Does a command, for whom and why; returns once it is on the disk."""


class OperatorFile:
    """A file with one command and, behind it, the reason: `echo flatten the bank speaks > var/operator`.

    Args:
        state: the folder it is put into. obey: does what it says.
    """

    def __init__(self, state: Path, obey: Obey) -> None:
        self._file, self._taken, self._obey = state / FILE, state / TAKEN, obey
        self._log = structlog.get_logger()

    async def run(self) -> None:
        """Look for it until cancelled.

        Raises:
            StorageFault: the disk failed.
        """
        while True:
            if text := await asyncio.to_thread(self._take):
                await self._do(text)
                await asyncio.to_thread(self._taken.unlink)
            await asyncio.sleep(LOOK_S)

    def _take(self) -> str:
        """What was said and is not done yet, or ""; the file is put aside first, so that none is read and then lost."""
        try:
            if self._file.exists() and not (self._taken.exists() and self._taken.stat().st_size):
                self._file.replace(self._taken)
            return self._taken.read_bytes()[: 2 * LONGEST].decode("utf-8", "replace").strip()
        except FileNotFoundError:
            return ""
        except PermissionError:
            return "unreadable"
        except OSError as error:
            raise StorageFault(f"can't be taken: {error.strerror}", where=str(self._file)) from error

    async def _do(self, text: str) -> None:
        word, reason = (*text.split(maxsplit=1), "")[:2]
        try:
            command = Command(word.lower())
        except ValueError:
            self._log.error("operator", refused=f"{word[:LONGEST_WORD]!r} is no command", where=str(self._file))
            return
        await self._obey(command, "file", re.sub(r"[\x00-\x1f\x7f]+", " ", reason).strip()[:LONGEST])
