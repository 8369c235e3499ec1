"""The relay: bytes unchanged both ways, ends handed on, the command's signals and exit code its own."""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from daemon.relay import HOME, serve

ROOT = Path(__file__).parents[2]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with all that was sent, once it was."""
    writer.write(await reader.read())
    await writer.drain()
    writer.close()


def port_of(server: asyncio.Server) -> int:
    """Where it listens."""
    port: int = server.sockets[0].getsockname()[1]
    return port


async def test_bytes_arrive_unchanged_and_ends_are_handed_on() -> None:
    """A far side that answers only at the end of what is sent gets that end, and its answer comes back whole."""
    async with await asyncio.start_server(echo, HOME, 0) as far, await serve(HOME, port_of(far), 0) as near:
        for size in (0, 1, 1_000_000):
            said = os.urandom(size)
            reader, writer = await asyncio.open_connection(HOME, port_of(near))
            writer.write(said)
            writer.write_eof()
            assert await reader.read() == said
            writer.close()


async def test_a_far_side_that_is_gone_is_a_lost_connection() -> None:
    """While it is away connections end; once it is back they are joined again."""
    async with await asyncio.start_server(echo, HOME, 0) as far:
        port = port_of(far)
    async with await serve(HOME, port, 0) as near:
        reader, writer = await asyncio.open_connection(HOME, port_of(near))
        with suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()
        async with await asyncio.start_server(echo, HOME, port):
            reader, writer = await asyncio.open_connection(HOME, port_of(near))
            writer.write(b"again")
            writer.write_eof()
            assert await reader.read() == b"again"
            writer.close()


async def relay(port: int, code: str) -> asyncio.subprocess.Process:
    """The relay as a process, around a Python command."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "daemon.relay", f"{HOME}:{port}", sys.executable, "-c", code),
        cwd=ROOT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def test_the_command_lives_and_ends_as_if_alone() -> None:
    """It hears SIGTERM and an operator's signals; its exit code, or 128 and the signal's number, is the relay's."""
    async with await asyncio.start_server(echo, HOME, 0) as free:
        port = port_of(free)
    waits = "import signal, sys; signal.signal(15, lambda *_: sys.exit(7)); print('up', flush=True); signal.pause()"
    for number in (signal.SIGTERM, signal.SIGRTMIN + 2):
        patient = await relay(port, waits.replace("15", str(int(number))))
        assert patient.stdout is not None
        assert await patient.stdout.readline() == b"up\n"
        patient.send_signal(number)
        assert await patient.wait() == 7
    killed = await relay(port, "import os; os.kill(os.getpid(), 9)")
    assert await killed.wait() == 128 + 9
