"""The life of a daemon as a process of its own: started, killed, started again, stopped, refused."""

import asyncio
import gc
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from broker.emulator import Emulator
from broker.errors import StorageFault
from daemon import running
from daemon.assembly import Body
from daemon.cli import main
from daemon.config import Config
from daemon.console import Ui
from daemon.journal.reading import marked
from daemon.memory import LAYOUT, Memory
from daemon.running import Daemon
from tests.daemon.wired import config_of, emulator, over

TEXT = """\
strategy = "random"
bar = "5s"
[model]
warmup_bars = 160
[oanda]
settle_s = 1.0
doubt_s = 0.2
reconcile_s = 1.0
retry_first_s = 0.1
"""


@pytest.fixture
def ticks(tmp_path: Path) -> Path:
    path = tmp_path / "EUR_USD-synth.csv"
    assert main(["ticks", "synth", "ou", str(path), "--bars", "120", "--seed", "7"]) == 0
    return path


async def start(folder: Path, environ: dict[str, str], *more: str) -> asyncio.subprocess.Process:
    """`run` as a process."""
    command = ["-m", "daemon", "run", "--config", str(folder / "config.toml"), "--state", str(folder / "state"), *more]
    root = str(Path(__file__).parents[2])
    with (folder / "log").open("ab") as log:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, *command),
            env=os.environ | {"MICRO_TRADER__API__PORT": "0"} | environ,
            cwd=root,
            stdout=log,
            stderr=log,
        )


async def until(met: Callable[[], object], what: str) -> None:
    async with asyncio.timeout(240):
        while not met():  # noqa: ASYNC110 - what is waited for is in another process
            await asyncio.sleep(0.01)
    assert met(), what


def fills(made: Emulator) -> int:
    return sum(said["type"] == "ORDER_FILL" for said in made.exchange.account.transactions)


def mapped(process: int) -> str:
    """The files that a process has loaded."""
    return Path(f"/proc/{process}/maps").read_text()


async def test_killed_and_started_again(tmp_path: Path, ticks: Path) -> None:
    """Kill -9 in the middle: the second start takes the account's word, doubles no order and trades on; systemd hears
    when it is ready and when it stops; SIGHUP reads the config; torch is never loaded; SIGTERM ends it well."""
    config = config_of(tmp_path / "config.toml", TEXT, tmp_path / "state")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        said: list[str] = []
        asyncio.get_running_loop().add_reader(manager, lambda: said.extend(manager.recv(4096).decode().splitlines()))
        async with emulator([ticks], config) as (made, environ):
            environ |= {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "600000"}
            first = await start(tmp_path, environ)
            await until(lambda: fills(made) > 20, "it trades")
            first.send_signal(signal.SIGKILL)
            await first.wait()
            killed_at = fills(made)
            assert said.count("READY=1") == 1
            second = await start(tmp_path, environ)
            await until(lambda: fills(made) > killed_at + 20, "it trades on")
            assert "torch" not in mapped(second.pid)
            second.send_signal(signal.SIGHUP)
            await over(made)
            await asyncio.sleep(0.7)
            second.send_signal(signal.SIGTERM)
            assert await second.wait() == 0
            account = made.exchange.account
            asyncio.get_running_loop().remove_reader(manager)
            created = [one for one in account.transactions if one["type"] == "MARKET_ORDER"]
    names = Counter(one.get("clientExtensions", {}).get("id", "") for one in created)
    assert all(name.startswith("mt-") and count == 1 for name, count in names.items())
    with closing(sqlite3.connect(tmp_path / "state" / "journal.db")) as journal:
        lane = marked(journal)["desk"]["session"]["lanes"]["EUR_USD"]
    held = sum(trade.units for trade in account.state.open.values())
    assert (lane["position"]["units"] if lane["position"] else 0) == held
    assert {"WATCHDOG=1", "RELOADING=1", "STOPPING=1"} <= set(said)
    assert said.count("READY=1") == 3
    days = sorted((tmp_path / "state" / "runs").iterdir())
    assert (days[-1] / "summary.json").exists()
    assert not [
        line for line in (tmp_path / "log").read_text().splitlines() if '"error"' in line or "Traceback" in line
    ]


