"""Baselines: strategies without a model, to measure one against.

They go by the side after the orders in flight (`expected`), as the legal mask does. A wrong side is closed first and
the other entered at the next bar, or reversed at once where that is legal.
"""

import math
from typing import Any

import numpy as np

from broker.errors import BadInput
from broker.types import FLAT, LONG, SHORT, Action, Bar
from strategy.plugin import Choice, Context, Observation

HOLD, BUY, SELL, CLOSE = (Choice(action) for action in Action)
ENTRY = {LONG: BUY, SHORT: SELL}


class Hold:
    """Never trades."""

    model = "hold"
    feature_set = None

    def __init__(self, context: Context) -> None:
        _settings(context, self.model, {})

    def on_bar(self, bar: Bar) -> None:
        """Nothing to learn."""

    def decide(self, observation: Observation) -> Choice:
        """HOLD, always."""
        return HOLD


class Random:
    """Picks among the legal actions, all alike, from its own seeded generator.

    Setting `activity` (1.0): chance that it picks at all; else it holds.
    """

    model = "random"
    feature_set = None

    def __init__(self, context: Context) -> None:
        settings = _settings(context, self.model, {"activity": 1.0})
        self._activity = settings["activity"]
        if not 0.0 <= self._activity <= 1.0:
            raise BadInput("not in 0..1", where=f"{self.model}.activity")
        self._generator = np.random.Generator(np.random.PCG64(context.seed))

    def memory(self) -> dict[str, Any]:
        """Where its generator is."""
        return dict(self._generator.bit_generator.state)

    def recall(self, known: dict[str, Any]) -> None:
        """Go on drawing from there."""
        self._generator.bit_generator.state = known

    def on_bar(self, bar: Bar) -> None:
        """Nothing to learn."""

    def decide(self, observation: Observation) -> Choice:
        """One draw a decision, whatever is legal."""
        draw = self._generator.random()
        if draw >= self._activity:
            return HOLD
        legal = [choice for choice in (HOLD, BUY, SELL, CLOSE) if observation.legal[choice.action]]
        return legal[int(draw / self._activity * len(legal))]


class EmaCross:
    """Long while the fast average of the closes is above the slow one, short while below; no change where equal.

    Settings: `fast` (10), `slow` (20), periods in bars.
    """

    model = "ema-cross"
    feature_set = None

    def __init__(self, context: Context) -> None:
        settings = _settings(context, self.model, {"fast": 10, "slow": 20})
        self._fast_weight = _weight(settings["fast"], f"{self.model}.fast")
        self._slow_weight = _weight(settings["slow"], f"{self.model}.slow")
        self._fast = self._slow = math.nan

    def memory(self) -> dict[str, Any]:
        """Both averages."""
        return {"fast": self._fast, "slow": self._slow}

    def recall(self, known: dict[str, Any]) -> None:
        """Go on from them."""
        self._fast, self._slow = known["fast"], known["slow"]

    def on_bar(self, bar: Bar) -> None:
        """Move both averages, which start at the first close."""
        if math.isnan(self._fast):
            self._fast = self._slow = bar.close
        self._fast += self._fast_weight * (bar.close - self._fast)
        self._slow += self._slow_weight * (bar.close - self._slow)

    def decide(self, observation: Observation) -> Choice:
        """Go with the faster average."""
        if self._fast == self._slow:
            return HOLD
        return _toward(LONG if self._fast > self._slow else SHORT, observation)


class MeanReversion:
    """Sells far above the average and buys far below it, until the close is back.

    The distance is the z-score z = (c - EMA_n) / (sigma (n - 1) / (2 sqrt n)): on a random walk with steps sigma the
    divisor is the standard deviation of c - EMA_n. Enters at |z| > `enter`; leaves where z is no longer beyond `exit`
    on the side it entered.

    Settings: `n` (40) bars, `enter` (1.5), `exit` (0.25).
    """

    model = "mean-reversion"
    feature_set = None

    def __init__(self, context: Context) -> None:
        settings = _settings(context, self.model, {"n": 40, "enter": 1.5, "exit": 0.25})
        period = settings["n"]
        self._weight = _weight(period, f"{self.model}.n")
        self._points_per_sigma = (period - 1) / (2.0 * math.sqrt(period)) * context.instrument.points_per_pip
        self._enter, self._exit = settings["enter"], settings["exit"]
        if not 0.0 <= self._exit < self._enter:
            raise BadInput("must be at least 0 and below enter", where=f"{self.model}.exit")
        self._gap = 0.0
        self._close = math.nan

    def memory(self) -> dict[str, Any]:
        """The last close and its distance from the average."""
        return {"gap": self._gap, "close": self._close}

    def recall(self, known: dict[str, Any]) -> None:
        """Go on from them."""
        self._gap, self._close = known["gap"], known["close"]

    def on_bar(self, bar: Bar) -> None:
        """Move the distance of the close from its average, points."""
        change = 0.0 if math.isnan(self._close) else bar.close - self._close
        self._gap = (1.0 - self._weight) * (self._gap + change)
        self._close = bar.close

    def decide(self, observation: Observation) -> Choice:
        """Go against the distance."""
        z = self._gap / (observation.sigma * self._points_per_sigma)
        side = observation.expected
        if abs(z) > self._enter:
            return _toward(SHORT if z > 0.0 else LONG, observation)
        if side != FLAT and -side * z <= self._exit:
            return _toward(FLAT, observation)
        return HOLD


BASELINES = {strategy.model: strategy for strategy in (Hold, Random, EmaCross, MeanReversion)}


def _toward(side: int, observation: Observation) -> Choice:
    """The legal action that brings the expected position nearest to `side`."""
    if observation.expected == side:
        return HOLD
    if side != FLAT and observation.legal[ENTRY[side].action]:
        return ENTRY[side]
    return CLOSE if observation.legal[Action.CLOSE] else HOLD


def _weight(period: int, where: str) -> float:
    if period < 2:
        raise BadInput(f"{period} is no period", where=where, mend="2 bars or more")
    return 2.0 / (period + 1)


def _settings(context: Context, strategy: str, defaults: dict[str, Any]) -> dict[str, Any]:
    """The strategy's settings over its defaults, each of its default's type (an int may stand for a float)."""
    for key, value in context.settings.items():
        if key not in defaults:
            known = ", ".join(defaults) or "it has none"
            raise BadInput(f"unknown setting {key!r}", where=strategy, mend=f"known: {known}")
        wanted = type(defaults[key])
        if isinstance(value, bool) or not isinstance(value, (int, wanted)):
            raise BadInput(f"{value!r} is not of type {wanted.__name__}", where=f"{strategy}.{key}")
    return {**defaults, **context.settings}
