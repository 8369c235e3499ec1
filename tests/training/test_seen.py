"""What a model has seen is known by its content: other files and vendors of the same market are recognised."""

import json
from pathlib import Path

import numpy as np
import pytest

from broker.types import MINUTE, Quotes
from training.model_folders import ModelFolders
from training.seen import FEWEST_MARKS, Seen, Watch, Window, seen_by

BARS = 3000


def walk(seed: int, start: int = 0, bars: int = BARS, every: int = MINUTE // 4) -> Quotes:
    """A random walk, four quotes a minute."""
    count = bars * MINUTE // every
    bid = 110_000 + np.cumsum(np.random.default_rng(seed).integers(-9, 10, count))
    return Quotes(start * MINUTE + np.arange(count) * every, bid, bid + 10)


def window_of(quotes: Quotes, batches: int = 3) -> Window:
    """The window of quotes that passed in some batches."""
    cuts = np.linspace(0, len(quotes), batches + 1).astype(int)
    watch = Watch()
    parts = [
        Quotes(quotes.time[a:b], quotes.bid[a:b], quotes.ask[a:b]) for a, b in zip(cuts[:-1], cuts[1:], strict=True)
    ]
    assert sum(map(len, watch.passing(parts))) == len(quotes)
    found = watch.window()
    assert found is not None
    return found


def test_the_same_market_is_recognised() -> None:
    """Another vendor's quotes of the same hours, with other times, spreads and errors, count as known."""
    ours = walk(1)
    noise = np.random.default_rng(5).integers(-4, 5, len(ours))
    theirs = Quotes(ours.time[::3] + 7_000_000_000, (ours.bid + noise)[::3], (ours.ask + noise + 3)[::3])
    assert window_of(ours).known_until(theirs) == ours.time[-1]
    bars = Quotes(ours.time[3::240], ours.bid[3::240], ours.ask[3::240])
    assert window_of(ours).known_until(bars) == ours.time[-1]


@pytest.mark.parametrize("seed", range(2, 12))
def test_another_market_at_the_same_time_is_not_known(seed: int) -> None:
    """A synthetic path that only shares its dates with the training data may be tested on."""
    assert window_of(walk(1)).known_until(walk(seed)) == 0


@pytest.mark.parametrize("start", [BARS + 1, -BARS - 1, BARS - 20])
def test_what_can_not_be_compared_counts_as_the_same_market(start: int) -> None:
    """Too little in common to tell: the careful answer."""
    ours = window_of(walk(1))
    assert ours.known_until(walk(2, start)) == ours.last


def test_windows_survive_the_manifest_and_do_not_depend_on_batches() -> None:
    """A window through JSON is the same one; a still market has one too, and nothing has none."""
    ours = walk(1)
    found = window_of(ours)
    back = Window.of(json.loads(json.dumps(found.document())))
    assert (back.first, back.last) == (ours.time[0], ours.time[-1])
    assert back.times.tolist() == window_of(ours, 17).times.tolist() == found.times.tolist()
    assert len(found.times) > FEWEST_MARKS
    still = Quotes(ours.time, np.full(len(ours), 9), np.full(len(ours), 10))
    assert window_of(still).known_until(still) == ours.time[-1]
    watch = Watch()
    assert list(watch.passing([])) == []
    assert watch.window() is None


def test_parents_count(tmp_path: Path) -> None:
    """What a parent learned from is known to the child; where a parent is gone, that is said."""
    folders, documents = ModelFolders(tmp_path), [window_of(walk(seed)).document() for seed in (1, 2)]
    older = {"status": "trained", "parent": None, "data": {"sha256": ["a"], "windows": {"EUR_USD": documents[0]}}}
    key = folders.add({"manifest.json": json.dumps(older).encode()})
    child = {"status": "trained", "parent": key, "data": {"sha256": ["b"], "windows": {"EUR_USD": documents[1]}}}
    seen = seen_by(child, folders)
    assert (seen.hashes, len(seen.windows["EUR_USD"]), seen.complete) == (frozenset("ab"), 2, True)
    assert not seen_by({**child, "parent": "f" * 16}, folders).complete
    assert not seen_by({**child, "data": {"sha256": ["b"]}}, folders).complete
    assert seen_by({"status": "untrained", "parent": None, "data": None}, folders) == Seen(frozenset(), {}, True)
