"""Folds a journal again: every restart is a replay test.

The recorded inputs go through a desk made like the one that wrote them, and what it puts out must be what is on
record. Runs of quotes go in as arrays. What the last input put out may be missing at the end of a journal: its writer
died in between, and nothing of it has left the process.
"""

import json
from collections import deque
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol, cast, get_args

import numpy as np

from broker.errors import Fatal
from broker.types import Quotes
from daemon.desk import Desk
from daemon.events import Beat, Decided, Input, Journal, Output
from daemon.journal import Group, Record
from daemon.journal.chain import QUOTES
from daemon.journal.encoding import decode, encode
from daemon.journal.quotes import unpack

OUTPUTS = frozenset(kind.__name__ for kind in get_args(Output))
LONGEST_SHOWN = 200


class Differs(Fatal):
    """The fold did not do what is on record.

    Attributes:
        seq: of the record where it shows. what: the difference.
    """

    def __init__(self, seq: int, what: str) -> None:
        self.seq, self.what = seq, what
        super().__init__(
            f"the journal can't be folded again: at record {seq} {what}; was the program, the model or a setting "
            "changed? `micro-trader audit` shows more, and `micro-trader run --anew` begins a new run"
        )


class Counter(Protocol):
    """Who counts quotes."""

    def several(self, first: int, last: int, count: int) -> None:
        """Quotes came, from a time to a time."""
        ...


class Rehearsal:
    """A journal that first only listens to what comes out, and once it is `over` hands everything on.

    Args:
        journal: the real one.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._made: deque[Output] = deque()
        self._over = False

    def take(self, event: Input) -> None:
        """An input; those of a rehearsal are on record."""
        if self._over:
            self._journal.take(event)

    def put(self, output: Output) -> None:
        """An output: to be compared, or written."""
        if self._over:
            self._journal.put(output)
        else:
            self._made.append(output)

    def together(self) -> AbstractContextManager[None]:
        """An input and what comes of it, in the real journal."""
        return self._journal.together()

    async def durable(self) -> None:
        """Wait for the real journal."""
        await self._journal.durable()

    def met(self, record: Record) -> None:
        """Compare the next output with what is on record.

        Raises:
            Differs: they are not the same.
        """
        kept = _shown(record.kind, record.body)
        if not self._made:
            raise Differs(record.seq, f"{kept} is on record, and nothing came")
        made = self._made.popleft()
        kind, body = type(made).__name__, encode(made)
        if kind != record.kind:
            raise Differs(record.seq, f"{kept} is on record, and {_shown(kind, body)} came")
        if body != record.body:
            where, was, now = first_difference(json.loads(record.body), json.loads(body))
            raise Differs(record.seq, f"{kind}.{where} is {was} on record, and {now} came")

    def settle(self, seq: int) -> None:
        """What came of the inputs before record `seq` must all have been on record.

        Raises:
            Differs: more came.
        """
        if self._made:
            made = self._made[0]
            raise Differs(seq, f"no {_shown(type(made).__name__, encode(made))} is on record, and it came")

    def over(self) -> int:
        """From now on hand everything on, first what is not on record yet; how many outputs those were."""
        self._over = True
        for output in self._made:
            self._journal.put(output)
        left = len(self._made)
        self._made.clear()
        return left


@dataclass(slots=True)
class Folded:
    """What was folded: inputs and outputs, quotes among the inputs, decisions among the outputs."""

    events: int = 0
    quotes: int = 0
    decisions: int = 0


def fold(desk: Desk, rehearsal: Rehearsal, happened: Iterable[Record], counter: Counter | None) -> Folded:
    """Take a desk through what happened.

    Args:
        desk: in the state in which the first record found it; its sink and its broker put out to `rehearsal`.
        happened: records, in order.
        counter: told of the quotes.

    Raises:
        Differs: it does something else than is on record.
        ValueError: a record is of a kind or shape that this version does not know.
    """
    done = Folded()
    for record in happened:
        done.events += 1
        if record.kind in OUTPUTS:
            rehearsal.met(record)
            done.decisions += record.kind == Decided.__name__
            continue
        rehearsal.settle(record.seq)
        if record.kind == QUOTES:
            group = unpack(record.body)
            done.quotes += fold_group(desk, group, counter)
            done.events += len(group) - 1
        else:
            desk.apply(cast(Input, decode(record.kind, record.body)))
    return done


def fold_group(desk: Desk, group: Group, counter: Counter | None) -> int:
    """Take a desk through quotes and beats, runs of one instrument at once; how many quotes they were."""
    times = group.time[group.whose > 0]
    if counter is not None and len(times):
        counter.several(int(times[0]), int(times[-1]), len(times))
    edges = [0, *(np.flatnonzero(np.diff(group.whose)) + 1).tolist(), len(group)]
    for i, j in pairwise(edges):
        who = int(group.whose[i])
        if who:
            desk.quote(group.names[who - 1], Quotes(group.time[i:j], group.bid[i:j], group.ask[i:j]))
        else:
            for time in group.time[i:j].tolist():
                desk.apply(Beat(time))
    return len(times)


def first_difference(kept: Any, came: Any, path: str = "") -> tuple[str, Any, Any]:
    """Where two trees of JSON first differ, as `a.b[2]`, and the two values there.

    >>> first_difference({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]})
    ('a[1].b', 2, 3)
    """
    if isinstance(kept, dict) and isinstance(came, dict):
        for key in sorted(kept.keys() | came.keys()):
            if kept.get(key) != came.get(key):
                return first_difference(kept.get(key), came.get(key), f"{path}.{key}" if path else key)
    if isinstance(kept, list) and isinstance(came, list) and len(kept) == len(came):
        for n, (one, other) in enumerate(zip(kept, came, strict=True)):
            if one != other:
                return first_difference(one, other, f"{path}[{n}]")
    return path, kept, came


def _shown(kind: str, body: bytes) -> str:
    text = body.decode()
    return f"{kind} {text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + '...'}"
