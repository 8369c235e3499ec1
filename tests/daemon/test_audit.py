"""The audit: what a daemon left on record folds again to the same, and whatever was changed shows."""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from broker.durable import connect
from broker.emulator import Emulator
from daemon.cli import main
from daemon.console import Ui
from daemon.events import Opened
from daemon.journal.chain import START, digest_of
from daemon.running import Daemon
from tests.daemon.journal.made_events import MORNING, write
from tests.daemon.wired import config_of, emulator, joined, over

TEXT = (
    'strategy = "random"\nbar = "5s"\n[model]\nwarmup_bars = 160\nallow_untrained = true\n'
    "[risk]\nstop_sigma = 3\nmax_orders_per_minute = 2\n"
)


@pytest.fixture
def ticks(tmp_path: Path) -> Path:
    """Two hours of quotes over a midnight."""
    path = tmp_path / "EUR_USD-synth.csv"
    assert main(["ticks", "synth", "ou", str(path), "--bars", "120", "--seed", "7"]) == 0
    head, *rows = path.read_text().splitlines()
    late = [row.replace(row[:13], "2020-01-06T23" if row[11:13] < "01" else "2020-01-07T00") for row in rows]
    path.write_text("\n".join([head, *sorted(late)]) + "\n")
    return path


def audit(state: Path, capsys: pytest.CaptureFixture[str], day: str = "") -> tuple[int, dict]:
    """Exit code and document."""
    capsys.readouterr()
    code = main(["audit", *filter(None, [day]), "--state", str(state), "--json"])
    out = capsys.readouterr().out
    return code, json.loads(out) if out else {}


async def test_a_daemons_days_fold_again(tmp_path: Path, ticks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each day without a difference, its decisions counted, and the same after a second start, which writes the day's
    folder anew from the journal; a decision that was changed, chain and all, is named."""
    state, file = tmp_path / "state", tmp_path / "config.toml"
    config = config_of(file, TEXT, state)
    written = []
    async with emulator([ticks], config) as (made, environ):
        for _ in range(2):
            daemon = Daemon(config, environ, lambda: config, Ui(json=True))
            living = asyncio.create_task(daemon.run())
            await asyncio.wait((living, asyncio.create_task(ready(daemon, made))), return_when=asyncio.FIRST_COMPLETED)
            daemon.stop()
            assert await living is False
            written.append([joined(state, name) for name in ("decisions.jsonl", "trades.csv", "orders.csv")])
    assert written[0] == written[1]
    decisions = 0
    for day in ("2020-01-06", "2020-01-07"):
        code, document = audit(state, capsys, day)
        assert (code, document["day"], document["difference"]) == (0, day, None)
        decisions += document["decisions"]
        assert document["events"] > document["quotes"] > 0
    assert decisions == written[0][0].count(b"\n") > 400
    assert [path.name for path in sorted((state / "runs").iterdir())] == ["2020-01-06", "2020-01-07"]

    changed = change_a_decision(state / "journal.db")
    code, document = audit(state, capsys, "2020-01-06")
    assert code == 1
    assert document["difference"].startswith(f"record {changed}: Decided.target is 5 on record")


async def ready(daemon: Daemon, made: Emulator) -> None:
    """Wait until a daemon is there and has heard all the quotes."""
    while not daemon.status():  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(0.02)
    await over(made)


def test_what_is_not_there_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No journal, and a day that it does not have: exit code 2."""
    assert audit(tmp_path, capsys)[0] == 2
    with closing(connect(tmp_path / "journal.db")) as db:
        write(db, [Opened(MORNING, "a")])
    for day in ("2019-01-01", "tomorrow"):
        assert main(["audit", day, "--state", str(tmp_path)]) == 2
        assert f"no day {day}" in capsys.readouterr().err
    code, document = audit(tmp_path, capsys)
    assert code == 1
    assert document["difference"] == "record 1: record 1 of the journal is damaged or missing"


def change_a_decision(path: Path) -> int:
    """Give a decision of the first day another target, and make the chain anew; the record's number."""
    with closing(sqlite3.connect(path)) as db:
        seqs = [row[0] for row in db.execute("SELECT seq FROM journal_records WHERE kind = 'Decided' ORDER BY seq")]
        chosen, before = seqs[5], START
        for seq, kind, body in db.execute("SELECT seq, kind, body FROM journal_records ORDER BY seq").fetchall():
            if seq == chosen:
                body = json.dumps({**json.loads(body), "target": 5}, sort_keys=True, separators=(",", ":")).encode()
            before = digest_of(before, seq, kind, body)
            db.execute("UPDATE journal_records SET body = ?, digest = ? WHERE seq = ?", (body, before, seq))
            db.execute("UPDATE journal_snapshots SET digest = ? WHERE seq = ?", (before, seq))
            db.execute("UPDATE journal_days SET before = ? WHERE first = ?", (before, seq + 1))
        db.commit()
    return chosen
