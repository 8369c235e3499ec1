"""What the API asks of the daemon behind it."""

from dataclasses import dataclass
from typing import Any, Protocol

MOST_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Query:
    """Which rows of a view: the latest `limit`, of one instrument where it is named."""

    limit: int = 100
    instrument: str | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody asked for over the API.

    Attributes:
        command: `pause`, `resume`, `reduce`, `flatten`, `halt`, `reload`, `swap`, `rollback` or `stop`.
        who, reason: kept in the journal with it.
        version: of the model, for `swap`.
    """

    command: str
    who: str
    reason: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the daemon can do its work now, and if not, why not."""

    ready: bool
    why: str = ""


class Office(Protocol):
    """The daemon as the API sees it."""

    def health(self) -> Health:
        """Whether ticks and orders are alive."""
        ...

    async def view(self, name: str, query: Query) -> dict[str, Any]:
        """The document of `GET /api/v1/<name>`."""
        ...

    async def act(self, order: Order) -> dict[str, Any]:
        """Carry out a command, once it is journalled; what came of it.

        Raises:
            BadInput: it names what is not there.
            Refused: it can't be done now.
        """
        ...
