"""Virtual time and connections in memory: aiohttp's own client and server, without sockets and without waiting.

The loop's clock stands still while there is work, and jumps to the next timer when there is none. A connection that
`aiohttp.UnixConnector("name")` asks for is a pair of in-memory transports to the server listening at that name.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
Listening = Callable[[], asyncio.Protocol]


class _Selector(selectors.SelectSelector):
    """Never waits: where nothing is ready, time moves instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("everything waits for something that can't happen")
        if not ready and timeout is not None and timeout > 0:
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop of its own time."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)
        self.listeners: dict[str, Listening] = {}
        self.pipes: list[Pipe] = []

    def time(self) -> float:
        return self._virtual.now

    def unplug(self) -> None:
        """Break every connection."""
        for pipe in self.pipes:
            pipe.close()

    async def create_unix_connection(self, protocol_factory: Any, path: Any = None, **_: Any) -> Any:
        if path not in self.listeners:
            raise ConnectionRefusedError(111, "Connection refused")
        client, server = protocol_factory(), self.listeners[path]()
        near, far = Pipe(self, client), Pipe(self, server)
        near.peer, far.peer = far, near
        self.pipes = [pipe for pipe in (*self.pipes, near) if not pipe.is_closing()]
        server.connection_made(far)
        client.connection_made(near)
        return near, client


class Pipe(asyncio.Transport):
    """One end of a connection in memory; bytes arrive at the other end in order, at the loop's next turn."""

    peer: "Pipe"

    def __init__(self, loop: VirtualLoop, protocol: Any) -> None:
        super().__init__()
        self._loop, self._protocol = loop, protocol
        self._closing = self._paused = False
        self._held: list[bytes] = []

    def write(self, data: Any) -> None:
        if not self._closing:
            self._loop.call_soon(self.peer._arrive, bytes(data))

    def writelines(self, parts: Any) -> None:
        self.write(b"".join(parts))

    def _arrive(self, data: bytes) -> None:
        if self._closing:
            return
        if self._paused:
            self._held.append(data)
        else:
            self._protocol.data_received(data)

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False
        held, self._held = self._held, []
        for data in held:
            self._arrive(data)

    def is_reading(self) -> bool:
        return not self._paused

    def close(self) -> None:
        self._end()
        self._loop.call_soon(self.peer._end)

    abort = close

    def _end(self) -> None:
        if not self._closing:
            self._closing = True
            self._loop.call_soon(self._protocol.connection_lost, None)

    def is_closing(self) -> bool:
        return self._closing

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """No limit is ever reached."""

    def can_write_eof(self) -> bool:
        return False

    def set_protocol(self, protocol: Any) -> None:
        self._protocol = protocol

    def get_protocol(self) -> Any:
        return self._protocol


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main())
