"""The chain: nothing in the journal changes unnoticed, and whatever is cut off leaves a whole beginning."""

import sqlite3
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.durable import Inline
from broker.types import DAY
from daemon.events import Barred, Beat, Input, Opened, Output, Quoted
from daemon.journal import Broken, DiskJournal, events, marked, resume
from daemon.journal.chain import Record, packed, records, unpacked
from daemon.journal.writing import GROUP
from tests.broker.oanda.rig import database
from tests.daemon.journal.made_events import ANY, MORNING, read, texts, usual, write

RUN = st.lists(ANY, max_size=30).map(lambda rows: [Opened(MORNING, "a"), *rows])


@given(rows=RUN)
def test_all_that_was_written_is_read(rows: list[Input | Output]) -> None:
    """In order, each once."""
    with closing(database()) as db:
        write(db, rows)
        assert texts(read(db)) == texts(rows)


@given(rows=RUN, cuts=st.lists(st.integers(1, 10), max_size=5))
def test_restarts_do_not_show(rows: list[Input | Output], cuts: list[int]) -> None:
    """A journal written by several processes, one after the other, reads like that of one."""
    with closing(database()) as db:
        rest = rows
        for cut in cuts:
            found = write(db, rest[:cut])
            assert (found.cut, found.snapshot) == (0, None)
            rest = rest[cut:]
        write(db, rest)
        assert texts(read(db)) == texts(rows)


@settings(max_examples=60)
@given(rows=RUN, data=st.data())
def test_a_flipped_byte_is_found_and_cut_off(rows: list[Input | Output], data: st.DataObject) -> None:
    """Whatever byte of whatever record changes: reading stops there, and a start keeps what was before, said aloud."""
    with closing(database()) as db:
        write(db, rows)
        stored = [Record._make(row) for row in db.execute("SELECT * FROM journal_records ORDER BY seq")]
        record = data.draw(st.sampled_from(stored))
        column = data.draw(st.sampled_from(["kind", "body", "digest"]))
        before = getattr(record, column)
        raw = bytearray(before.encode() if column == "kind" else before)
        at, flip = data.draw(st.integers(0, len(raw) - 1)), data.draw(st.integers(1, 127))
        raw[at] ^= flip
        try:
            after = bytes(raw).decode() if column == "kind" else bytes(raw)
        except UnicodeDecodeError:
            return
        db.execute(f"UPDATE journal_records SET {column} = ? WHERE seq = ?", (after, record.seq))
        with pytest.raises(Broken) as broken:
            read(db)
        assert broken.value.seq == record.seq
        found = write(db, [Opened(MORNING, "b")])
        assert found.cut == len(stored) - record.seq + 1
        kept = read(db)
        assert texts(kept[:-1]) == texts(rows[: len(kept) - 1])
        assert db.execute("SELECT count(*) FROM journal_cut").fetchone() == (found.cut,)


@settings(max_examples=60)
@given(rows=RUN, gone=st.integers(0, 40))
def test_any_cut_of_the_tail_leaves_a_beginning(rows: list[Input | Output], gone: int) -> None:
    """Records lost at the end leave whole events from the start on, and the journal goes on behind them."""
    with closing(database()) as db:
        write(db, rows)
        last = db.execute("SELECT max(seq) FROM journal_records").fetchone()[0]
        db.execute("DELETE FROM journal_records WHERE seq > ?", (last - gone,))
        db.execute("DELETE FROM journal_days WHERE first > ?", (last - gone,))
        found = write(db, [Opened(MORNING, "b")])
        kept = read(db)
        assert found.cut == 0
        assert kept[-1] == Opened(MORNING, "b")
        assert texts(kept[:-1]) == texts(rows[: len(kept) - 1])


def test_a_missing_record_is_found() -> None:
    """A hole is as bad as a change."""
    with closing(database()) as db:
        write(db, [Opened(MORNING, str(n)) for n in range(9)])
        db.execute("DELETE FROM journal_records WHERE seq = 4")
        with pytest.raises(Broken, match="record 4 "):
            read(db)
        assert resume(db).cut == 5
        assert len(read(db)) == 3


