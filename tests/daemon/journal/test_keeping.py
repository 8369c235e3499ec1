"""A packed, pruned or copied journal says the same, and goes on."""

import os
import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Event

import pytest

from broker.durable import Inline, connect
from broker.errors import StorageFault
from broker.types import DAY
from daemon.events import Input, Opened, Output
from daemon.journal import Broken, DiskJournal, back_up, drop_some, latest, pack_some, resume
from daemon.journal.writing import HEAP
from tests.broker.oanda.rig import database
from tests.daemon.journal.made_events import MORNING, keep, read, texts, usual, write

DAYS = 3


def three_days(db: sqlite3.Connection) -> list[list[Input | Output]]:
    """A state and some quotes a day; the events of each."""
    disk = Inline(db)
    journal = DiskJournal(disk, disk.ask(resume).end)
    days = [usual(1500, MORNING + n * DAY) for n in range(DAYS)]
    for n, rows in enumerate(days):
        journal.remember({"day": n})
        with disk.together():
            for row in rows:
                keep(journal, row)
    return days


def size(db: sqlite3.Connection) -> int:
    """Bytes of records and chunks."""
    query = "SELECT (SELECT total(length(body)) FROM journal_{}) + (SELECT total(length(body)) FROM journal_{})"
    return int(db.execute(query.format("records", "chunks")).fetchone()[0])


def test_packed_days_say_the_same() -> None:
    """Closed days are packed, the open one is not; the chain holds, and a start finds the same end."""
    with closing(database()) as db:
        days = three_days(db)
        before, large = resume(db), size(db)
        rounds = 0
        while pack_some(db):
            rounds += 1
        assert rounds > 0
        assert db.execute("SELECT min(seq) FROM journal_records").fetchone() == (before.snapshot.seq + 1,)  # type: ignore[union-attr]
        assert size(db) < large
        assert resume(db) == before
        assert texts(read(db)) == texts([row for rows in days for row in rows])
        write(db, [Opened(MORNING + 3 * DAY, "b")])
        assert pack_some(db)
        assert len(read(db)) == sum(map(len, days)) + 1


def test_damage_in_a_packed_day_is_found() -> None:
    """A chunk that was changed or is missing breaks the chain where it stood; today goes on."""
    for damage in ("UPDATE journal_chunks SET body = substr(body, 3)", "DELETE FROM journal_chunks WHERE first = 1"):
        with closing(database()) as db:
            three_days(db)
            while pack_some(db):
                pass
            found = resume(db)
            db.execute(damage)
            with pytest.raises(Broken, match="record 1 "):
                read(db)
            assert resume(db) == found


@pytest.mark.parametrize("packing", [False, True])
def test_old_days_are_dropped(packing: bool) -> None:
    """What is kept is whole from its first day's state on; the latest day stays whatever is asked."""
    with closing(database()) as db:
        days = three_days(db)
        while packing and pack_some(db):
            pass
        while drop_some(db, 20_000 + 1):
            pass
        assert texts(read(db)) == texts([*days[1], *days[2]])
        assert latest(db, 0) is None
        first = db.execute("SELECT first FROM journal_days ORDER BY day").fetchone()[0]
        snapshot = latest(db, first - 1)
        assert snapshot is not None
        assert snapshot.tree == {"day": 1}
        while drop_some(db, 30_000):
            pass
        assert texts(read(db)) == texts(days[2])
        assert resume(db).snapshot is not None
        assert not drop_some(db, 30_000)


def test_an_empty_journal_has_nothing_to_pack_or_drop() -> None:
    """On the first day of all."""
    with closing(database()) as db:
        resume(db)
        assert (pack_some(db), drop_some(db, 30_000)) == (False, False)


def test_a_copy_is_whole(tmp_path: Path) -> None:
    """Made beside a writer in the middle of its work, of which it holds what was committed."""
    with closing(connect(tmp_path / "journal.db")) as db:
        days = three_days(db)
        db.execute("BEGIN IMMEDIATE")
        db.execute("DELETE FROM journal_records")
        back_up(tmp_path / "journal.db", tmp_path / "copies" / "journal.db")
        db.execute("ROLLBACK")
    target = tmp_path / "copies" / "journal.db"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert [path.name for path in target.parent.iterdir()] == ["journal.db"]
    with closing(sqlite3.connect(target)) as copy:
        assert texts(read(copy)) == texts([row for rows in days for row in rows])


def test_a_copy_ends_while_its_writer_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal is written to all day: the copy is of the moment at which it began, and does not begin anew."""
    monkeypatch.setattr("daemon.journal.keeping.PAGES", 16)
    ended, written = Event(), Event()
    with closing(connect(tmp_path / "journal.db")) as db:
        days = three_days(db)
        db.execute("CREATE TABLE much AS SELECT zeroblob(4000000) AS more")

    def write_on() -> None:
        with closing(sqlite3.connect(tmp_path / "journal.db", isolation_level=None)) as other:
            other.execute("PRAGMA synchronous = OFF")
            other.execute("CREATE TABLE more (n INTEGER)")
            for n in range(20_000):
                if ended.is_set():
                    return
                other.execute("INSERT INTO more VALUES (?)", (n,))
                written.set()
        raise AssertionError("the copy did not end")

    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(write_on)
        written.wait()
        back_up(tmp_path / "journal.db", tmp_path / "copy.db")
        ended.set()
        writer.result()
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert texts(read(copy)) == texts([row for rows in days for row in rows])


def test_a_copy_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """No file that looks like a copy."""
    with pytest.raises(StorageFault, match="can't be copied"):
        back_up(tmp_path / "none.db", tmp_path / "copy.db")
    assert list(tmp_path.iterdir()) == []


READER = """
import sqlite3, sys
from pathlib import Path
from broker.durable import connect
from daemon.journal import opened
def resident():
    return int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0]) * 1024
journal = {"opened": opened, "connect": connect}[sys.argv[1]](Path("journal.db"))
store = sqlite3.connect("store.db")
store.execute("PRAGMA cache_size = -16384")
before = resident()
store.execute("SELECT sum(length(body)) FROM t").fetchone()
print(resident() - before)
"""


def test_pages_are_kept_within_bounds(tmp_path: Path) -> None:
    """However many another connection of the process would keep, such as the store's: memory stays flat."""
    with closing(sqlite3.connect(tmp_path / "store.db")) as store:
        store.execute("CREATE TABLE t (body BLOB)")
        store.executemany("INSERT INTO t VALUES (zeroblob(3000))", [()] * 4000)
        store.commit()
    grown = {}
    for how in ("opened", "connect"):
        command = [sys.executable, "-c", READER, how]
        environ = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
        done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, check=True, timeout=240)
        grown[how] = int(done.stdout)
    assert grown["opened"] < 2 * HEAP < 12_000_000 < grown["connect"]
