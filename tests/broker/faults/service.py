"""`micro-trader run` itself through the same storms: the order log is its journal."""

import asyncio
import contextlib
import signal
import sqlite3
import sys
from collections import Counter

from tests.broker.faults.processes import PATIENCE_S, Pair
from tests.broker.faults.verdict import ENDS, Books, Json, check_account, read_log, tally_orders
from tests.broker.faults.weather import CALM

UNITS, MOST = 1000, 3000
CONFIG = f"""\
strategy = "random"
bar = "5s"
[risk]
units = {UNITS}
max_units = {MOST}
max_orders_per_minute = 0
allow_reverse = true
[model]
warmup_bars = 160
[api]
enabled = false
[oanda]
answer_s = 1.0
silence_s = 2.0
retry_first_s = 0.05
retry_longest_s = 0.5
reconcile_s = 1.0
doubt_s = 0.2
settle_s = 1.0
stop_patience_s = 0.2
"""
MORE_FILLS = 6


class Service(Pair):
    """An emulator and the service. One that has ended by itself is started again, as systemd does."""

    speed, storm_s, pause_s = 200, 45.0, 4.0

    async def open_client(self, *options: str) -> None:
        """Start the service from its journal."""
        (self.folder / "config.toml").write_text(CONFIG)
        self.environ |= {
            "OANDA_ENVIRONMENT": "custom",
            "OANDA_REST_URL": self.where["rest"],
            "OANDA_STREAM_URL": self.where["stream"],
            "OANDA_ACCOUNT": self.where["account"],
        }
        self.client = await self.start([sys.executable, "-m", "daemon", "run", "--mode", "paper", "--state", "run"])

    async def kill(self, process: asyncio.subprocess.Process | None, name: str) -> None:
        """Signal 9; a service that could not go on, say without its token, has ended with 1."""
        if process is not None and process.returncode is not None:
            self.kills[f"{name} ended with {process.returncode}"] += 1
            assert process.returncode == 1, (self.folder / "said.txt").read_text()[-3000:]
            return
        await super().kill(process, name)

    async def settle(self) -> None:
        """Let everything calm down, wait for it to trade on, and stop it in good order."""
        await self.tell(*CALM)
        await self.tell("halt", {"instrument": "EUR_USD", "halted": False})
        await self.kill(self.client, "client")
        await self.open_client()
        before = self._fills()
        async with asyncio.timeout(PATIENCE_S):
            while self._fills() < before + MORE_FILLS:  # noqa: ASYNC110 - another process trades
                await asyncio.sleep(0.2)
        assert self.client is not None
        self.client.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE_S):
            ended = await self.client.wait()
        assert ended == 0, (self.folder / "said.txt").read_text()[-3000:]

    def check(self) -> Counter[str]:
        """As far as the journal has read the log, it is right; orders of the last moment are left to the next start."""
        self.check_secrets()
        with contextlib.closing(sqlite3.connect(self.folder / "run" / "journal.db")) as db:
            cursor, state, orders = read_log(db)
            log: list[Json] = self.log()[:cursor]
            came = {said["clientExtensions"]["id"] for said in log if "clientExtensions" in said}
            ended = {name: end for name, end in orders.items() if end in ENDS or name in came}
            check_account(Books(cursor, state, ended, [], []), log, MOST)
            return tally_orders(db, log) + self.kills

    def _fills(self) -> int:
        return sum(said["type"] == "ORDER_FILL" for said in self.log())
