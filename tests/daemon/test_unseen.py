"""What was learned from is not validated on: by content, by date, and for an embargo after it."""

from pathlib import Path

import numpy as np
import pytest

from broker.errors import BadInput
from broker.rfc3339 import rfc3339
from broker.ticks import ReadOptions
from broker.types import MINUTE
from daemon.unseen import name_of, recorded_files, stretches, usable_files
from tests.daemon.made_validation import BARS, CONFIG, WARMUP, made_quotes, ticks
from training.seen import Seen, Watch, Window

NOTHING = Seen(frozenset(), {}, complete=True)


def seen(seed: int, bars: int, start: int = 0) -> Seen:
    """One who learned from these bars of a walk."""
    watch = Watch()
    list(watch.passing([made_quotes(seed, bars, start)]))
    window = watch.window()
    assert isinstance(window, Window)
    return Seen(frozenset(), {"EUR_USD": (window,)}, complete=True)


def test_nothing_seen_leaves_all(tmp_path: Path) -> None:
    """The first decision follows the warm-up; the stretch is named by its quotes, not by its file."""
    path = ticks(tmp_path / "EUR_USD-a.csv", 1)
    (part,), caveats = stretches([path], ReadOptions(), (), CONFIG, NOTHING)
    assert (part.first, len(part.quotes), caveats) == (WARMUP * MINUTE + 1, BARS * 2, [])
    (other,), _ = stretches([path.rename(tmp_path / "EUR_USD-b.csv")], ReadOptions(), (), CONFIG, NOTHING)
    assert name_of([part], CONFIG) == name_of([other], CONFIG)
    (third,), _ = stretches([ticks(tmp_path / "EUR_USD-c.csv", 2)], ReadOptions(), (), CONFIG, NOTHING)
    assert name_of([part], CONFIG) != name_of([third], CONFIG)


@pytest.mark.parametrize("learned", [300, 600])
def test_decisions_begin_an_embargo_after_what_was_learned(tmp_path: Path, learned: int) -> None:
    """Of a file that goes on where training ended, the first decision is made an embargo later, after a warm-up."""
    path = ticks(tmp_path / "EUR_USD-a.csv", 1)
    (part,), caveats = stretches([path], ReadOptions(), (), CONFIG, seen(1, learned))
    embargo = CONFIG.validation.embargo_bars
    assert part.first == (learned + embargo) * MINUTE + 1
    assert part.quotes.time[0] == part.first - WARMUP * MINUTE
    assert caveats == []


def test_later_ticks_need_no_embargo(tmp_path: Path) -> None:
    """Ticks from long after the training window are used whole."""
    path = ticks(tmp_path / "EUR_USD-a.csv", 1, BARS, start=3_000)
    (part,), _ = stretches([path], ReadOptions(), (), CONFIG, seen(1, 600))
    assert len(part.quotes) == BARS * 2


@pytest.mark.parametrize(("learned", "start"), [(BARS, 0), (BARS - 100, 0), (1_000, 2_000)])
def test_what_is_known_is_refused_with_the_reason(tmp_path: Path, learned: int, start: int) -> None:
    """The same quotes under another name, all but a few bars of them, and what lies before: told until when."""
    path, line = ticks(tmp_path / "EUR_USD-other-name.csv", 1), seen(1, learned, start)
    with pytest.raises(BadInput, match="embargoed") as refused:
        stretches([path], ReadOptions(), (), CONFIG, line)
    assert rfc3339(line.windows["EUR_USD"][0].last) in str(refused.value)


def test_another_market_of_the_same_dates_may_be_used(tmp_path: Path) -> None:
    """Synthetic paths share their dates: that is said, and they are used."""
    path = ticks(tmp_path / "EUR_USD-a.csv", 2)
    (part,), caveats = stretches([path], ReadOptions(), (), CONFIG, seen(1, BARS))
    assert len(part.quotes) == BARS * 2
    assert "not their prices" in caveats[0]


def test_a_model_that_does_not_say_what_it_saw_is_doubted(tmp_path: Path) -> None:
    """The result may be in sample, and says so."""
    path = ticks(tmp_path / "EUR_USD-a.csv", 2)
    _, caveats = stretches([path], ReadOptions(), (), CONFIG, Seen(frozenset(), {}, complete=False))
    assert "in sample" in caveats[0]


def test_files_that_were_learned_from_are_refused_or_left_out(tmp_path: Path) -> None:
    """Named ones are refused; of the recordings the others are taken, finished and traded ones; a plan is none."""
    old, new = ticks(tmp_path / "EUR_USD-1.csv", 1, 200), ticks(tmp_path / "EUR_USD-2.csv", 2, 200)
    (tmp_path / "EUR_USD-3.oanda.jsonl").write_text("{}")
    (tmp_path / "EUR_USD-2.csv.plan.json").write_text("{}")
    (document,) = usable_files([old], NOTHING)
    known = Seen(frozenset([document["sha256"]]), {}, complete=True)
    with pytest.raises(BadInput, match="learned from this file"):
        usable_files([new, old], known)
    assert [Path(one["path"]) for one in recorded_files(tmp_path, ["EUR_USD"], known)] == [new]
    with pytest.raises(BadInput, match="no recordings"):
        recorded_files(tmp_path, ["USD_JPY"], known)
    new.unlink()
    with pytest.raises(BadInput, match="all 1 recordings were learned from"):
        recorded_files(tmp_path, ["EUR_USD"], known)


def test_too_short_a_recording_is_refused(tmp_path: Path) -> None:
    """Fewer bars than the warm-up: how many there are, and how many it takes."""
    path = ticks(tmp_path / "EUR_USD-a.csv", 1, 90)
    with pytest.raises(BadInput, match="90 bars of EUR_USD are too few: 160 warm up"):
        stretches([path], ReadOptions(), (), CONFIG, NOTHING)
    assert np.diff(made_quotes(1, 90).time).min() > 0
