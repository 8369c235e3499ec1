"""The normaliser: fixed figures, the side as it is, and nothing of what a recorded path can't know."""

import numpy as np

from strategy import features
from tests.training.made_tape import EDGE20, swinging, tape_of
from training.inputs import fit


def test_market_inputs_are_standardised_and_position_inputs_fade() -> None:
    """Market columns have mean 0 and deviation 1, volatility at most 1; of the position only the side is seen."""
    rows = tape_of(swinging(900, 4)).rows
    normaliser = fit(rows, EDGE20)
    first = EDGE20.size - EDGE20.position
    scaled = normaliser.of(rows)
    assert np.allclose(scaled[:, : first - 1].mean(0), 0.0, atol=1e-5)
    assert np.allclose(scaled[:, : first - 1].std(0), 1.0, atol=1e-4)
    assert scaled[:, first - 1].std() <= 1.0
    row = np.full((1, EDGE20.size), 5.0, np.float32)
    row[0, normaliser.side] = -1.0
    assert normaliser.of(row)[0, first:].tolist() == [-1.0, *[np.float32(5e-30)] * 5]


def test_a_decision_is_seen_from_all_sides() -> None:
    """Short, flat and long differ in the side alone."""
    rows = tape_of(swinging(300, 5)).rows
    normaliser = fit(rows, EDGE20)
    wide = normaliser.from_all_sides(normaliser.of(rows))
    assert wide.shape == (len(rows), 3, EDGE20.size)
    assert wide[7, :, normaliser.side].tolist() == [-1.0, 0.0, 1.0]
    others = np.delete(wide, normaliser.side, -1)
    assert (others == others[:, :1]).all()


def test_only_the_newest_bar_of_a_window_tells_the_time() -> None:
    """That of the others follows from it; all else of the window is standardised."""
    micro15 = features.get("micro15")
    rows = tape_of(swinging(900, 4), "micro15").rows
    scaled = fit(rows, micro15).of(rows)
    clock = [i for i, name in enumerate(micro15.columns) if name.startswith(("day_", "hour_")) and name[-2:] != "_0"]
    assert len(clock) == 4 * 31
    assert np.abs(scaled[:, clock]).max() < 1e-20
    told = [i for i, name in enumerate(micro15.columns) if name.startswith(("hour_", "move_"))]
    assert (scaled[:, sorted({*told} - {*clock})].std(0) > 0.5).all()
