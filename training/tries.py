"""What was tried since the last promotion: the series that the reality check pays with, kept in the verdicts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from broker.types import Float64s
from training.realitycheck import Series, cells_of
from training.registry import How, Registry

DECIMALS = 6


@dataclass(frozen=True, slots=True)
class Try:
    """A candidate on a stretch of ticks.

    Attributes:
        model: what was tried. time: RFC 3339. stretch: names the ticks.
        earned, improved: `[cells] float64` pips, over nothing and over the incumbent of that time.
    """

    model: str
    time: str
    stretch: str
    earned: Float64s
    improved: Float64s

    @classmethod
    def made(cls, model: str, time: str, stretch: str, bars: Float64s, incumbent: Float64s) -> "Try":
        """Of the pips of every bar, the candidate's and the incumbent's."""
        earned, improved = (cells_of(some).round(DECIMALS) for some in (bars, bars - incumbent))
        return cls(model, time, stretch, earned, improved)

    def document(self) -> dict[str, Any]:
        """As a verdict holds it."""
        same = np.array_equal(self.earned, self.improved)
        return {
            "time": self.time,
            "stretch": self.stretch,
            "earned": self.earned.tolist(),
            "improved": None if same else self.improved.tolist(),
        }

    @classmethod
    def of(cls, model: str, document: Mapping[str, Any]) -> "Try":
        """From a verdict."""
        earned = np.array(document["earned"], np.float64)
        improved = earned if document["improved"] is None else np.array(document["improved"], np.float64)
        return cls(model, document["time"], document["stretch"], earned, improved)

    def series(self) -> tuple[Series, Series]:
        """What it earned, and what it earned more than the incumbent."""
        return Series(self.stretch, self.earned), Series(self.stretch, self.improved)


def tries_of(model: str, verdict: Mapping[str, Any] | None) -> tuple[Try, ...]:
    """All tries of a model, oldest first."""
    return tuple(Try.of(model, document) for document in (verdict or {}).get("tries", ()))


def tries_since_promotion(registry: Registry) -> tuple[Try, ...]:
    """Every try of any model since the last promotion, in an order that depends on nothing else."""
    last = max((change.time for change in registry.history() if change.how is How.PROMOTION), default="")
    found = [tried for model, verdict in registry.verdicts().items() for tried in tries_of(model, verdict)]
    return tuple(tried for tried in found if tried.time > last)


def without(tries: Sequence[Try], again: Try) -> tuple[Try, ...]:
    """The tries but the one that `again` repeats: the same model on the same ticks is tried once."""
    return tuple(tried for tried in tries if (tried.model, tried.stretch) != (again.model, again.stretch))