def test_long_runs_of_quotes_are_split() -> None:
    """A record of quotes has an end, or each commit would write all of them again."""
    rows = usual(3 * GROUP + 5)
    with closing(database()) as db:
        write(db, rows)
        assert [record.kind for record in records(db, 1)] == ["Opened", *["quotes"] * 4]
        assert read(db) == rows


def test_days_begin_where_a_run_opens_in_them() -> None:
    """A day's records are those from its first opening on; a clock that steps back opens none."""
    rows = [
        Opened(MORNING, "a"),
        Beat(1),
        Opened(MORNING + DAY, "b"),
        Opened(MORNING - DAY, "c"),
        Opened(MORNING + 2 * DAY, "d"),
    ]
    with closing(database()) as db:
        write(db, rows)
        days = db.execute("SELECT day, first, before FROM journal_days ORDER BY day").fetchall()
        assert [(day - 20_000, first) for day, first, _ in days] == [(0, 1), (1, 3), (2, 5)]
        for _, first, before in days:
            assert [seq for seq, _ in events(db, first, before)] == list(range(first, 6))


def test_a_day_that_nothing_has_told_gets_its_name() -> None:
    """A first start knows no time before the first price: what was kept till then belongs to that price's day."""
    with closing(database()) as db:
        write(db, [Opened(0, "a"), Barred(0, "stream", "stale"), Opened(MORNING, "a")])
        write(db, [Opened(MORNING + 5, "a")])
        assert db.execute("SELECT day, first FROM journal_days").fetchall() == [(20_000, 1)]


def test_a_start_goes_on_from_the_latest_whole_snapshot() -> None:
    """What is behind it is held to the chain; a damaged snapshot is passed over for the one before."""
    with closing(database()) as db:
        disk = Inline(db)
        journal = DiskJournal(disk, disk.ask(resume).end)
        for n in range(3):
            journal.remember({"n": n, "array": np.arange(n)})
            journal.take(Opened(MORNING + n * DAY, "a"))
            journal.take(Quoted("EUR_USD", MORNING, 1, 2))
        seqs = [row[0] for row in db.execute("SELECT seq FROM journal_snapshots ORDER BY seq")]
        assert seqs == [0, 2, 4]
        for n in (2, 1, 0):
            found = resume(db)
            assert found.snapshot is not None
            assert (found.snapshot.seq, found.snapshot.tree["n"], found.end.seq, found.cut) == (seqs[n], n, 6, 0)
            db.execute("UPDATE journal_snapshots SET body = substr(body, 2) WHERE seq = ?", (seqs[n],))
        assert resume(db).snapshot is None


def test_a_mark_is_the_latest_state() -> None:
    """One is kept; a damaged one is none."""
    with closing(database()) as db:
        disk = Inline(db)
        journal = DiskJournal(disk, disk.ask(resume).end)
        assert marked(db) is None
        for n in range(3):
            journal.mark({"n": n})
        assert marked(db) == {"n": 2}
        db.execute("UPDATE journal_mark SET body = substr(body, 2)")
        assert marked(db) is None


def test_a_snapshot_of_records_that_are_gone_is_not_believed() -> None:
    """It would know what the journal no longer says."""
    with closing(database()) as db:
        disk = Inline(db)
        journal = DiskJournal(disk, disk.ask(resume).end)
        journal.take(Opened(MORNING, "a"))
        journal.remember({})
        journal.take(Opened(MORNING, "b"))
        db.execute("UPDATE journal_records SET digest = x'00' WHERE seq = 1")
        found = resume(db)
        assert (found.snapshot, found.end.seq, found.cut) == (None, 0, 2)


@given(bodies=st.lists(st.binary(max_size=50), min_size=1))
def test_chunks_come_back(bodies: list[bytes]) -> None:
    """Packing loses nothing."""
    found = [Record(n + 7, "quotes", body, bytes(16)) for n, body in enumerate(bodies)]
    assert list(unpacked(packed(found))) == found


def test_an_empty_journal_has_no_end() -> None:
    """The first start of all."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        found = resume(db)
        assert (found.end.seq, found.cut, found.snapshot) == (0, 0, None)
        assert read(db) == []
