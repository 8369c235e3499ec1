"""A machine whose clock jumps, or whose disk may not be written: the daemon as a process (docs/reliability.md)."""

import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from daemon.cli import main
from tests.daemon.test_faulty_disk import RUN, TEXT, decisions, said, start, until
from tests.daemon.wired import config_of, emulator, joined, over

HOUR_S, DAY_S = 3600, 86_400
JUMPING = """
import os, time
from pathlib import Path
shift, ns, s = Path(os.environ["CLOCK_SHIFT"]), time.time_ns, time.time
time.time_ns = lambda: ns() + int(shift.read_text()) * 10**9
time.time = lambda: s() + int(shift.read_text())
"""
READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'


def set_clock(folder: Path, seconds: int) -> None:
    """Move the clock of the daemons, in one step."""
    aside = folder / "shift.part"
    aside.write_text(str(seconds))
    aside.rename(folder / "shift")


async def test_a_clock_that_jumps_changes_no_decision(tmp_path: Path) -> None:
    """Back an hour, forward a day, and a restart between: time is what the quotes say. Decisions are those of a replay,
    no order goes twice, and the journal folds."""
    ticks = tmp_path / "EUR_USD-synth.csv"
    assert main(["ticks", "synth", "ou", str(ticks), "--bars", "200", "--seed", "7"]) == 0
    config = config_of(tmp_path / "config.toml", TEXT, tmp_path / "state")
    replayed = ["--out", str(tmp_path / "replay"), "--config", str(tmp_path / "config.toml"), "--json"]
    assert main(["replay", str(ticks), *replayed]) == 0
    set_clock(tmp_path, 0)
    async with emulator([ticks], config) as (made, environ):
        environ |= {"CLOCK_SHIFT": str(tmp_path / "shift")}
        daemon = await start(tmp_path, environ, JUMPING + RUN)
        for n, seconds in enumerate((-HOUR_S, DAY_S, -HOUR_S)):
            await until(lambda n=n: decisions(tmp_path) > 100 * (n + 1))
            set_clock(tmp_path, seconds)
        await over(made)
        daemon.send_signal(signal.SIGTERM)
        assert await daemon.wait() == 0
        orders = [one for one in made.exchange.account.transactions if one["type"] == "MARKET_ORDER"]
    assert joined(tmp_path / "state", "decisions.jsonl") == (tmp_path / "replay/decisions.jsonl").read_bytes()
    names = [one["clientExtensions"]["id"] for one in orders]
    assert len(names) == len(set(names)) > 10
    assert not [line for line in said(tmp_path).splitlines() if '"level": "error"' in line or "Traceback" in line]
    assert main(["audit", "--state", str(tmp_path / "state")]) == 0


@pytest.mark.parametrize("shift", [-HOUR_S, DAY_S])
async def test_a_start_after_the_clock_has_jumped(shift: int, tmp_path: Path) -> None:
    """Killed, the clock set, started: the state is folded, no lock is in the way, and it trades on."""
    ticks = tmp_path / "EUR_USD-synth.csv"
    assert main(["ticks", "synth", "ou", str(ticks), "--bars", "200", "--seed", "7"]) == 0
    config = config_of(tmp_path / "config.toml", TEXT, tmp_path / "state")
    set_clock(tmp_path, 0)
    async with emulator([ticks], config) as (made, environ):
        environ |= {"CLOCK_SHIFT": str(tmp_path / "shift")}
        first = await start(tmp_path, environ, JUMPING + RUN)
        await until(lambda: decisions(tmp_path) > 60)
        first.kill()
        await first.wait()
        before = decisions(tmp_path)
        set_clock(tmp_path, shift)
        second = await start(tmp_path, environ, JUMPING + RUN)
        await until(lambda: decisions(tmp_path) > before + 40)
        second.send_signal(signal.SIGTERM)
        assert await second.wait() == 0
        names = [
            one["clientExtensions"]["id"] for one in made.exchange.account.transactions if one["type"] == "MARKET_ORDER"
        ]
    assert len(names) == len(set(names)) > 3
    assert main(["audit", "--state", str(tmp_path / "state")]) == 0


def mounts(folder: Path) -> bool:
    """Whether a folder can be made read-only for one process here."""
    command = ["unshare", "-m", "sh", "-c", READ_ONLY, str(folder), "true"]
    return bool(shutil.which("unshare")) and subprocess.run(command, capture_output=True).returncode == 0


async def test_a_disk_that_may_only_be_read_is_refused(tmp_path: Path) -> None:
    """The state of before lies on a disk that was mounted read-only: one line says so, the code is 1, the broker is not
    asked for anything, and the state is what it was."""
    state = tmp_path / "state"
    state.mkdir()
    if not mounts(state):
        pytest.skip("mounts can't be made here")
    ticks = tmp_path / "EUR_USD-synth.csv"
    assert main(["ticks", "synth", "ou", str(ticks), "--bars", "200", "--seed", "7"]) == 0
    config = config_of(tmp_path / "config.toml", TEXT, state)
    async with emulator([ticks], config) as (made, environ):
        first = await start(tmp_path, environ)
        await until(lambda: decisions(tmp_path) > 20)
        first.send_signal(signal.SIGTERM)
        assert await first.wait() == 0
        kept = {path: path.read_bytes() for path in state.rglob("*") if path.is_file()}
        count = len(made.exchange.account.transactions)
        wrapped = ["unshare", "-m", "sh", "-c", READ_ONLY, str(state)]
        second = await start(tmp_path, environ, RUN, within=wrapped)
        assert await second.wait() == 1
        assert len(made.exchange.account.transactions) == count
    last = said(tmp_path).strip().splitlines()[-1]
    assert str(state) in last
    assert "Traceback" not in said(tmp_path)
    assert {path: path.read_bytes() for path in state.rglob("*") if path.is_file()} == kept
