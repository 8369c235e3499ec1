"""A daemon killed at the worst moment, and one whose disk is full or damaged: as docs/journal.md says."""

import asyncio
import os
import signal
import sqlite3
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from daemon.cli import main
from tests.daemon.wired import config_of, emulator

TEXT = """\
strategy = "random"
bar = "5s"
[model]
warmup_bars = 160
allow_untrained = true
[oanda]
settle_s = 1.0
doubt_s = 0.2
retry_first_s = 0.1
[api]
enabled = false
"""
LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2)
"""
AT_THE_DOOR = """
import os, signal
from broker.oanda import OrderLog
real, left = OrderLog.durable, int(os.environ["ORDERS_LEFT"])
async def durable(self):
    global left
    await real(self)
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
OrderLog.durable = durable
"""
A_BUG = """
import os
from broker.oanda import Filled
from daemon.desk import Desk
from daemon.events import Told
real, left = Desk.apply, int(os.environ["FILLS_LEFT"])
def apply(self, event):
    global left
    real(self, event)
    left -= isinstance(event, Told) and isinstance(event.event, Filled)
    assert left >= 0, "a bug"
Desk.apply = apply
"""
RUN = "import sys; from daemon.cli import main; sys.exit(main(sys.argv[1:]))"


@pytest.fixture
def ticks(tmp_path: Path) -> Path:
    """Hours of quotes."""
    path = tmp_path / "EUR_USD-synth.csv"
    assert main(["ticks", "synth", "ou", str(path), "--bars", "200", "--seed", "7"]) == 0
    return path


async def start(
    folder: Path, environ: dict[str, str], code: str = RUN, *before: str, within: Sequence[str] = ()
) -> asyncio.subprocess.Process:
    """`run` as a process, started by a command if `within` names one; what it says goes to the file `log`."""
    options = ["--config", str(folder / "config.toml"), "--state", str(folder / "state")]
    with (folder / "log").open("ab") as log:
        return await asyncio.create_subprocess_exec(
            *(*within, sys.executable, "-c", code, *before, "run", *options),
            env=os.environ | environ,
            cwd=Path(__file__).parents[2],
            stdout=log,
            stderr=log,
        )


async def until(met: Callable[[], object]) -> None:
    """Wait for something in another process."""
    async with asyncio.timeout(90):
        while not met():  # noqa: ASYNC110 - there is no event
            await asyncio.sleep(0.02)


def decisions(folder: Path) -> int:
    """Decisions on record."""
    try:
        with closing(sqlite3.connect(f"{(folder / 'state' / 'journal.db').as_uri()}?mode=ro", uri=True)) as db:
            return int(db.execute("SELECT count(*) FROM journal_records WHERE kind = 'Decided'").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


def said(folder: Path) -> str:
    """What the daemons said."""
    return (folder / "log").read_text()


async def test_a_full_disk_ends_the_daemon_and_the_next_one_goes_on(tmp_path: Path, ticks: Path) -> None:
    """No room for the journal in the middle of trading: exit code 1 and the reason; with room again the fold agrees."""
    config = config_of(tmp_path / "config.toml", TEXT, tmp_path / "state")
    async with emulator([ticks], config) as (_, environ):
        full = await start(tmp_path, environ, LIMITED + RUN, str(400_000))
        assert await asyncio.wait_for(full.wait(), 90) == 1
        assert "journal.db: can't be written" in said(tmp_path) or "File too large" in said(tmp_path)
        before = decisions(tmp_path)
        again = await start(tmp_path, environ)
        await until(lambda: decisions(tmp_path) > before + 20)
        again.send_signal(signal.SIGTERM)
        assert await again.wait() == 0
    assert main(["audit", "--state", str(tmp_path / "state")]) == 0


async def test_a_damaged_end_is_cut_off_and_said(tmp_path: Path, ticks: Path) -> None:
    """After kill -9 a record is damaged: what was before it is folded, the rest put aside, said, and not used again."""
    config = config_of(tmp_path / "config.toml", TEXT, tmp_path / "state")
    async with emulator([ticks], config) as (made, environ):
        first = await start(tmp_path, environ)
        await until(lambda: decisions(tmp_path) > 60)
        first.kill()
        await first.wait()
        with closing(sqlite3.connect(tmp_path / "state" / "journal.db")) as db:
            (last,) = db.execute("SELECT max(seq) FROM journal_records").fetchone()
            query = "UPDATE journal_records SET body = zeroblob(length(body)) WHERE seq = ?"
            db.execute(query, (last - 40,))
            db.commit()
        before = decisions(tmp_path)
        second = await start(tmp_path, environ)
        await until(lambda: decisions(tmp_path) > before + 20)
        second.send_signal(signal.SIGTERM)
        assert await second.wait() == 0
        created = [one for one in made.exchange.account.transactions if one["type"] == "MARKET_ORDER"]
    assert "its last 41 records were cut off and put aside" in said(tmp_path)
    names = [one["clientExtensions"]["id"] for one in created]
    assert len(names) == len(set(names))
    assert main(["audit", "--state", str(tmp_path / "state")]) == 0


async def test_killed_between_journal_and_send(tmp_path: Path, ticks: Path) -> None:
    """The order is on record and never left: the next start finds that out, does not send it, and trades on."""
    config = config_of(tmp_path / "config.toml", TEXT, tmp_path / "state")
    async with emulator([ticks], config) as (made, environ):
        first = await start(tmp_path, environ | {"ORDERS_LEFT": "2"}, AT_THE_DOOR + RUN)
        assert await asyncio.wait_for(first.wait(), 90) == -signal.SIGKILL
        before = decisions(tmp_path)
        second = await start(tmp_path, environ)
        await until(lambda: decisions(tmp_path) > before + 60)
        second.send_signal(signal.SIGTERM)
        assert await second.wait() == 0
        transactions = made.exchange.account.transactions
        sent = [one["clientExtensions"]["id"] for one in transactions if one["type"] == "MARKET_ORDER"]
    with closing(sqlite3.connect(tmp_path / "state" / "journal.db")) as db:
        ended = dict(db.execute("SELECT id, detail FROM oanda_orders"))
    unsent = [name for name, detail in ended.items() if detail == "never_arrived"]
    assert len(unsent) == 1
    assert unsent[0] not in sent
    assert len(sent) == len(set(sent)) > 2
    assert main(["audit", "--state", str(tmp_path / "state")]) == 0


async def test_ended_by_a_bug_in_the_middle_of_an_input(tmp_path: Path, ticks: Path) -> None:
    """A fill half applied: it is not on record, nor what was heard while dying; the next start reads it again."""
    config = config_of(tmp_path / "config.toml", TEXT, tmp_path / "state")
    async with emulator([ticks], config) as (made, environ):
        first = await start(tmp_path, environ | {"FILLS_LEFT": "4"}, A_BUG + RUN)
        assert await asyncio.wait_for(first.wait(), 90) == 1
        assert "AssertionError: a bug" in said(tmp_path)
        before = decisions(tmp_path)
        second = await start(tmp_path, environ)
        await until(lambda: decisions(tmp_path) > before + 20)
        second.send_signal(signal.SIGTERM)
        assert await second.wait() == 0
        transactions = made.exchange.account.transactions
        filled = [
            one["orderID"] for one in transactions if one["type"] == "ORDER_FILL" and one["reason"][:6] == "MARKET"
        ]
        sent = {one["clientExtensions"]["id"] for one in transactions if one["id"] in filled}
    with closing(sqlite3.connect(tmp_path / "state" / "journal.db")) as db:
        cursor = db.execute("SELECT cursor FROM oanda_accounts").fetchone()[0]
        ended = {name for (name,) in db.execute("SELECT id FROM oanda_orders WHERE outcome = 'filled'")}
    late = {one["clientOrderID"] for one in transactions if one["type"] == "ORDER_FILL" and int(one["id"]) > cursor}
    assert sent - late <= ended <= sent
    assert main(["audit", "--state", str(tmp_path / "state")]) == 0


async def test_another_setting_begins_a_new_run(tmp_path: Path, ticks: Path) -> None:
    """Old records can't be folded under new rules: a new run, a new folder, and both parts of the day audit."""
    config = config_of(tmp_path / "config.toml", TEXT, tmp_path / "state")
    async with emulator([ticks], config) as (_, environ):
        for seed in (0, 1):
            environ["MICRO_TRADER__SEED"] = str(seed)
            before = decisions(tmp_path)
            daemon = await start(tmp_path, environ)
            await until(lambda before=before: decisions(tmp_path) > before + 20)
            daemon.kill()
            await daemon.wait()
    folders = sorted(path.name for path in (tmp_path / "state" / "runs").iterdir())
    assert len(folders) == 2
    assert folders[1] == f"{folders[0]}-02"
    assert main(["audit", "--state", str(tmp_path / "state")]) == 0


def test_a_folder_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    """Before anything is asked of the broker: one line, where."""
    (tmp_path / "state").write_text("a file where the folder should be")
    environ = {"OANDA_TOKEN": "x" * 20, "OANDA_ACCOUNT": "101-001-1234567-001"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environ.items():
            patch.setenv(name, value)
        assert main(["run", "--state", str(tmp_path / "state")]) == 1
