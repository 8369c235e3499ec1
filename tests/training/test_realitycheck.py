"""The reality check: right under luck, never easier for more tries, sharp where there is an edge."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.realitycheck import CELL_BARS, FEWEST_CELLS, MOST_CELLS, Series, cells_of, p_value, statistic

RESAMPLES = 400


def luck(seed: int, cells: int = 200, kind: str = "plain") -> np.ndarray:
    """A series that earns nothing on average."""
    generator = np.random.default_rng(seed)
    found = generator.normal(size=cells)
    if kind == "dependent":
        return np.convolve(found, [1.0, 0.8, 0.4], "full")[:cells]
    if kind == "sparse":
        return found * (generator.random(cells) < 0.2)
    if kind == "clustered":
        return found * np.exp(np.cumsum(generator.normal(0.0, 0.05, cells)))
    return found


@pytest.mark.parametrize(
    ("kind", "most"), [("plain", 0.07), ("dependent", 0.12), ("sparse", 0.09), ("clustered", 0.09)]
)
def test_luck_passes_as_rarely_as_it_says(kind: str, most: float) -> None:
    """Of 400 series without an edge about 5 % have a p of 0.05 or less, whether or not neighbours hang together."""
    found = [p_value(Series("x", luck(seed, kind=kind)), [], 1, RESAMPLES) <= 0.05 for seed in range(400)]
    assert 0.01 <= np.mean(found) <= most


@pytest.mark.parametrize("same", [True, False])
def test_the_best_of_many_is_paid_for(same: bool) -> None:
    """Of 60 families of 20 tries, the best passes at 0.05 a few times; alone it would in most families."""
    alone, paid = 0, 0
    for family in range(60):
        tries = [Series("x" if same else f"x{n}", luck(1000 * family + n)) for n in range(20)]
        best = max(tries, key=lambda one: statistic(one.cells))
        alone += p_value(best, [], 1, RESAMPLES) <= 0.05
        paid += p_value(best, [one for one in tries if one is not best], 1, RESAMPLES) <= 0.05
    assert alone > 25
    assert paid <= 8


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from("abc")), max_size=8), st.data())
def test_more_tries_are_never_easier(seed: int, others: list[tuple[int, str]], data: st.DataObject) -> None:
    """A further try never lowers a p-value, on the same ticks or others, and their order does not matter."""
    mine = Series("a", luck(seed, 64) + 0.2)
    tried = [Series(name, luck(other, 64)) for other, name in others]
    p_values = [p_value(mine, tried[:count], 1, 200) for count in range(len(tried) + 1)]
    assert p_values == sorted(p_values)
    shuffled = data.draw(st.permutations(tried))
    assert p_value(mine, shuffled, 1, 200) == p_values[-1]


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.floats(0.01, 100.0), st.integers(0, 63))
def test_units_and_where_the_ring_is_cut_do_not_matter(seed: int, scale: float, turn: int) -> None:
    """Pips or points, and a turned ring of cells: the same statistic; a p-value is in (0, 1]."""
    cells = luck(seed, 64)
    assert statistic(cells * scale) == pytest.approx(statistic(cells))
    assert statistic(np.roll(cells, turn)) == pytest.approx(statistic(cells), abs=1e-9)
    assert 0.0 < p_value(Series("x", cells), [], 1, 200) <= 1.0


def test_an_edge_is_seen_after_many_tries() -> None:
    """Ten standard errors stay beyond doubt after 100 tries; those that never traded cost nothing."""
    strong = Series("x", luck(1, 1000) + 10.0 / np.sqrt(1000))
    tried = [Series(f"t{n}", luck(10 + n, 1000)) for n in range(100)]
    assert p_value(strong, tried, 1) < 0.01
    idle = [Series("x", np.zeros(1000)), Series("y", np.zeros(3))]
    assert p_value(strong, idle, 1) == p_value(strong, [], 1)


def test_what_says_nothing_does_not_pass() -> None:
    """Too few cells, nothing earned, or a loss: 1."""
    assert p_value(Series("x", np.ones(FEWEST_CELLS - 1)), [], 1) == 1.0
    assert p_value(Series("x", np.zeros(100)), [], 1) == 1.0
    assert p_value(Series("x", luck(1) - 1.0), [], 1) == 1.0


@given(st.integers(1, 200_000))
def test_cells_hold_every_bar(bars: int) -> None:
    """No bar is left out, cells are of equal size but the last, and there are not too many of them."""
    cells = cells_of(np.ones(bars))
    assert cells.sum() == bars
    assert 1 <= len(cells) <= MOST_CELLS
    assert len(set(cells[:-1].tolist())) <= 1
    assert bars < CELL_BARS or cells[0] >= CELL_BARS
