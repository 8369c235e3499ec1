"""What a store remembers is the tape that it was filled along: in pieces, and the halves never mixed."""

from pathlib import Path

import numpy as np
import pytest

from tests.training.made_store import stored_tape
from tests.training.made_tape import EDGE20, wandering
from training.memory import Memory, Spans, Stored, open_store
from training.quality import Half
from training.tape import Tape

ELSEWHERE = {"GBP_JPY": (0, 1)}
"""Held out where nothing is stored: so all of the store is known."""


def opened(path: Path, held_out: Spans = ELSEWHERE) -> Stored:
    """The store as a learner sees it."""
    return open_store(path, EDGE20, 3, 1, held_out)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Tape]:
    """A store and its tape."""
    path = tmp_path_factory.mktemp("memory") / "experience.db"
    return path, stored_tape(path, wandering(1500, 3))


def places(memory: Memory, tape: Tape) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Where remembered decisions are on the tape."""
    return np.searchsorted(tape.time, memory.tape.time)


def test_every_decision_is_remembered_as_on_the_tape(filled: tuple[Path, Tape]) -> None:
    """Rows, moves, spreads, deviations and outcomes come back exactly, each decision in one half."""
    path, tape = filled
    stored = opened(path)
    found = {half: places(memory, tape) for half, memory in stored.known.items()}
    assert sorted(np.concatenate(list(found.values())).tolist()) == list(range(len(tape)))
    for half, memory in stored.known.items():
        at = found[half]
        assert (memory.tape.rows == tape.rows[at]).all()
        assert all(np.allclose(a, b[at]) for a, b in zip(memory.tape.prices, tape.prices, strict=True))
        assert (memory.tape.label == tape.label[at]).all()
    assert stored.left_out == 0
    assert len(stored.held) == 0


def test_pieces_are_what_follows_one_another_in_a_half(filled: tuple[Path, Tape]) -> None:
    """A piece goes on exactly as long as the next decision of the tape is in the same half."""
    path, tape = filled
    for memory in opened(path).known.values():
        at = places(memory, tape)
        goes_on = memory.last > np.arange(len(memory))
        assert (goes_on[:-1] == (np.diff(at) == 1)).all()
        assert (at[memory.last] - at == memory.last - np.arange(len(memory))).all()


def test_what_is_held_out_elsewhere_is_never_drawn(filled: tuple[Path, Tape]) -> None:
    """Times held out on a tape of the same instrument are left out of both halves and of every draw."""
    path, tape = filled
    first, last = int(tape.time[700]), int(tape.time[1000])
    stored = opened(path, {"EUR_USD": (first, last)})
    assert stored.left_out == 301
    for half, memory in stored.known.items():
        assert not ((memory.tape.time >= first) & (memory.tape.time <= last)).any()
        drawn = stored.reader.sample(half, 10_000).columns["time"]
        assert not ((drawn >= first) & (drawn <= last)).any()
        assert len(drawn) == len(memory)
    assert opened(path, {"USD_JPY": (first, last)}).left_out == 0


def test_alone_it_holds_out_its_own_last_quarter(filled: tuple[Path, Tape]) -> None:
    """Without a tape the latest quarter of the unbiased half is held out: what is known is older, in both halves."""
    path, _ = filled
    stored = opened(path, {})
    since = stored.held.time.min()
    assert all(memory.tape.time.max() < since for memory in stored.known.values())
    unbiased = len(stored.known[Half.UNBIASED])
    assert len(stored.held) == pytest.approx((unbiased + len(stored.held)) / 4, abs=1)
    assert set(stored.held.time.tolist()).isdisjoint(opened(path).known[Half.QUALITY].tape.time.tolist())


def test_runs_and_instruments_are_kept_apart(tmp_path: Path) -> None:
    """The same decisions in other runs, or of another pair, never join; a pip is each instrument's own."""
    path = tmp_path / "experience.db"
    for run, name in (("a", "EUR_USD"), ("b", "EUR_USD"), ("c", "USD_JPY")):
        stored_tape(path, wandering(300, 5), run=run, instrument=name)
    origins = opened(path).reader.origins()
    for memory in opened(path, {}).known.values():
        assert len(memory.tape.prices.half_spread) > 50
    for half, memory in opened(path).known.items():
        segments = dict(
            zip(*(opened(path).reader.steps(half).columns[name][:, 0] for name in ("id", "segment")), strict=True)
        )
        whose = np.array([origins[segments[key]] for key in memory.ids.tolist()])
        assert (whose == whose[memory.last]).all()
    assert set(opened(path).windows) == {"EUR_USD", "USD_JPY"}


def test_the_revision_tells_one_content_from_another(tmp_path: Path) -> None:
    """The same store gives the same digest; one more run gives another."""
    path = tmp_path / "experience.db"
    stored_tape(path, wandering(300, 5))
    before = opened(path).revision
    assert opened(path).revision == before
    stored_tape(path, wandering(300, 6), run="another")
    assert opened(path).revision != before
