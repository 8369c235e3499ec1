"""Runs of quotes and beats, packed: some eight bytes each, by compiled code that lets others run meanwhile.

A packed group is a line of JSON with the instruments' names, then for each entry one byte that says whose it is (0 for
a beat, else the name's number from 1), and as variable-length integers the step in time since the entry before and, of
a quote, the steps of its bid and of its spread since the instrument's quote before.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from broker.types import Int64s
from daemon.events import Beat, Quoted

MOST_NAMES = 255
_LARGEST = 31  # bytes of an entry
_NAMES = 256
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Group:
    """Consecutive quotes and beats.

    Attributes:
        names: the instruments. whose: `[n]` uint8, 0 for a beat, else one more than the index of its name.
        time, bid, ask: `[n]` int64; bid and ask are 0 in a beat.
    """

    names: tuple[str, ...]
    whose: Bytes
    time: Int64s
    bid: Int64s
    ask: Int64s

    def __len__(self) -> int:
        return len(self.time)

    def events(self) -> Iterator[Quoted | Beat]:
        """One by one."""
        columns = (self.whose.tolist(), self.time.tolist(), self.bid.tolist(), self.ask.tolist())
        for who, time, bid, ask in zip(*columns, strict=True):
            yield Quoted(self.names[who - 1], time, bid, ask) if who else Beat(time)


class Packer:
    """Collects a group as it comes."""

    def __init__(self) -> None:
        self._names: dict[str, int] = {}
        self._rows: list[tuple[int, int, int, int]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def takes(self, event: Quoted | Beat) -> bool:
        """Whether there is room for its name."""
        return isinstance(event, Beat) or event.instrument in self._names or len(self._names) < MOST_NAMES

    def add(self, event: Quoted | Beat) -> None:
        """Append it."""
        if isinstance(event, Beat):
            self._rows.append((0, event.time, 0, 0))
        else:
            who = self._names.setdefault(event.instrument, len(self._names) + 1)
            self._rows.append((who, event.time, event.bid, event.ask))

    def packed(self) -> bytes:
        """The group so far."""
        whose, time, bid, ask = np.array(self._rows, np.int64).reshape(-1, 4).T.copy()
        out = np.empty(len(time) * _LARGEST, np.uint8)
        size = _pack(whose, time, bid, ask, out)
        return json.dumps(list(self._names)).encode() + b"\n" + out[:size].tobytes()


def unpack(body: bytes) -> Group:
    """What `Packer.packed` made.

    >>> packer = Packer()
    >>> packer.add(Quoted("EUR_USD", 5, 138676, 138689)); packer.add(Beat(9))
    >>> list(unpack(packer.packed()).events())
    [Quoted(instrument='EUR_USD', time=5, bid=138676, ask=138689), Beat(time=9)]

    Raises:
        ValueError: no whole group.
    """
    head, found, packed = body.partition(b"\n")
    names = tuple(json.loads(head)) if found else ()
    source = np.frombuffer(packed, np.uint8)
    whose = np.empty(len(source) // 2, np.uint8)
    time, bid, ask = (np.empty(len(whose), np.int64) for _ in range(3))
    size = _unpack(source, whose, time, bid, ask)
    if not found or size < 0 or (size and whose[:size].max() > len(names)):
        raise ValueError("no whole group of quotes")
    return Group(names, whose[:size], time[:size], bid[:size], ask[:size])


@njit(cache=True, nogil=True, inline="always")
def _write(out, at, value):  # type: ignore[no-untyped-def]
    """A signed integer, seven bits a byte, the sign in the lowest."""
    rest = np.uint64((value << 1) ^ (value >> 63))
    while rest >= np.uint64(128):
        out[at] = np.uint8((rest & np.uint64(127)) | np.uint64(128))
        rest >>= np.uint64(7)
        at += 1
    out[at] = np.uint8(rest)
    return at + 1


@njit(cache=True, nogil=True, inline="always")
def _read(source, at):  # type: ignore[no-untyped-def]
    """The integer at `at`, and where it ends; -1 where it does not."""
    rest = np.uint64(0)
    shift = np.uint64(0)
    while at < len(source) and shift < np.uint64(70):
        byte = np.uint64(source[at])
        at += 1
        rest |= (byte & np.uint64(127)) << shift
        if byte < np.uint64(128):
            return np.int64(rest >> np.uint64(1)) ^ -np.int64(rest & np.uint64(1)), at
        shift += np.uint64(7)
    return np.int64(0), -1


@njit(cache=True, nogil=True)
def _pack(whose, times, bids, asks, out):  # type: ignore[no-untyped-def]
    """Write `[n]` int64 columns to `out`; how many bytes they took."""
    bid_before = np.zeros(_NAMES, np.int64)
    spread_before = np.zeros(_NAMES, np.int64)
    before = np.int64(0)
    at = 0
    for i in range(len(times)):
        who = whose[i]
        out[at] = np.uint8(who)
        at = _write(out, at + 1, times[i] - before)
        before = times[i]
        if who:
            spread = asks[i] - bids[i]
            at = _write(out, at, bids[i] - bid_before[who])
            at = _write(out, at, spread - spread_before[who])
            bid_before[who] = bids[i]
            spread_before[who] = spread
    return at


@njit(cache=True, nogil=True)
def _unpack(source, whose, times, bids, asks):  # type: ignore[no-untyped-def]
    """Read columns from `source`; how many rows, -1 where it ends inside one."""
    bid_before = np.zeros(_NAMES, np.int64)
    spread_before = np.zeros(_NAMES, np.int64)
    before = np.int64(0)
    at = 0
    n = 0
    while at < len(source):
        who = source[at]
        step, at = _read(source, at + 1)
        if at < 0:
            return -1
        before += step
        bid = np.int64(0)
        spread = np.int64(0)
        if who:
            bid, at = _read(source, at)
            if at < 0:
                return -1
            spread, at = _read(source, at)
            if at < 0:
                return -1
            bid += bid_before[who]
            spread += spread_before[who]
            bid_before[who] = bid
            spread_before[who] = spread
        whose[n] = who
        times[n] = before
        bids[n] = bid
        asks[n] = bid + spread if who else np.int64(0)
        n += 1
    return n
