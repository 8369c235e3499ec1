"""Server-sent events: one history, many listeners, none of whom can hold up the daemon."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from typing import Any

KEPT = 1000
BEHIND = 1000  # events a listener may lag before it is let go


class Hub:
    """Hands events to whoever listens.

    Args:
        kept: events that a listener who comes back may catch up on.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._history: deque[tuple[int, bytes]] = deque(maxlen=kept)
        self._listeners: set[asyncio.Queue[bytes | None]] = set()
        self._number = 0

    @property
    def listeners(self) -> int:
        """How many listen now."""
        return len(self._listeners)

    def publish(self, kind: str, document: Mapping[str, Any]) -> None:
        """Tell all listeners; one who lags too far behind is let go, and comes back by itself."""
        self._number += 1
        data = json.dumps(document, separators=(",", ":"), allow_nan=False)
        message = f"id: {self._number}\nevent: {kind}\ndata: {data}\n\n".encode()
        self._history.append((self._number, message))
        for queue in list(self._listeners):
            if queue.qsize() >= BEHIND:
                self._listeners.discard(queue)
                queue.put_nowait(None)
            else:
                queue.put_nowait(message)

    async def listen(self, after: int | None = None) -> AsyncGenerator[bytes, None]:
        """Messages from now on, and before them those that came after number `after` and are still kept."""
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        if after is not None:
            for number, message in self._history:
                if number > after or after > self._number:  # a number of an earlier start: all that is kept
                    queue.put_nowait(message)
        self._listeners.add(queue)
        try:
            while (message_or_end := await queue.get()) is not None:
                yield message_or_end
        finally:
            self._listeners.discard(queue)

    def close(self) -> None:
        """Let all listeners go."""
        for queue in self._listeners:
            queue.put_nowait(None)
        self._listeners.clear()
