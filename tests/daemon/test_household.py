"""What keeps a daemon company: its API over a real service, hot swaps under ticks, jobs that learn what it recorded."""

import asyncio
import json
import os
import shutil
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from broker.emulator import Emulator
from daemon.assembly import why_not
from daemon.cli import main
from daemon.commands.control import ABOUT
from daemon.config import Config
from daemon.config.reading import KEYS
from daemon.household import TOLD
from daemon.memory import RULING
from daemon.models import BUNDLED, Chosen
from daemon.operator import SIGNALS
from daemon.school import training_files
from daemon.web.address import address
from daemon.web.routes import COMMANDS, V1
from strategy.model import load
from tests.daemon.test_running import until
from tests.daemon.wired import config_of, emulator
from training.registry import Registry

TEXT = """\
strategy = "muzero"
bar = "5s"
[model]
warmup_bars = 160
allow_untrained = true
simulations = 4
[oanda]
settle_s = 1.0
reconcile_s = 1.0
retry_first_s = 0.1
"""


@dataclass
class Running:
    """A daemon of its own process over an emulator that plays fast."""

    folder: Path
    process: asyncio.subprocess.Process
    made: Emulator
    config: Config

    async def command(self, *words: str, code: int = 0) -> Any:
        """What a command of the program says that talks to it."""
        state = str(self.folder / "state")
        done = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "daemon", *words, "--state", state, "--json"),
            cwd=Path(__file__).parents[2],
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await done.communicate()
        assert done.returncode == code, err.decode()
        return json.loads(out) if out else err.decode()

    async def asked(self, path: str) -> str:
        """What its API answers."""
        host, port, token = await asyncio.to_thread(address, self.folder / "state")
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://{host}:{port}{path}", headers=headers) as answer,
        ):
            return await answer.text()

    async def view(self, name: str) -> Any:
        """A document of the API."""
        return json.loads(await self.asked(f"{V1}/{name}"))

    async def metrics(self) -> dict[str, float]:
        """All metrics of one moment, as Prometheus would read them."""
        lines = [line.rpartition(" ") for line in (await self.asked("/metrics")).splitlines() if line[0] != "#"]
        return {name.removeprefix("micro_trader_"): float(value) for name, _, value in lines}

    async def metric(self, name: str) -> float:
        """One of them."""
        return (await self.metrics())[name]

    def decisions(self) -> list[dict[str, Any]]:
        """The decision logs, as far as they are written."""
        lines = [
            line for path in sorted(self.folder.rglob("decisions.jsonl")) for line in path.read_text().splitlines()
        ]
        return [json.loads(line) for line in lines if line.endswith("}")]


@asynccontextmanager
async def running(folder: Path, text: str = TEXT, speed: float = 120.0) -> AsyncIterator[Running]:
    """Start it, and stop it in the end."""
    ticks = folder / "EUR_USD-synth.csv"
    assert main(["ticks", "synth", "ou", str(ticks), "--bars", "600", "--seed", "7"]) == 0
    config = config_of(folder / "config.toml", text, folder / "state")
    async with emulator([ticks], config, speed) as (made, environ):
        command = ["run", "--config", str(folder / "config.toml"), "--state", str(folder / "state")]
        with (folder / "log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "daemon", *command),
                env=os.environ | {"MICRO_TRADER__API__PORT": "0"} | environ,
                cwd=Path(__file__).parents[2],
                stdout=log,
                stderr=log,
            )
        try:
            await until((folder / "state" / "api.address").exists, "its API stands")
            yield Running(folder, process, made, config)
        finally:
            if process.returncode is None:
                process.terminate()
            code = await process.wait()
        assert code == 0, (folder / "log").read_text()[-3000:]
    assert "Traceback" not in (folder / "log").read_text()


def two_models(state: Path) -> list[str]:
    """Two models in a registry, as a trainer leaves them: the bundled one, and one whose normaliser differs."""
    registry = Registry(state / "models", "test", lambda: 0)
    files = {path.name: path.read_bytes() for path in BUNDLED.iterdir()}
    first = registry.folders.add(files)
    manifest = json.loads(files["manifest.json"])
    manifest["metrics"] = {"made": "for a test"}
    model_module = sys.modules["strategy.model"]
    weights = {name: content for name, content in files.items() if name != "manifest.json"}
    second = registry.folders.add({**weights, "manifest.json": model_module.render(manifest, weights)})
    return [first, second]


def operators(folder: Path) -> list[dict[str, Any]]:
    """What operators said, as the journal has it."""
    with closing(sqlite3.connect(f"file:{folder / 'state' / 'journal.db'}?mode=ro", uri=True)) as journal:
        rows = journal.execute("SELECT body FROM journal_records WHERE kind = 'Operator' ORDER BY seq").fetchall()
    return [json.loads(body) for (body,) in rows]


