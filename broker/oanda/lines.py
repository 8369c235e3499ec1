"""A chunked stream as lines: several may share a chunk, and one may span many."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from broker.oanda.failures import StreamLost

LONGEST_LINE = 1 << 18  # bytes; a transaction with many trades has a few thousand


class Bytes(Protocol):
    """Where bytes come from: aiohttp's StreamReader is one."""

    async def readany(self) -> bytes:
        """What has arrived, at least one byte; empty at the end."""
        ...


class LineParser:
    """Bytes in, whole lines out, without their line ends; empty lines are left out.

    >>> parser = LineParser()
    >>> parser.feed(b'{"a"'), parser.feed(b': 1}\\n\\n{"b": 2}\\r\\n{'), parser.rest
    ([], [b'{"a": 1}', b'{"b": 2}'], b'{')
    """

    def __init__(self, longest: int = LONGEST_LINE) -> None:
        self._longest = longest
        self._parts: list[bytes] = []
        self._size = 0

    @property
    def rest(self) -> bytes:
        """The line that has not ended yet."""
        return b"".join(self._parts)

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that this chunk completes.

        Raises:
            StreamLost: a line is longer than any line may be.
        """
        head, *tails = chunk.split(b"\n")
        self._parts.append(head)
        self._size += len(head)
        if not tails:
            self._check(self._size)
            return []
        lines = [self.rest, *tails[:-1]]
        self._parts, self._size = [tails[-1]], len(tails[-1])
        self._check(max(map(len, lines)))
        self._check(self._size)
        return [line for line in (line.rstrip(b"\r") for line in lines) if line]

    def _check(self, size: int) -> None:
        if size > self._longest:
            raise StreamLost(f"a line of more than {self._longest} bytes")


class Lines:
    """The lines of one open stream.

    Args:
        source: where the bytes come from.
        silence: seconds without a whole line after which the stream counts as dead (OANDA beats every 5 s).
        clean: takes out of a line what nobody may see.
    """

    def __init__(
        self, source: Bytes, silence: float, longest: int = LONGEST_LINE, clean: Callable[[bytes], bytes] = bytes
    ) -> None:
        self._source, self._silence, self._clean = source, silence, clean
        self._parser = LineParser(longest)
        self._ready: deque[bytes] = deque()

    def __aiter__(self) -> "Lines":
        return self

    async def __anext__(self) -> bytes:
        """The next line; the stream never ends in peace.

        Raises:
            StreamLost: it ended, stalled or broke.
        """
        if not self._ready:
            await self._fill()
        return self._ready.popleft()

    async def _fill(self) -> None:
        try:
            async with asyncio.timeout(self._silence):
                while not self._ready:
                    chunk = await self._source.readany()
                    if not chunk:
                        raise StreamLost("ended inside a line" if self._parser.rest else "ended")
                    self._ready.extend(map(self._clean, self._parser.feed(chunk)))
        except TimeoutError:
            silent = True
        else:
            silent = False
        if silent:
            raise StreamLost(f"silent for {self._silence:g} s")
