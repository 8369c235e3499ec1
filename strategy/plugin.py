"""The strategy protocol: what a plugin sees and what it answers.

A strategy is made once for each instrument with a `Context`, sees every closed bar (the warm-up's too), and
after the warm-up answers each bar with a `Choice`. It keeps no clock, no files and no global generator.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from broker.types import Action, Bar, Float64s, Instrument


@dataclass(frozen=True, slots=True)
class Context:
    """What a strategy is built from.

    Attributes:
        instrument: the pair that it trades.
        seed: a seed of its own, derived from the run's seed and the instrument.
        model: folder of the model to load, for strategies that have one.
        settings: free keys of the strategy's own config section.
    """

    instrument: Instrument
    seed: np.random.SeedSequence
    model: Path | None = None
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Observation:
    """All that is known at a decision.

    Attributes:
        seq: number of the decision in the run, from 0.
        time: decision time, ns.
        bid, ask: last known quote, points.
        position: side held now (-1, 0, 1), confirmed by fills.
        expected: side after the orders in flight; `legal` goes by it.
        legal: `[4]` HOLD, BUY, SELL, CLOSE.
        features: `[n]` float64 row of the strategy's feature set (un-normalised), or None.
        sigma, spread: pips (rules: Observation).
        open_pips: open profit of the position if closed at this quote, pips.
        bars_held: bar closes since the entry.
    """

    seq: int
    time: int
    instrument: Instrument
    bar: Bar
    bid: int
    ask: int
    position: int
    expected: int
    legal: tuple[bool, bool, bool, bool]
    features: Float64s | None
    sigma: float
    spread: float
    open_pips: float
    bars_held: int


@dataclass(frozen=True, slots=True)
class Choice:
    """A strategy's answer and its evidence.

    Attributes:
        action: must be legal.
        policy: `[4]` probabilities, 0 where illegal, sum 1 (float64); None without search.
        visits: `[4]` root visits.
        q: `[4]` root action values; None where never visited.
        outcome: probabilities of the market outcomes UP, NEUTRAL, DOWN (in this order) after the chosen action.
        value: root value.
    """

    action: Action
    policy: tuple[float, ...] | None = None
    visits: tuple[int, ...] | None = None
    q: tuple[float | None, ...] | None = None
    outcome: tuple[float, ...] | None = None
    value: float | None = None


@runtime_checkable
class Strategy(Protocol):
    """Decides at every bar close. The same class runs unchanged in replay, paper and live."""

    @property
    def model(self) -> str:
        """What decides: a model id, or the strategy's name."""
        ...

    @property
    def feature_set(self) -> str | None:
        """Name of the feature set its observations carry, or None."""
        ...

    def on_bar(self, bar: Bar) -> None:
        """Take in a closed bar, before `decide` and throughout the warm-up."""
        ...

    def decide(self, observation: Observation) -> Choice:
        """Choose a legal action."""
        ...


@runtime_checkable
class Remembers(Protocol):
    """A strategy that keeps more than its settings: it goes on after a restart where it was, without its bars."""

    def memory(self) -> dict[str, Any]:
        """What it knows, as JSON has it."""
        ...

    def recall(self, known: dict[str, Any]) -> None:
        """Take up where `memory` was asked."""
        ...
