"""Client and emulator through all faults at once, in virtual time and as processes: the books are right afterwards.

Each seed is a run of its own. `make faults` takes a thousand of the first kind and a hundred of the second.
"""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from tests.broker.faults.processes import Pair, killing
from tests.broker.faults.world import stormy

seen: Counter[str] = Counter()


@pytest.mark.parametrize("seed", range(16))
def test_the_books_are_right_when_the_wire_calms(seed: int, tmp_path: Path) -> None:
    """No order doubled or forgotten, no fill lost or counted twice, the limit kept, and trading goes on afterwards."""
    counts = stormy(seed, tmp_path)
    assert counts["fills"] >= 2, "nothing was traded"
    seen.update(counts)


def test_the_faults_do_bite(tmp_path: Path) -> None:
    """The runs above are no fair weather: among them are kills, and doubts that end both ways."""
    counts = seen or stormy(0, tmp_path)
    assert set(counts) >= {
        "client killed",
        "emulator killed",
        "told Doubted",
        "of these never_arrived",
        "orders filled",
    }


@pytest.mark.parametrize("seed", range(1))
def test_nothing_is_lost_by_kill_9(seed: int, tmp_path: Path) -> None:
    """The same over sockets, both processes killed at random instants."""
    counts = asyncio.run(killing(Pair(seed, tmp_path)))
    assert counts["fills"] >= 2, "nothing was traded"
