"""Quotes are packed small, lose nothing, and come back as arrays."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.events import Beat, Quoted
from daemon.journal.quotes import MOST_NAMES, Packer, unpack
from tests.daemon.journal.made_events import QUOTES, usual


def packed(rows: list[Quoted | Beat]) -> bytes:
    """The rows as a group."""
    packer = Packer()
    for row in rows:
        packer.add(row)
    return packer.packed()


@given(rows=st.lists(QUOTES))
def test_groups_come_back(rows: list[Quoted | Beat]) -> None:
    """Any quotes and beats, in any order, at any times and prices of 64 bits."""
    group = unpack(packed(rows))
    assert list(group.events()) == rows
    assert len(group) == len(rows)


@given(rows=st.lists(QUOTES, min_size=1), cut=st.integers(0, 10_000))
def test_a_cut_group_is_never_believed_whole(rows: list[Quoted | Beat], cut: int) -> None:
    """A part is an error, or whole entries from the start: never a wrong quote."""
    body = packed(rows)
    part = body[: cut % len(body)]
    try:
        kept = list(unpack(part).events())
    except ValueError:
        return
    assert kept == rows[: len(kept)]
    assert len(kept) < len(rows)


def test_quotes_are_small() -> None:
    """Of an ordinary stream, a quote takes less than nine bytes."""
    rows = [row for row in usual(5000) if isinstance(row, Quoted | Beat)]
    assert len(packed(rows)) < 9 * len(rows)


def test_names_are_bounded() -> None:
    """A group knows 255 instruments; the next one begins another."""
    packer = Packer()
    for n in range(MOST_NAMES):
        assert packer.takes(Quoted(str(n), 1, 1, 1))
        packer.add(Quoted(str(n), 1, 1, 1))
    assert not packer.takes(Quoted("one more", 1, 1, 1))
    assert packer.takes(Quoted("0", 1, 1, 1))
    assert packer.takes(Beat(1))
    assert unpack(packer.packed()).whose.tolist() == list(range(1, MOST_NAMES + 1))


@pytest.mark.parametrize("body", [b"", b"[]", b'["A"]\n\x02\x02\x02\x02', b"[]\n\x00\x80", b'["A"]\n\x01\x02\xff\xff'])
def test_what_is_no_group_says_so(body: bytes) -> None:
    """Whose quote it was, or where it ends, is not guessed."""
    with pytest.raises(ValueError, match="no whole group|Expecting"):
        unpack(body)


def test_columns_are_typed() -> None:
    """What is read goes straight into the compiled path."""
    group = unpack(packed([Quoted("EUR_USD", 5, 1, 2)]))
    assert (group.time.dtype, group.bid.dtype, group.ask.dtype) == (np.int64,) * 3
