"""Errors, sorted by what is done about them.

TraderError
├── Transient        try again: jittered backoff, bounded
├── Refused          a business answer (a reject, a veto): it becomes an event
└── Fatal            stop; the supervisor restarts, and start-up is recovery
    ├── BadInput     wrong usage, config, tick file or model: exit code 2, one line, nothing written
    └── StorageFault the disk failed, is full or may not be written: exit code 1
"""


class TraderError(Exception):
    """Root of every error this program raises on purpose."""


class Transient(TraderError):
    """May succeed when tried again."""


class Refused(TraderError):
    """A business answer, not a fault."""


class Fatal(TraderError):
    """Nothing sensible can be done but to stop."""


class BadInput(Fatal):
    """What the user handed in can't be used.

    Args:
        what: what is wrong, in one line.
        where: file, `file:line`, config key or flag.
        mend: how to put it right.
    """

    def __init__(self, what: str, *, where: str = "", mend: str = "") -> None:
        self.what, self.where, self.mend = what, where, mend
        super().__init__(f"{where}: {what}" if where else what)

    def __str__(self) -> str:
        line = f"{self.where}: {self.what}" if self.where else self.what
        return f"{line} ({self.mend})" if self.mend else line


class StorageFault(Fatal):
    """The disk failed, is full, or a folder may not be written."""

    def __init__(self, what: str, *, where: str = "") -> None:
        self.what, self.where = what, where
        super().__init__(f"{where}: {what}" if where else what)
