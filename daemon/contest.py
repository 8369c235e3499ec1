"""Contestants on the same quotes: each plays alone, through the session that trades, under the same costs."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import isfinite

import numpy as np

from broker.types import Bar, Float64s, Instrument, Int64s, Quotes
from daemon.compose import make_lane, make_session, paper_broker
from daemon.config import Config
from daemon.foldtest import Tally
from daemon.models import Chosen
from daemon.summary import Latency
from daemon.unseen import Stretch
from strategy.baselines import BASELINES
from strategy.discovery import Factory, find
from strategy.muzero import NotFinite
from strategy.plugin import Choice, Observation
from strategy.session import fold
from training.calibration import calibration_error, outcomes_after
from training.validation import Play


@dataclass(frozen=True, slots=True)
class Contestant:
    """Who plays.

    Attributes:
        name: in the document. strategy: whose settings of the config are used. factory: makes it. chosen: its model.
    """

    name: str
    strategy: str
    factory: Factory
    chosen: Chosen | None = None


def with_model(name: str, chosen: Chosen) -> Contestant:
    """The strategy `muzero` with a model."""
    return Contestant(name, "muzero", find("muzero"), chosen)


def baselines() -> tuple[Contestant, ...]:
    """The strategies without a model, with their settings of the config."""
    return tuple(Contestant(name, name, find(name)) for name in BASELINES)


@dataclass(frozen=True, slots=True)
class Performance:
    """A play, and how well it foresaw the market.

    Attributes:
        said, came: `[n, outcomes]` probabilities and `[n]` what came; empty without a search.
    """

    play: Play
    said: Float64s = field(default_factory=lambda: np.empty((0, 3)))
    came: Int64s = field(default_factory=lambda: np.empty(0, np.int64))

    @property
    def calibration_error(self) -> float | None:
        """Expected calibration error of the outcomes; None: nothing was said."""
        return calibration_error(self.said, self.came) if len(self.said) else None


def perform(who: Contestant, stretches: Sequence[Stretch], config: Config) -> Performance:
    """Play every stretch from flat, the first bars warming up; what came of them is joined in their order."""
    parts = [play(who, part.instrument, part.quotes, replace(config, bar=part.bar)) for part in stretches]
    plays = [part.play for part in parts]
    if not all(one.finite for one in plays):
        return Performance(Play(np.empty(0), np.empty(0), 0, finite=False))
    whole = Play(
        np.concatenate([one.trades for one in plays]),
        np.concatenate([one.bars for one in plays]),
        sum(one.in_market for one in plays),
        max(one.decision_ms for one in plays),
        max(one.decision_ms_p99 for one in plays),
    )
    return Performance(whole, np.concatenate([part.said for part in parts]), np.concatenate([p.came for p in parts]))


def play(who: Contestant, instrument: Instrument, quotes: Quotes, config: Config) -> Performance:
    """Fold one instrument's quotes into a session with the contestant in it."""
    latency, witness = Latency(), Witness()
    lane = make_lane(instrument, replace(config, strategy=who.strategy), who.factory, who.chosen, latency)
    try:
        fold(make_session([lane], config, paper_broker(config), witness, "validation"), [[quotes]], None)
    except NotFinite:
        return Performance(Play(np.empty(0), np.empty(0), 0, finite=False))
    found = witness.tested()
    times = latency.document()
    played = Play(found.trades, found.bars, found.in_market, times["p50"], times["p99"])
    return Performance(played, *witness.foreseen())


class Witness(Tally):
    """A tally that looks at every answer, and remembers what was said of the market."""

    def __init__(self) -> None:
        super().__init__()
        self._closes: list[float] = []
        self._said: list[tuple[int, tuple[float, ...]]] = []

    def decided(self, observation: Observation, choice: Choice, target: int, veto: str | None, model: str) -> None:
        """Mark the curve; refuse what is no number.

        Raises:
            NotFinite: a figure of the answer is NaN or infinite.
        """
        super().decided(observation, choice, target, veto, model)
        figures = (choice.value, *(choice.outcome or ()), *(choice.policy or ()), *(choice.q or ()))
        if not all(isfinite(figure) for figure in figures if figure is not None):
            raise NotFinite(f"{model} answered a number that is not finite at decision {observation.seq}")
        if choice.outcome is not None:
            self._said.append((len(self._closes) - 1, choice.outcome))

    def barred(self, instrument: Instrument, bar: Bar, open_pips: float) -> None:
        """Mark the open position, keep the close."""
        super().barred(instrument, bar, open_pips)
        self._closes.append(bar.close)

    def foreseen(self) -> tuple[Float64s, Int64s]:
        """What was said, and what came; of the last bar nobody knows."""
        known = [(bar, said) for bar, said in self._said if bar + 1 < len(self._closes)]
        if not known:
            return np.empty((0, 3)), np.empty(0, np.int64)
        said = np.array([probabilities for _, probabilities in known])
        came = outcomes_after(np.array(self._closes), said.shape[1])
        return said, came[[bar for bar, _ in known]]
