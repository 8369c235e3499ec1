"""The input normaliser: mean and deviation of each column, fixed when training begins."""

from dataclasses import dataclass

import numpy as np

from broker.types import Float64s
from strategy.features import FeatureSet
from strategy.network_tile import Float32s
from training.targets import FLAT, POSITIONS

SIDE = "side"
UNUSED = 1e30
"""Deviation of an input that the model is not to see: divided by it, nothing is left."""
NARROWEST = {"volatility": 1.0}
"""Smallest deviation of a column. The ratio of sigma and spread barely moves in a calm sample: stretched to unit
variance it would be noise that tells one stretch of the tape from another."""

CLOCK = frozenset(("day_cos", "day_sin", "hour_cos", "hour_sin"))
"""Columns of a window that the newest bar says for all of them: of the earlier bars they are not used."""


@dataclass(frozen=True, slots=True)
class Normaliser:
    """`(row - mean) / deviation`.

    Attributes:
        mean, deviation: `[k] float64`. side: index of the column that says the position.
    """

    mean: Float64s
    deviation: Float64s
    side: int

    def of(self, rows: Float32s) -> Float32s:
        """Normalised rows `[n, k] float32`."""
        scaled: Float32s = ((rows - self.mean) / self.deviation).astype(np.float32)
        return scaled

    def from_all_sides(self, rows: Float32s) -> Float32s:
        """Normalised rows `[..., k]` as seen short, flat and long: `[..., 3, k]`."""
        wide = np.repeat(rows[..., None, :], POSITIONS, axis=-2)
        wide[..., self.side] = np.arange(POSITIONS) - FLAT
        return wide


def fit(rows: Float32s, features: FeatureSet) -> Normaliser:
    """From the training part of a tape and its mirror image.

    Of the position's inputs the side alone is used: on a recorded path the others (profit, drawdown, age) depend on
    an entry that need not have happened, and what is best now does not depend on it.
    """
    mean = rows.mean(0, dtype=np.float64)
    deviation = rows.std(0, dtype=np.float64)
    for i, column in enumerate(features.columns):
        deviation[i] = max(deviation[i], NARROWEST.get(column.split("_")[0], 1e-6))
        name, _, lag = column.rpartition("_")
        if name in CLOCK and lag != "0":
            mean[i], deviation[i] = 0.0, UNUSED
    first = features.size - features.position
    mean[first:], deviation[first:] = 0.0, UNUSED
    side = features.columns.index(SIDE)
    deviation[side] = 1.0
    return Normaliser(mean, deviation, side)
