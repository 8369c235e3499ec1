"""Probation and watch: who loses goes, who is only unlucky stays, and a restart forgets nothing."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import BadInput
from daemon.probation import WATCHED, Fate, Terms, Watch, read, write


def lived(pips: list[float], terms: Terms) -> tuple[Watch, Fate, str]:
    """A model's life, to its end or that of its trades."""
    watch, fate, why = Watch.begin("model"), Fate.STAYS, ""
    for one in pips:
        watch, fate, why = watch.traded(one, terms)
        if fate in (Fate.ROLLED_BACK, Fate.RETIRED):
            break
    return watch, fate, why


def test_a_model_that_loses_steadily_is_rolled_back() -> None:
    """At the end of its probation, not before."""
    watch, fate, why = lived([-1.0, -1.2] * 50, Terms(trades=20))
    assert (watch.trades, fate) == (20, Fate.ROLLED_BACK)
    assert "20 trades" in why


def test_a_drawdown_does_not_wait_for_the_end() -> None:
    """Counted from the peak of the closed trades."""
    watch, fate, why = lived([5.0, -3.0, -3.0, -3.0], Terms(trades=20, drawdown_pips=8.0))
    assert (watch.trades, fate) == (4, Fate.ROLLED_BACK)
    assert "9.0 pips" in why


def test_a_model_that_earns_passes_and_is_retired_when_its_market_is_gone() -> None:
    """Passed once; later its recent trades turn significantly negative."""
    generator = np.random.default_rng(3)
    good, bad = generator.normal(2, 3, 100), generator.normal(-2, 3, 400)
    watch = Watch.begin("model")
    fates = []
    for pips in [*good, *bad]:
        watch, fate, why = watch.traded(float(pips), Terms())
        fates.append(fate)
        if fate is Fate.RETIRED:
            break
    assert fates.count(Fate.PASSED) == 1
    assert fates.index(Fate.PASSED) == 19
    assert fates[-1] is Fate.RETIRED
    assert 100 < len(fates) < 100 + WATCHED
    assert f"last {len(watch.pips)} trades" in why


def test_bad_luck_is_seldom_taken_for_more() -> None:
    """Of 200 models without edge or loss, few are rolled back at the end of their probation."""
    generator = np.random.default_rng(5)
    ends = [lived(generator.normal(0, 3, 20).tolist(), Terms())[1] for _ in range(200)]
    assert sum(fate is Fate.ROLLED_BACK for fate in ends) <= 20


@given(st.lists(st.floats(-50, 50), max_size=300), st.integers(0, 300))
def test_a_restart_changes_nothing(tmp_path_factory: pytest.TempPathFactory, pips: list[float], cut: int) -> None:
    """Written and read at any point, the rest of the life is the same."""
    path = tmp_path_factory.mktemp("watch") / "probation.json"
    watch, _, _ = lived(pips[:cut], Terms())
    write(path, watch)
    assert read(path) == watch


def test_records_that_are_none(tmp_path: Path) -> None:
    """No file: nothing is watched. Anything else is told."""
    path = tmp_path / "probation.json"
    assert read(path) == Watch()
    for text in ("[]", "{", '{"pips": ["x"]}', '{"pips": [], "who": 1}'):
        path.write_text(text)
        with pytest.raises(BadInput, match="remove it"):
            read(path)
