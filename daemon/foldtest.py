"""One strategy over one stretch of quotes in memory, and what came of it: a replay that leaves no folder."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from broker.types import Bar, Cancel, Fill, Float64s, Instrument, Order, Quotes, Trade
from daemon.compose import make_lane, make_session, paper_broker
from daemon.config import Config
from daemon.models import Chosen
from daemon.summary import Latency
from strategy.discovery import Factory
from strategy.model import TRAINED
from strategy.muzero import MuZero
from strategy.plugin import Choice, Context, Observation
from strategy.session import fold


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a test.

    Attributes:
        trades: `[trades] float64`, pips of each, in order of their close.
        bars: `[bars] float64`, pips that each bar from the first decision on added, closed and open.
        in_market: bars that began with a position.
    """

    trades: Float64s
    bars: Float64s
    in_market: int

    @classmethod
    def joined(cls, parts: "Sequence[Result]") -> "Result":
        """Several tests, one after the other."""
        return cls(
            np.concatenate([part.trades for part in parts]),
            np.concatenate([part.bars for part in parts]),
            sum(part.in_market for part in parts),
        )


class Willing(MuZero):
    """The strategy muzero with a model that does not abstain, whatever its manifest says."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._model = replace(self._model, status=TRAINED)


def run_test(
    quotes: Quotes, instrument: Instrument, config: Config, factory: Factory, chosen: Chosen | None = None
) -> Result:
    """Fold `quotes` into a session of the config's costs and limits, the first bars warming up."""
    lane = make_lane(instrument, config, factory, chosen, Latency())
    tally = Tally()
    fold(make_session([lane], config, paper_broker(config), tally, "study"), [[quotes]], None)
    return tally.tested()


class Tally:
    """The sink of a test."""

    def __init__(self) -> None:
        self._trades: list[float] = []
        self._marks: list[float] = []
        self._closed = self._open = 0.0
        self._in_market = 0

    def decided(self, observation: Observation, choice: Choice, target: int, veto: str | None, model: str) -> None:
        """Mark the curve where a decision is made."""
        self._marks.append(self._closed + self._open)
        self._in_market += observation.position != 0

    def ordered(self, order: Order, end: Fill | Cancel) -> None:
        """An order's end: the trade says what it cost."""

    def traded(self, trade: Trade, fill: Fill) -> None:
        """Book a trade."""
        self._trades.append(trade.pips)
        self._closed += trade.pips

    def barred(self, instrument: Instrument, bar: Bar, open_pips: float) -> None:
        """Mark the open position."""
        self._open = open_pips

    def tested(self) -> Result:
        """The result, once the quotes are over and the position is closed."""
        return Result(np.array(self._trades), np.diff([*self._marks, self._closed]), self._in_market)
