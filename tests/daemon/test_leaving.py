"""A stop decides nothing more, hears what becomes of the orders on their way, and closes what it is told to close."""

import asyncio
import csv
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from broker.emulator import Emulator
from daemon.cli import main
from daemon.console import Ui
from daemon.journal.reading import marked
from daemon.running import Daemon
from tests.daemon.test_running import TEXT, fills, until
from tests.daemon.wired import config_of, emulator

PATIENT = TEXT.replace("reconcile_s = 1.0", "reconcile_s = 60.0")


async def stopped(folder: Path, text: str, faults: dict[str, float], *, holding: bool) -> Emulator:
    """A daemon that is stopped right after a fill, with those faults in force; the emulator as it was left."""
    path = folder / "EUR_USD-synth.csv"
    assert main(["ticks", "synth", "ou", str(path), "--bars", "400", "--seed", "7"]) == 0
    config = config_of(folder / "config.toml", text, folder / "state")
    async with emulator([path], config, speed=600.0) as (made, environ):
        daemon = Daemon(config, environ, lambda: config, Ui(json=True))
        living = asyncio.create_task(daemon.run())
        await until(lambda: fills(made) > 2, "it trades")
        made.faults.change(faults)
        before = fills(made)
        await until(lambda: fills(made) > before and bool(made.exchange.account.state.open) is holding, "a fill")
        daemon.stop()
        assert await living is False
        return made


def left(state: Path) -> dict[str, Any]:
    """What the journal says last."""
    with closing(sqlite3.connect(state / "journal.db")) as journal:
        desk: dict[str, Any] = marked(journal)["desk"]
        open_orders = "SELECT count(*) FROM oanda_orders WHERE outcome IN ('sending', 'unknown', 'pending')"
        position = desk["session"]["lanes"]["EUR_USD"]["position"]
        return {
            "open": journal.execute(open_orders).fetchone()[0],
            "units": position["units"] if position else 0,
            "state": desk["state"],
        }


async def test_a_stop_hears_the_answers_that_are_late(tmp_path: Path) -> None:
    """The order was filled, its answer is on its way, the stream is silent: the journal knows before the end."""
    late = {"late": 1.0, "late_s": 0.3, "stall_transactions": 1.0}
    made = await stopped(tmp_path, PATIENT, late, holding=True)
    held = sum(trade.units for trade in made.exchange.account.state.open.values())
    assert left(tmp_path / "state") == {"open": 0, "units": held, "state": "resume"}


async def test_a_stop_closes_what_is_held_where_told_so(tmp_path: Path) -> None:
    """With flatten_on_stop nothing is held after the end, and the next start trades as if nobody had said anything."""
    made = await stopped(tmp_path, TEXT + "[risk]\nflatten_on_stop = true\n", {}, holding=True)
    assert not made.exchange.account.state.open
    assert left(tmp_path / "state") == {"open": 0, "units": 0, "state": "resume"}
    with next((tmp_path / "state" / "runs").glob("*/trades.csv")).open() as rows:
        assert list(csv.DictReader(rows))[-1]["exit_reason"] == "flatten"


async def test_without_it_a_stop_holds_on(tmp_path: Path) -> None:
    """A position outlives a stop by default: it has its stop at the broker."""
    made = await stopped(tmp_path, TEXT, {}, holding=True)
    held = sum(trade.units for trade in made.exchange.account.state.open.values())
    assert held
    assert left(tmp_path / "state")["units"] == held
