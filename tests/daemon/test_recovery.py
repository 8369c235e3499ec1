"""A restart is a replay test: what is on record folds to the same state, and the rest is as if nothing had been."""

from collections.abc import Iterator
from contextlib import closing
from sqlite3 import Connection
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.durable import Inline
from broker.types import DAY
from daemon.desk import Desk
from daemon.events import Barred, Beat, Command, Decided, Input, Opened, Operator, Output, Quoted, Sent
from daemon.journal import DiskJournal, Group, events, resume
from daemon.journal.chain import verified
from daemon.journal.encoding import encode
from daemon.outputs import Written
from daemon.recovery import Differs, Rehearsal, fold
from daemon.snapshot import pack
from strategy.session import Session
from tests.broker.oanda.rig import database
from tests.daemon.journal.made_events import MORNING, keep, texts
from tests.daemon.test_desk import PAIRS, merged, session_of
from tests.strategy.test_session import Notes, random_quotes


class Life:
    """A desk on paper, its journal, and what it told others."""

    def __init__(self, db: Connection) -> None:
        disk = Inline(db)
        self.found = disk.ask(resume)
        self.journal = DiskJournal(disk, self.found.end)
        self.rehearsal = Rehearsal(self.journal)
        self.notes = Notes()
        self.session: Session = session_of(self.notes)
        sink = Written(self.rehearsal, self.notes)
        self.session._sink, self.session.sending = sink, sink.sent
        self.desk = Desk(self.session, lambda event: [])
        if self.found.snapshot is None:
            self.journal.remember({})
        else:
            if self.found.snapshot.tree:
                self.desk.recall(self.found.snapshot.tree)
            first, before = self.found.snapshot.seq + 1, self.found.snapshot.digest
            self.folded = fold(self.desk, self.rehearsal, verified(db, first, before), None)
        self.left = self.rehearsal.over()

    def live(self, inputs: list[Input]) -> None:
        """Take inputs in; a day begins with a state."""
        for event in inputs:
            if isinstance(event, Opened) and event.time > MORNING:
                self.journal.remember(self.desk.memory())
            with self.rehearsal.together():
                self.rehearsal.take(event)
                self.desk.apply(event)

    def state(self) -> bytes:
        """All that the desk knows."""
        return pack(self.desk.memory())


def happening(seed: int, n: int = 500) -> list[Input]:
    """Two pairs over a midnight, with beats, and words of others."""
    rng = np.random.default_rng(seed)
    quotes = merged([random_quotes(seed, n), random_quotes(seed + 1, n)])
    shift = MORNING + DAY - int(quotes[len(quotes) // 2].time)
    inputs: list[Input] = [Opened(MORNING, "t")]
    for quote in quotes:
        time = quote.time + shift
        if time >= MORNING + DAY and sum(isinstance(event, Opened) for event in inputs) == 1:
            inputs += [Beat(MORNING + DAY - 1), Opened(MORNING + DAY, "t")]
        inputs.append(Quoted(quote.instrument, time, quote.bid, quote.ask))
        match int(rng.integers(0, 40)):
            case 0:
                inputs.append(Beat(time))
            case 1:
                inputs.append(Barred(time, "account", str(rng.choice(["", "not_ready"]))))
            case 2:
                inputs.append(Operator(time, Command(str(rng.choice(["resume", "flatten", "resume"]))), "t", "test"))
    return inputs


@settings(max_examples=10)
@given(seed=st.integers(0, 10**6), deaths=st.lists(st.integers(1, 400), max_size=4))
def test_restarts_do_not_show(seed: int, deaths: list[int]) -> None:
    """Killed at any inputs and taken up again: the state, the journal and the day's decisions are the twin's."""
    inputs = happening(seed)
    with closing(database()) as db, closing(database()) as other:
        twin = Life(other)
        twin.live(inputs)
        rest = inputs
        for death in deaths:
            Life(db).live(rest[:death])
            rest = rest[death:]
        last = Life(db)
        last.live(rest)
        assert last.state() == twin.state()
        assert journal(db) == journal(other)
        assert [row for row in twin.notes.log() if row in last.notes.log()] == last.notes.log()
        opened = [row for row in twin.notes.log() if row[1] > MORNING + DAY]
        assert [row for row in last.notes.log() if row[1] > MORNING + DAY] == opened


@settings(max_examples=10)
@given(seed=st.integers(0, 10**6), data=st.data())
def test_a_record_may_end_between_an_input_and_what_came_of_it(seed: int, data: st.DataObject) -> None:
    """The outputs that were not on disk yet come again from the fold, and are put on record; the rest is the twin's."""
    inputs = happening(seed, 150)
    with closing(database()) as db, closing(database()) as other:
        twin = Life(other)
        twin.live(inputs)
        whole = [(seq, event) for seq, event in events(other, 1, b"micro-trader 1  ")]
        outputs = [n for n, (_, event) in enumerate(whole) if isinstance(event, Decided | Sent)]
        cut = data.draw(st.sampled_from(outputs)) if outputs else 0
        written = DiskJournal(disk := Inline(db), disk.ask(resume).end)
        written.remember({})
        taken = 0
        for _, event in whole[:cut]:
            for one in event.events() if isinstance(event, Group) else [event]:
                keep(written, one)
                taken += not isinstance(one, Output)
        again = Life(db)
        assert again.left > 0 or not outputs
        again.live(inputs[taken:])
        assert again.state() == twin.state()
        assert journal(db) == journal(other)


@settings(max_examples=10)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 400), where=st.sampled_from(["decided", "ordered", "barred"]))
def test_a_bug_anywhere_leaves_a_journal_that_folds(seed: int, n: int, where: str) -> None:
    """An input that fails halfway is not on record, nor is anything that a dying process still hears after it."""
    inputs = happening(seed, 150)
    with closing(database()) as db, closing(database()) as other:
        dying = Life(db)
        dying.live(inputs[:n])

        def fail(*_: object) -> None:
            raise KeyError(where)

        setattr(dying.notes, where, fail)
        failed: list[int] = []
        for i, event in enumerate(inputs[n:], n):
            try:
                dying.live([event])
            except KeyError:
                failed.append(i)
        done = failed[0] if failed else len(inputs)
        assert failed == list(range(done, len(inputs)))
        twin = Life(other)
        twin.live(inputs[:done])
        assert Life(db).state() == twin.state()
        assert journal(db) == journal(other)


