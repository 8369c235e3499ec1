"""Restarted with other bars or instruments, as a process: the account's losses and the operator's word still hold."""

import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from broker.emulator import Emulator
from daemon.cli import main
from daemon.journal.reading import marked
from tests.daemon.test_faulty_disk import TEXT, decisions, said, start, until
from tests.daemon.wired import config_of, emulator


def state(folder: Path) -> Any:
    """What the daemon has marked lately of its session; {} before it has."""
    try:
        with closing(sqlite3.connect(f"{(folder / 'state' / 'journal.db').as_uri()}?mode=ro", uri=True)) as db:
            return (marked(db) or {}).get("desk", {}).get("session", {})
    except sqlite3.OperationalError:
        return {}


def kept(folder: Path, met: Callable[[Any], object]) -> Callable[[], object]:
    """Whether what is marked is so."""
    return lambda: (known := state(folder)) and met(known)


def held(made: Emulator, name: str) -> int:
    """Units that the account holds."""
    return sum(trade.units for trade in made.exchange.account.state.open.values() if trade.instrument == name)


async def test_losses_and_a_halt_outlive_another_bar(tmp_path: Path) -> None:
    """The drawdown limit is hit, the operator halts, kill -9, a start with longer bars: the same peak and limit, and
    nothing is entered."""
    ticks = tmp_path / "EUR_USD-synth.csv"
    assert main(["ticks", "synth", "ou", str(ticks), "--bars", "500", "--seed", "7"]) == 0
    config = config_of(tmp_path / "config.toml", f"{TEXT}[risk]\nmax_drawdown = 1.5\n", tmp_path / "state")
    async with emulator([ticks], config) as (made, environ):
        first = await start(tmp_path, environ)
        await until(kept(tmp_path, lambda known: known["risk"]["tripped"] == "drawdown"))
        (tmp_path / "state" / "operator").write_text("halt enough for today\n")
        await until(kept(tmp_path, lambda known: known["halted"]))
        first.kill()
        await first.wait()
        before, count = state(tmp_path)["risk"], decisions(tmp_path)
        orders = sum(one["type"] == "MARKET_ORDER" for one in made.exchange.account.transactions)
        second = await start(tmp_path, environ | {"MICRO_TRADER__BAR": "20s"})
        await until(lambda: decisions(tmp_path) > count + 20)
        second.send_signal(signal.SIGTERM)
        assert await second.wait() == 0
        assert sum(one["type"] == "MARKET_ORDER" for one in made.exchange.account.transactions) == orders
    after = state(tmp_path)
    assert (after["halted"], after["risk"]["tripped"]) == (True, "drawdown")
    assert after["risk"]["peak"] == before["peak"]
    assert ["operator", "", "halted"] in after["risk"]["barred"]
    rows = [
        line for path in (tmp_path / "state/runs").rglob("decisions.jsonl") for line in path.read_text().splitlines()
    ]
    assert sum('"veto":"halted"' in row.replace(": ", ":") for row in rows) > 3
    assert main(["audit", "--state", str(tmp_path / "state")]) == 0


async def test_what_is_no_longer_traded_is_told_and_left_alone(tmp_path: Path) -> None:
    """A position is open in a pair that the next start does not trade: the account keeps it, its loss still counts, and
    a warning says what nobody looks after."""
    pairs = ("EUR_USD", "GBP_USD")
    ticks = [tmp_path / f"{pair}-synth.csv" for pair in pairs]
    for n, path in enumerate(ticks):
        assert main(["ticks", "synth", "ou", str(path), "--bars", "1500", "--seed", str(7 + n)]) == 0
    text = f"instruments = {list(pairs)}\n".replace("'", '"') + TEXT
    config = config_of(tmp_path / "config.toml", text, tmp_path / "state")
    async with emulator(ticks, config) as (made, environ):
        first = await start(tmp_path, environ)
        for _ in range(20):
            await until(lambda: held(made, "GBP_USD"))
            (tmp_path / "state" / "operator").write_text("halt\n")
            await until(kept(tmp_path, lambda known: known["halted"]))
            if held(made, "GBP_USD"):
                break
            (tmp_path / "state" / "operator").write_text("resume\n")
            await until(kept(tmp_path, lambda known: not known["halted"]))
        units = held(made, "GBP_USD")
        assert units
        first.kill()
        await first.wait()
        before = state(tmp_path)["risk"]
        (tmp_path / "config.toml").write_text(text.replace(', "GBP_USD"', ""))
        count = decisions(tmp_path)
        second = await start(tmp_path, environ)
        await until(lambda: decisions(tmp_path) > count + 20)
        second.send_signal(signal.SIGTERM)
        assert await second.wait() == 0
        assert held(made, "GBP_USD") == units
    after = state(tmp_path)
    assert list(after["lanes"]) == ["EUR_USD"]
    assert after["risk"]["open"]["GBP_USD"] == before["open"]["GBP_USD"]
    assert after["halted"]
    warned = [line for line in said(tmp_path).splitlines() if '"unattended"' in line and '"warning"' in line]
    assert len(warned) == 1
    assert "GBP_USD" in warned[0]
    assert str(units) in warned[0]
