"""Runs a command beside a port of loopback that leads to another host: how a container reaches the emulator's.

    python -m daemon.relay emulator:8080 micro-trader run --mode paper

A token goes in the clear over loopback alone, so that the daemon refuses the emulator under any other address; and a
network that two containers share is lost to one when the other starts again. The name is looked up anew for each
connection. Signals go to the command; its exit code is the relay's.
"""

import asyncio
import signal
import sys
from contextlib import suppress

CHUNK = 1 << 16
HOME = "127.0.0.1"
COMMANDS = tuple(signal.SIGRTMIN + n for n in range(3))
PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, *COMMANDS)


async def serve(host: str, port: int, home: int) -> asyncio.Server:
    """Listen on the port `home` of loopback, and join each connection with one to `host`."""

    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(host, port)
        except OSError:
            writer.transport.abort()
            return
        ways = [asyncio.ensure_future(_carry(reader, far_writer)), asyncio.ensure_future(_carry(far_reader, writer))]
        try:
            await asyncio.wait(ways)
        finally:
            for way in ways:
                way.cancel()
            for end in (writer, far_writer):
                end.transport.abort()

    return await asyncio.start_server(join, HOME, home)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One way, until its end, which is handed on; a broken connection ends both ways."""
    try:
        while chunk := await reader.read(CHUNK):
            writer.write(chunk)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        writer.transport.abort()


async def run(target: str, command: list[str]) -> int:
    """Serve while the command runs; its exit code, as a shell tells it where a signal ended it."""
    host, _, port = target.rpartition(":")
    server = await serve(host, int(port), int(port))
    child = await asyncio.create_subprocess_exec(*command)
    loop = asyncio.get_running_loop()

    def hand_on(number: int) -> None:
        with suppress(ProcessLookupError):
            child.send_signal(number)

    for number in PASSED_ON:
        loop.add_signal_handler(number, hand_on, number)
    code = await child.wait()
    server.close()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(asyncio.run(run(sys.argv[1], sys.argv[2:])))
