"""A lock between processes that says who holds it, and is gone with its holder, however that ends."""

import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from broker.errors import BadInput, StorageFault
from broker.rfc3339 import rfc3339


class FileLock:
    """An exclusive lock on a file, for a `with` block or until `release`.

    Args:
        path: the lock file; it stays there, with its last holder's name.
        who: what holds it, told to whom it keeps out: `trainer`, `daemon`.
        now: ns since the epoch.
        wait: wait for the holder, for locks that are held for a moment; else refuse at once.
    """

    def __init__(self, path: Path, who: str, now: Callable[[], int], *, wait: bool = False) -> None:
        self._path, self._who, self._now = path, who, now
        self._flags = fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB)
        self._handle: int | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds it."""
        return self._handle is not None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            BadInput: another process holds it; says who, with its process id, and since when.
            StorageFault: the lock file can't be written.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise StorageFault(f"can't open the lock: {error.strerror}", where=str(self._path)) from error
        try:
            fcntl.flock(handle, self._flags)
        except BlockingIOError:
            holder = _holder(handle)
            os.close(handle)
            raise BadInput(
                f"in use by {holder}", where=str(self._path), mend="wait for it to end, or stop it"
            ) from None
        try:
            note = {"who": self._who, "pid": os.getpid(), "since": rfc3339(self._now())}
            os.ftruncate(handle, 0)
            os.pwrite(handle, json.dumps(note).encode(), 0)
        except OSError as error:
            os.close(handle)
            raise StorageFault(f"can't write the lock: {error.strerror}", where=str(self._path)) from error
        self._handle = handle

    def release(self) -> None:
        """Let go; harmless where it isn't held."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _holder(handle: int) -> str:
    try:
        note = json.loads(os.pread(handle, 4096, 0))
        return f"{note['who']} (process {note['pid']}, since {note['since']})"
    except (ValueError, KeyError, TypeError):
        return "another process"


def trainer_lock(state: Path, now: Callable[[], int]) -> FileLock:
    """What the one trainer of a state folder holds while it runs."""
    return FileLock(state / "trainer.lock", "trainer", now)


def writer_lock(state: Path, who: str, now: Callable[[], int]) -> FileLock:
    """What the one process that appends to the experience store, and evicts, holds: the daemon, a replay, a command."""
    return FileLock(state / "experience.lock", who, now)
