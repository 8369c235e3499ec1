"""Emulator and client as processes, over sockets; both killed with signal 9 at random instants."""

import asyncio
import contextlib
import json
import os
import sqlite3
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from pathlib import Path
from random import Random

import aiohttp

from broker.rfc3339 import rfc3339
from tests.broker.faults.client import WAITS
from tests.broker.faults.trader import LIMIT
from tests.broker.faults.verdict import Json, check_books, read_books, tally
from tests.broker.faults.weather import CALM, gust
from tests.broker.faults.world import walk

ROOT = Path(__file__).parents[3]
TOKEN = "t0ken-0f-killed-processes"
PATIENCE_S, LATENESS_S = 90.0, 1.0


class Pair:
    """An emulator and a client.

    Args:
        folder: for their files.

    Attributes:
        speed: emulated over wall time. storm_s, pause_s: how long the storm is, and the longest pause in it.
    """

    speed, storm_s, pause_s = 20, 8.0, 1.0

    def __init__(self, seed: int, folder: Path) -> None:
        self.seed, self.folder, self.dice = seed, folder, Random(seed)
        self.environ = {**os.environ, "PYTHONPATH": str(ROOT), "OANDA_TOKEN": TOKEN}
        self._lives = 0
        self._shown: set[str] = set()
        self.kills: Counter[str] = Counter()
        self._emulator: Process | None = None
        self.client: Process | None = None
        self.where: Json = {"rest": "http://127.0.0.1:0"}
        quotes = walk(seed)
        rows = zip(quotes.time.tolist(), quotes.bid.tolist(), quotes.ask.tolist(), strict=True)
        lines = [f"{rfc3339(time)},{bid / 1e5:.5f},{ask / 1e5:.5f}\n" for time, bid, ask in rows]
        (folder / "EUR_USD-walk.csv").write_text("time,bid,ask\n" + "".join(lines))

    async def open_emulator(self) -> None:
        """Start the emulator, on the port that it had."""
        port = self.where["rest"].rpartition(":")[2]
        command = [sys.executable, "-m", "daemon", "emulator", "--ticks", "EUR_USD-walk.csv", "--state", "state.db"]
        options = ["--port", port, "--speed", f"{self.speed}x", "--loop", "--faults", f"seed={self.seed}"]
        self._emulator = await self.start([*command, *options])
        assert self._emulator.stdout is not None
        self.where = json.loads(await self._emulator.stdout.readline())

    async def open_client(self, *options: str) -> None:
        """Start the client from its order log."""
        self._lives += 1
        life = f"{self.seed}-{self._lives}"
        command = [sys.executable, "-m", "tests.broker.faults.client", "client.db", self.where["rest"], life, *options]
        self.client = await self.start(command)

    async def start(self, command: list[str]) -> Process:
        """A process of the pair, in its folder."""
        with (self.folder / "said.txt").open("ab") as said:
            process = await asyncio.create_subprocess_exec(
                *command, cwd=self.folder, env=self.environ, stdout=PIPE, stderr=said
            )
        self._shown |= _shown_in_ps(process)
        return process

    async def kill(self, process: Process | None, name: str) -> None:
        """Signal 9."""
        if process is not None:
            self.kills[f"{name} killed"] += 1
            assert process.returncode is None, (self.folder / "said.txt").read_text()
            process.kill()
            await process.wait()

    async def tell(self, operation: str, body: Json) -> None:
        """Use the control plane."""
        async with aiohttp.ClientSession() as session:
            url = f"{self.where['control']}/{operation}"
            async with session.post(url, json=body) as answer:
                assert answer.status == 200, await answer.text()

    async def storm(self) -> None:
        """Let them trade through faults and kills."""
        await self.open_emulator()
        await self.open_client()
        loop = asyncio.get_running_loop()
        over = loop.time() + self.storm_s
        while loop.time() < over:
            await asyncio.sleep(self.dice.uniform(0.0, self.pause_s))
            match self.dice.randrange(10):
                case 0:
                    await self.kill(self.client, "client")
                    await self.open_client()
                case 1:
                    await self.kill(self._emulator, "emulator")
                    await self.open_emulator()
                case _:
                    await self.tell(*gust(self.dice, 1 / self.speed))

    async def settle(self) -> None:
        """Let everything calm down, and the client show that it trades on."""
        await self.tell(*CALM)
        await self.tell("halt", {"instrument": "EUR_USD", "halted": False})
        await self.kill(self.client, "client")
        await self.open_client("--settle")
        assert self.client is not None
        async with asyncio.timeout(PATIENCE_S):
            ended = await self.client.wait()
        assert ended == 0, (self.folder / "said.txt").read_text()

    async def close(self) -> None:
        """End both."""
        for process in (self.client, self._emulator):
            if process is not None and process.returncode is None:
                process.kill()
                await process.wait()

    def log(self) -> list[Json]:
        """The emulator's transactions."""
        with contextlib.closing(sqlite3.connect(self.folder / "state.db")) as db:
            return [json.loads(row[0]) for row in db.execute("SELECT body FROM transactions ORDER BY id")]

    def check_secrets(self) -> None:
        """The token is neither in `ps` nor in any file that was left."""
        assert not any(TOKEN in said for said in self._shown), "the token is in ps"
        for path in self.folder.rglob("*"):
            assert not path.is_file() or TOKEN.encode() not in path.read_bytes(), f"the token is in {path.name}"

    def check(self) -> Counter[str]:
        """The books are right, and nobody wrote the token down; what the run was about."""
        self.check_secrets()
        log = self.log()
        with contextlib.closing(sqlite3.connect(self.folder / "client.db")) as db:
            check_books(read_books(db), log, LIMIT, WAITS.silence + LATENESS_S)
            return tally(db, log) + self.kills


def _shown_in_ps(process: Process) -> set[str]:
    """What `ps` shows of a process, where there is such a thing."""
    path = Path(f"/proc/{process.pid}/cmdline")
    return {path.read_text()} if path.exists() else set()


async def killing(pair: Pair) -> Counter[str]:
    """One run, and what it was about.

    Raises:
        AssertionError: the books are wrong. TimeoutError: it did not settle.
    """
    try:
        await pair.storm()
        await pair.settle()
        return pair.check()
    finally:
        await pair.close()