async def test_asked_while_it_starts(tmp_path: Path, ticks: Path) -> None:
    """Its state is unknown until it has been opened, and a reload waits: systemd is told of it after the start."""
    config = config_of(tmp_path / "config.toml", TEXT, tmp_path / "state")
    asked: list[Config] = []

    def again() -> Config:
        assert daemon.status()["instruments"], "it has started"
        asked.append(config)
        return config

    async with emulator([ticks], config) as (_, environ):
        daemon = Daemon(config, environ, again, Ui(json=True))
        living = asyncio.create_task(daemon.run())
        await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGHUP)
        while not daemon.status():  # noqa: ASYNC110 - each turn of the loop is asked
            await asyncio.sleep(0)
        await until(lambda: asked, "it has read its config again")
        daemon.stop()
        assert await living is False


async def test_what_fails_while_it_leaves_is_told(tmp_path: Path, ticks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fails while a stop waits for its orders: the stop is not called a good one."""
    failed = asyncio.Event()

    async def failure(memory: Memory) -> None:
        await failed.wait()
        raise StorageFault("no space left")

    async def leave(body: Body, feeding: asyncio.Task[None], *, flatten: bool) -> None:
        failed.set()
        await asyncio.wait((feeding,))

    monkeypatch.setattr(Memory, "failure", failure)
    monkeypatch.setattr(running, "leave", leave)
    config = config_of(tmp_path / "config.toml", TEXT, tmp_path / "state")
    async with emulator([ticks], config) as (_, environ):
        daemon = Daemon(config, environ, lambda: config, Ui(json=True))
        living = asyncio.create_task(daemon.run())
        await until(lambda: daemon.status().get("decisions"), "it decides")
        daemon.stop()
        with pytest.raises(StorageFault, match="no space left"):
            await living


async def test_an_upgrade_keeps_the_state(tmp_path: Path, ticks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot of another layout is not folded from: a new run begins, and the operator's word still holds."""
    config = config_of(tmp_path / "config.toml", TEXT, tmp_path / "state")
    states: list[tuple[str, str]] = []
    async with emulator([ticks], config) as (_, environ):
        for layout in (LAYOUT, LAYOUT, LAYOUT + 1):
            monkeypatch.setattr("daemon.memory.LAYOUT", layout)
            daemon = Daemon(config, environ, lambda: config, Ui(json=True))
            living = asyncio.create_task(daemon.run())
            await until(daemon.status, "it runs")
            if not states:
                (tmp_path / "state" / "operator").write_text("halt\n")
                await until(lambda: daemon.status()["state"] == "halt", "it has been halted")  # noqa: B023 - at once
            states.append((daemon.status()["run"], daemon.status()["state"]))
            daemon.stop()
            assert await living is False
    assert {state for _, state in states} == {"halt"}
    runs = [run for run, _ in states]
    assert runs[0] == runs[1] != runs[2]


async def test_a_second_daemon_is_refused(tmp_path: Path, ticks: Path) -> None:
    """One state folder has one daemon: the second ends with 2 and says who is there."""
    config = config_of(tmp_path / "config.toml", TEXT, tmp_path / "state")
    async with emulator([ticks], config) as (_, environ):
        one = Daemon(config, environ, lambda: config, Ui(json=True))
        living = asyncio.create_task(one.run())
        await until(one.status, "it runs")
        other = await start(tmp_path, environ)
        assert await other.wait() == 2
        assert "in use by daemon" in (tmp_path / "log").read_text()
        one.stop()
        assert await living is False


async def test_a_custom_server_may_have_a_past(tmp_path: Path) -> None:
    """With warm_up on, candles from before the start warm up, by the server's clock: it decides at once."""
    path = tmp_path / "EUR_USD-synth.csv"
    assert main(["ticks", "synth", "ou", str(path), "--bars", "4000"]) == 0
    text = TEXT.replace('"5s"', '"1m"') + 'warm_up = "on"\n'
    config = config_of(tmp_path / "config.toml", text, tmp_path / "state")
    async with emulator([path], config, speed=120.0, past=300 * 6) as (_, environ):
        daemon = Daemon(config, environ, lambda: config, Ui(json=True))
        living = asyncio.create_task(daemon.run())
        await until(lambda: daemon.status().get("decisions"), "it decides")
        daemon.stop()
        assert await living is False


async def test_a_port_that_is_taken_is_one_clear_line(tmp_path: Path, ticks: Path) -> None:
    """Exit code 2, and which port, however deep in the daemon's tasks it was found."""
    config = config_of(tmp_path / "config.toml", TEXT, tmp_path / "state")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        async with emulator([ticks], config) as (_, environ):
            refused = await start(tmp_path, environ | {"MICRO_TRADER__API__PORT": str(port)})
            assert await refused.wait() == 2
    log = (tmp_path / "log").read_text()
    assert f"127.0.0.1:{port}: can't listen" in log
    assert "Traceback" not in log


async def test_a_stop_waits_for_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """What packs or copies may take long; a stop may not. What has failed by then is told."""
    monkeypatch.setattr(running, "JOBS_S", 0.01)
    packed = threading.Event()
    daemon = Daemon(Config(), {}, Config, Ui(json=True))
    daemon._aside(packed.wait)
    await daemon._let_jobs_end()
    assert not packed.is_set()
    packed.set()
    daemon._aside(lambda: int("no number"))
    monkeypatch.setattr(running, "JOBS_S", 60.0)
    with pytest.raises(ValueError, match="no number"):
        await daemon._let_jobs_end()


def test_the_end_waits_for_nobody(tmp_path: Path) -> None:
    """Once all is closed the process is gone, whatever a thread still does; what was said is said."""
    code = "import threading, time; from daemon.commands.run import leave\n"
    code += "threading.Thread(target=time.sleep, args=(10**6,)).start(); print('said'); leave()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=240)
    assert done.stdout == b"said\n"


def test_modules_are_no_matter_of_the_collector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has been loaded when the daemon begins is never looked through again: that would stop its event loop."""
    frozen: list[int] = []

    class Brief:
        def __init__(self, *_: object, **__: object) -> None:
            pass

        async def run(self) -> bool:
            frozen.append(gc.get_freeze_count())
            return True

    monkeypatch.setattr("daemon.commands.run.Daemon", Brief)
    (tmp_path / "config.toml").write_text(TEXT)
    try:
        assert main(["run", "--config", str(tmp_path / "config.toml"), "--state", str(tmp_path)]) == 130
    finally:
        gc.unfreeze()
    assert frozen[0] > 100_000


@pytest.mark.parametrize("key", ["stop_sigma", "max_daily_loss", "max_drawdown", "max_quote_age_s"])
def test_live_needs_its_limits(key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each of them: `run --mode live` without it ends with 2 before anything is asked of anybody."""
    given = {"stop_sigma": 30, "max_daily_loss": 100, "max_drawdown": 500, "max_quote_age_s": 10} | {key: 0}
    file = tmp_path / "config.toml"
    file.write_text("[risk]\n" + "".join(f"{name} = {value}\n" for name, value in given.items()))
    command = ["run", "--mode", "live", "--config", str(file), "--state", str(tmp_path / "state")]
    assert main(command) == 2
    assert f"risk.{key}" in capsys.readouterr().err
    assert not (tmp_path / "state").exists()


def test_without_an_account_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets come from the environment, and it says so."""
    monkeypatch.delenv("OANDA_TOKEN", raising=False)
    assert main(["run", "--state", str(tmp_path)]) == 2
