"""A trader that follows the trend, whatever the market: experience with a habit in it.

micro-trader replay TICKS --strategy benchmarks/follower.py:Follower --store
"""

import numpy as np

from broker.types import Action, Bar
from strategy.features import get
from strategy.plugin import Choice, Context, Observation

EDGE20 = get("edge20")
TREND = EDGE20.columns.index("deviation_40")
ENTRY, CLEAR, EXIT = 0.2, 0.5, 0.05
"""Chance to enter a trend, how clear it must be, and the chance to leave a position at a decision."""


class Follower:
    """Buys above the average and sells below it, now and then; leaves when the trend turns, or at random."""

    model = "follower"
    feature_set = EDGE20.name

    def __init__(self, context: Context) -> None:
        self._generator = np.random.Generator(np.random.PCG64(context.seed))

    def on_bar(self, bar: Bar) -> None:
        """Nothing to learn."""

    def decide(self, observation: Observation) -> Choice:
        """By the sign of the deviation from the average of 40 bars."""
        assert observation.features is not None
        trend, draw = float(observation.features[TREND]), self._generator.random()
        if observation.expected:
            leaves = draw < EXIT or observation.expected * trend < 0.0
            return Choice(Action.CLOSE if leaves else Action.HOLD)
        if abs(trend) < CLEAR or draw >= ENTRY:
            return Choice(Action.HOLD)
        return Choice(Action.BUY if trend > 0.0 else Action.SELL)
