"""Events of every kind, of any values; and a journal to write them to."""

import sqlite3
from collections.abc import Iterable
from dataclasses import is_dataclass
from decimal import Decimal
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np
from hypothesis import strategies as st

from broker.durable import Inline
from broker.types import DAY, SECOND
from daemon.events import Beat, Input, Opened, Output, Quoted
from daemon.journal import DiskJournal, Found, Group, events, resume
from daemon.journal.encoding import KINDS, encode

NUMBERS = st.integers(-(2**63), 2**63 - 1)
MORNING = 20_000 * DAY


def of(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a type."""
    origin = get_origin(hint)
    if is_dataclass(hint):
        return st.builds(hint, **{name: of(kind) for name, kind in get_type_hints(hint).items()})
    if origin in (Union, UnionType):
        return st.one_of([of(kind) for kind in get_args(hint)])
    if origin is tuple:
        inner = get_args(hint)
        if inner[-1] is Ellipsis:
            return st.lists(of(inner[0]), max_size=5).map(tuple)
        return st.tuples(*map(of, inner))
    if origin is np.ndarray:
        return st.lists(of(float), max_size=5).map(np.array)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from(list(hint))
    simple: dict[Any, st.SearchStrategy[Any]] = {
        int: NUMBERS,
        str: st.text(max_size=8),
        bool: st.booleans(),
        float: st.floats(allow_nan=False),
        Decimal: st.decimals(allow_nan=False, allow_infinity=False),
        NoneType: st.none(),
    }
    return simple[hint]


QUOTES = st.one_of(
    st.builds(Beat, NUMBERS),
    st.builds(Quoted, st.sampled_from(["EUR_USD", "USD_JPY", "XAU_USD"]), NUMBERS, NUMBERS, NUMBERS),
)
ANY = st.one_of([QUOTES, QUOTES, *(of(kind) for kind in KINDS.values() if kind is not Opened)])


def usual(n: int, start: int = MORNING) -> list[Input | Output]:
    """A run's opening, and quotes of two pairs with a beat now and then."""
    rng = np.random.default_rng(n)
    bid = 108_000 + rng.integers(-3, 4, n).cumsum()
    rows: list[Input | Output] = [Opened(start, "a")]
    for i in range(n):
        time = start + (i + 1) * SECOND // 4 + int(rng.integers(0, SECOND // 8))
        rows.append(
            Beat(time) if i % 20 == 9 else Quoted(("EUR_USD", "USD_JPY")[i % 2], time, int(bid[i]), int(bid[i]) + 13)
        )
    return rows


def write(db: sqlite3.Connection, rows: Iterable[Input | Output]) -> Found:
    """Journal events, from wherever the journal ends; what its start found."""
    disk = Inline(db)
    found = disk.ask(resume)
    journal = DiskJournal(disk, found.end)
    with disk.together():
        for row in rows:
            keep(journal, row)
    return found


def keep(journal: DiskJournal, row: Input | Output) -> None:
    """Take or put."""
    if type(row).__name__ in {kind.__name__ for kind in get_args(Output)}:
        journal.put(row)  # type: ignore[arg-type]
    else:
        journal.take(row)  # type: ignore[arg-type]


def read(db: sqlite3.Connection) -> list[Input | Output]:
    """All that the journal holds, event by event."""
    first = db.execute("SELECT first, before FROM journal_days ORDER BY day LIMIT 1").fetchone()
    kept: list[Input | Output] = []
    for _, found in events(db, *first) if first else ():
        kept.extend(found.events() if isinstance(found, Group) else [found])
    return kept


def texts(rows: Iterable[Input | Output]) -> list[tuple[str, bytes]]:
    """Events so that they can be compared."""
    return [(type(row).__name__, encode(row)) for row in rows]
