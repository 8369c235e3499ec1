"""Folds a day of the journal again, away from everything else, and names the first difference."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from broker.canonical import built
from broker.errors import BadInput, StorageFault
from broker.paper import idle_watch
from broker.rfc3339 import rfc3339
from broker.types import DAY, Cancel, Fill, Financing, Instrument, Order
from daemon.assembly import Makers
from daemon.compose import make_session, paper_broker
from daemon.config import Config
from daemon.console import Ui
from daemon.desk import Desk
from daemon.events import NoJournal
from daemon.journal import Broken, Record, Snapshot, latest, verified
from daemon.memory import take
from daemon.models import choose_model
from daemon.outputs import Written
from daemon.recovery import Differs, Folded, Rehearsal, fold
from daemon.summary import Latency


@dataclass(frozen=True, slots=True)
class Audit:
    """What was found: the day, what was folded of it, and the first difference or None."""

    day: str
    events: int
    decisions: int
    quotes: int
    difference: str | None


class Swallowed:
    """A broker that takes orders and does nothing: what became of them is on record."""

    def watch(self, instrument: Instrument) -> npt.NDArray[np.void]:
        """A record that never calls."""
        return idle_watch()

    def submit(self, order: Order) -> None:
        """Nothing leaves."""

    def settle(self, instrument: str, bid: int, ask: int) -> Fill | Cancel:
        """Never called: nothing is ever due here."""
        raise AssertionError("nothing is due at a broker of record")

    def trigger(self, instrument: str, reason: str, time: int, bid: int, ask: int) -> Fill:
        """Never called: no level is held here."""
        raise AssertionError("a broker of record holds no level")

    def finish(self, instrument: str, time: int, bid: int, ask: int) -> list[Fill | Cancel | Financing]:
        """What is open stays open."""
        return []


def audit(path: Path, day: str | None) -> Audit:
    """Fold a day, with each run of it under the rules that it had.

    Args:
        path: the journal. day: like `2026-01-02`; None: the latest.

    Raises:
        BadInput: there is no such journal or day, or a model that decided can't be used any more.
        StorageFault: the disk failed.
    """
    if not path.is_file():
        raise BadInput("no journal", where=str(path), mend="name the state folder with --state")
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as db:
            db.execute("BEGIN")  # one view of it, while its writer goes on
            return _audit(db, path, day)
    except sqlite3.Error as error:
        raise StorageFault(f"can't be read: {error}", where=str(path)) from error


def _audit(db: sqlite3.Connection, path: Path, day: str | None) -> Audit:
    days = db.execute("SELECT day, first FROM journal_days ORDER BY day").fetchall()
    names = [rfc3339(number * DAY)[:10] for number, _ in days]
    if not days or (day is not None and day not in names):
        known = f"it has {names[0]} to {names[-1]}" if names else "it is empty"
        raise BadInput(f"no day {day or ''}", where=str(path), mend=known)
    n = names.index(day) if day is not None else len(days) - 1
    first = days[n][1]
    end = days[n + 1][1] if n + 1 < len(days) else 1 << 62
    done, difference = Folded(), None
    try:
        for base, records in _runs(db, first, end):
            part = _fold(base, records)
            done = Folded(*(getattr(done, name) + getattr(part, name) for name in asdict(done)))
    except (Differs, Broken) as found:
        difference = found.what if isinstance(found, Differs) else str(found)
        difference = f"record {found.seq}: {difference}"
    return Audit(names[n], done.events, done.decisions, done.quotes, difference)


def _runs(db: sqlite3.Connection, first: int, end: int) -> Iterator[tuple[Snapshot, Iterable[Record]]]:
    """The parts of a day that each begin with a state.

    Raises:
        Broken: the chain does not hold, or a state is missing.
    """
    rows = db.execute("SELECT seq FROM journal_snapshots WHERE seq BETWEEN ? AND ? ORDER BY seq", (first - 1, end - 2))
    seqs = [seq for (seq,) in rows]
    if seqs[:1] != [first - 1]:
        raise Broken(first)
    for seq, following in zip(seqs, [*seqs[1:], end - 1], strict=True):
        base = latest(db, seq)
        if base is None or base.seq != seq:
            raise Broken(seq + 1)
        yield base, takewhile(lambda record, last=following: record.seq <= last, verified(db, seq + 1, base.digest))  # type: ignore[misc]


def _fold(base: Snapshot, records: Iterable[Record]) -> Folded:
    """Fold one part in a session of its own."""
    tree: Any = base.tree
    config = built(Config, tree["config"])
    pairs = [built(Instrument, pair) for pair in tree["pairs"]]
    folder = tree["folder"]
    chosen = (
        choose_model(replace(config, model=replace(config.model, version=folder)), Ui(json=True)) if folder else None
    )
    makers = Makers(config, pairs, Latency(), folder)
    rehearsal = Rehearsal(NoJournal())
    sink = Written(rehearsal)
    broker = Swallowed() if tree["wired"] else paper_broker(config)
    session = make_session(makers.lanes(chosen), config, broker, sink, "")
    session.sending = sink.sent
    desk = Desk(session, makers.prepared)
    take(tree, desk, session, makers)
    return fold(desk, rehearsal, records, None)