def journal(db: Connection) -> list[tuple[str, bytes]]:
    """All events on record."""
    return texts(list(flat(db)))


def flat(db: Connection) -> Iterator[Input | Output]:
    """One by one."""
    first, before = db.execute("SELECT first, before FROM journal_days ORDER BY day LIMIT 1").fetchone()
    for _, event in events(db, first, before):
        yield from event.events() if isinstance(event, Group) else [event]


def lived(seed: int = 3) -> Connection:
    """A journal of a day with decisions and orders in it."""
    db = database()
    Life(db).live([event for event in happening(seed, 1500) if getattr(event, "time", 0) < MORNING + DAY])
    return db


def rewritten(db: Connection, change: Any) -> Connection:
    """The same journal with some events changed, left out (None) or doubled (a list), its chain made anew."""
    other = database()
    disk = Inline(other)
    made = DiskJournal(disk, disk.ask(resume).end)
    made.remember({})
    for event in list(flat(db)):
        changed = change(event)
        for one in changed if isinstance(changed, list) else [changed]:
            if one is not None:
                keep(made, one)
    return other


def test_the_first_difference_is_named() -> None:
    """A fold that does something else than is on record stops, and says which record and field, and both values."""
    db = lived()
    decisions = [event for event in flat(db) if isinstance(event, Decided)]
    chosen = decisions[2]
    sent = next(event for event in flat(db) if isinstance(event, Sent))

    def is_chosen(event: object) -> bool:
        return isinstance(event, Decided) and encode(event) == encode(chosen)

    changes = {
        rf"Decided\.target is 5 on record, and {chosen.target} came": lambda e: (
            Decided(e.seen, e.choice, 5, e.veto, e.model) if is_chosen(e) else e
        ),
        r"no Sent .* is on record, and it came|Sent .* came": lambda e: None if e == sent else e,
        r"Sent .* is on record, and (nothing|\w+ .*) came": lambda e: [e, e] if e == sent else e,
    }
    for message, change in changes.items():
        with closing(rewritten(db, change)) as changed, pytest.raises(Differs, match=message) as differs:
            Life(changed)
        assert differs.value.seq > 1
    with closing(rewritten(db, lambda event: event)) as same:
        assert Life(same).folded.decisions == len(decisions)
    db.close()


def test_what_was_folded_is_counted() -> None:
    """Events, quotes and decisions, as `audit` reports them."""
    db = lived()
    rows = list(flat(db))
    done = Life(db).folded
    assert done.events == len(rows)
    assert done.quotes == sum(isinstance(row, Quoted) for row in rows)
    assert done.decisions == sum(isinstance(row, Decided) for row in rows)
    assert {row.instrument for row in rows if isinstance(row, Quoted)} == {pair.name for pair in PAIRS}
    db.close()