async def test_what_an_operator_says_is_done_and_on_record(tmp_path: Path) -> None:
    """Pause vetoes entries until resume; each command, of the API, a signal or a file, is in the journal with who and
    why; stop ends the daemon."""
    async with running(tmp_path) as it:
        await until(lambda: len(it.decisions()) > 5, "it decides")
        answer = await it.command("pause", "--reason", "lunch")
        assert (answer["command"], answer["state"]) == ("pause", "pause")
        assert (await it.command("status"))["barred"] == {"operator": "paused"}
        count = len(it.decisions())
        await until(lambda: len(it.decisions()) > count + 40, "it goes on")
        wanted = [row for row in it.decisions()[count + 2 :] if row["action"] in ("BUY", "SELL")]
        assert {row["veto"] for row in wanted} <= {"paused"}
        assert (await it.command("resume"))["state"] == "resume"
        assert await it.metric('ticks_total{instrument="EUR_USD"}') > 40
        assert "no model" in await it.command("swap", "ffffffff", code=2)
        assert "already" not in await it.command("reload")
        for n, number in enumerate(SIGNALS):
            it.process.send_signal(number)
            await until(lambda n=n: len(operators(tmp_path)) == 3 + n, "the signal is on record")
        (tmp_path / "state" / "operator").write_text("reduce bank holiday\n")
        await until(lambda: len(operators(tmp_path)) == 3 + len(SIGNALS), "the file is on record")
        assert (await it.command("status"))["barred"] == {"operator": "reducing"}
        await it.command("stop")
        async with asyncio.timeout(5):
            await it.process.wait()
    said = [(row["command"], row["who"], row["reason"]) for row in operators(tmp_path)]
    assert said[0][::2] == ("pause", "lunch")
    assert said[2:-1] == [(command, "signal", f"signal {int(number)}") for number, command in SIGNALS.items()]
    assert said[-1] == ("reduce", "file", "bank holiday")
    assert "no daemon runs here" in await it.command("status", code=2)


async def test_models_are_swapped_between_decisions(tmp_path: Path) -> None:
    """Each decision is of one model, the order of the log is that of the swaps, and no bar is missed meanwhile; what is
    damaged is refused while the old one decides on."""
    keys = two_models(tmp_path / "state")
    async with running(tmp_path) as it:
        await until(lambda: len(it.decisions()) > 3, "it decides")
        for n in range(6):
            assert (await it.command("swap", keys[n % 2]))["version"] == keys[n % 2]
            count = len(it.decisions())
            await until(lambda count=count: len(it.decisions()) > count + 3, "it goes on")
        shutil.copy(tmp_path / "state/models" / keys[0] / "manifest.json", tmp_path / "state/models" / keys[0] / "x")
        (tmp_path / "state/models" / keys[0] / "weights.safetensors").write_bytes(b"\0" * 100)
        assert "weights" in await it.command("swap", keys[0], code=1)
        status = await it.command("status")
        assert status["model"] == {"version": load(tmp_path / "state/models" / keys[1]).name, "probation": True}
        rows = it.decisions()
    swaps = [n for n in range(1, len(rows)) if rows[n]["model"] != rows[n - 1]["model"]]
    assert 5 <= len(swaps) <= 6
    times = [row["time"] for row in rows]
    assert [row["seq"] for row in rows] == list(range(len(rows)))
    assert times == sorted(set(times))


def test_a_model_that_was_never_promoted_only_looks_on(tmp_path: Path) -> None:
    """Unless it is allowed: no incumbent is a state of its own."""
    config = config_of(tmp_path / "config.toml", TEXT.replace("allow_untrained = true\n", ""), tmp_path)
    assert why_not(Chosen(BUNDLED, load(BUNDLED)), config) != ""
    allowed = config_of(tmp_path / "config.toml", TEXT, tmp_path)
    assert why_not(Chosen(BUNDLED, load(BUNDLED)), allowed) == ""


def test_every_command_is_there() -> None:
    """What is told has a kind that people can ask for; each route has its command; each ruling section is a key."""
    assert set(TOLD.values()) == {"model", "job", "summary", "halt"}
    assert set(ABOUT) == {"status", *COMMANDS}
    assert {key.partition(".")[0] for key in KEYS} >= set(RULING)


def test_training_leaves_the_latest_days(tmp_path: Path) -> None:
    """A quarter of the recorded days, rounded up, is for validation; a window takes the latest of the rest."""
    for day in range(1, 11):
        (tmp_path / f"EUR_USD-2026-01-{day:02}.oanda.jsonl.zst").write_bytes(b"")
    (tmp_path / "EUR_USD-2026-01-11.oanda.jsonl").write_bytes(b"")
    (tmp_path / "USD_JPY-2026-01-01.oanda.jsonl.zst").write_bytes(b"")
    config = config_of(tmp_path / "config.toml", "[schedule]\nwindow_days = 3\n", tmp_path)
    chosen = training_files(tmp_path, config)
    assert [path.name[8:18] for path in chosen] == ["2026-01-05", "2026-01-06", "2026-01-07"]
