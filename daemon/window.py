"""The window: what the service did lately, kept for whoever looks, told to whoever listens, counted for Prometheus.

A sink like any other: it hears everything and changes nothing. While a start folds what the journal has, it looks on
and tells nobody.
"""

import json
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter_ns
from typing import Any

import numpy as np

from broker.oanda import FeedEvent, Price
from broker.rfc3339 import rfc3339
from broker.types import LONG, Bar, Cancel, Fill, Float64s, Instrument, Order, Trade
from daemon.canary import ASKED
from daemon.runfolder import decision_line
from daemon.stages import NANOSECONDS, heard
from daemon.web import Hub, Metrics, Query
from daemon.web.office import MOST_ROWS
from strategy.features import CHANGE, OUTCOME_S
from strategy.features.market import outcome_label
from strategy.lane import Lane
from strategy.plugin import Choice, Observation

DRIFT_ROWS = 1000
LEAST_CHANCE = 1e-6


@dataclass(slots=True)
class _Seen:
    """What is kept of one instrument."""

    lane: Lane
    observations: deque[Observation] = field(default_factory=lambda: deque(maxlen=ASKED))
    rows: deque[Float64s] = field(default_factory=lambda: deque(maxlen=DRIFT_ROWS))
    losses: deque[float] = field(default_factory=lambda: deque(maxlen=DRIFT_ROWS))
    foretold: tuple[tuple[float, ...], float] | None = None
    open_pips: float = 0.0


class Window:
    """Looks on.

    Args:
        lanes: of the session. hub, metrics: who is told, once `told` is set.

    Attributes:
        followed: called with the model and the pips of each trade, once `told` is set.
    """

    def __init__(self, lanes: Sequence[Lane], hub: Hub, metrics: Metrics) -> None:
        self._seen = {lane.instrument.name: _Seen(lane) for lane in lanes}
        self._hub, self._metrics = hub, metrics
        self.told = False
        self.followed: Callable[[str, float], None] = lambda _model, _pips: None
        self._decisions: deque[dict[str, Any]] = deque(maxlen=MOST_ROWS)
        self._trades: deque[dict[str, Any]] = deque(maxlen=MOST_ROWS)
        self._bars: deque[dict[str, Any]] = deque(maxlen=MOST_ROWS * len(lanes))
        self._began = perf_counter_ns()
        self.net_pips = 0.0
        outcome_label(0.0, 1.0, outcomes=3)  # compiled before the first bar

    def begin(self, event: FeedEvent) -> None:
        """The price stream said something: the time of what comes of it counts from here."""
        self._began = heard()
        if isinstance(event, Price):
            self._metrics.count("ticks_total", event.instrument)

    def decided(self, seen: Observation, choice: Choice, target: int, veto: str | None, model: str) -> None:
        """A decision."""
        name = seen.instrument.name
        kept = self._seen[name]
        kept.observations.append(replace(seen, features=None if seen.features is None else seen.features.copy()))
        if seen.features is not None:
            kept.rows.append(seen.features.copy())
        kept.foretold = (choice.outcome, float(kept.lane.state[OUTCOME_S])) if choice.outcome else None
        row = json.loads(decision_line(seen, choice, target, veto, model))
        self._decisions.append(row)
        if not self.told:
            return
        self._metrics.observe("tick_to_decision_seconds", (perf_counter_ns() - self._began) * NANOSECONDS)
        self._metrics.count("decisions_total", choice.action.name)
        if veto:
            self._metrics.count("vetoes_total", veto)
        self._hub.publish("decision", row)

    def ordered(self, order: Order, end: Fill | Cancel) -> None:
        """An order's end."""
        if not self.told:
            return
        outcome = "filled" if isinstance(end, Fill) else end.outcome
        self._metrics.count("orders_total", outcome)
        instrument = self._seen[order.instrument].lane.instrument
        lately = self._seen[order.instrument].observations
        if isinstance(end, Fill) and lately:
            shown = lately[-1].ask if order.units > 0 else lately[-1].bid
            worse = (end.price - shown) * (1 if order.units > 0 else -1)
            self._metrics.observe("fill_difference_pips", worse / instrument.points_per_pip)
        document = {"id": order.id, "time": rfc3339(end.time), "instrument": order.instrument, "units": order.units}
        price = instrument.price_float(end.price) if isinstance(end, Fill) else None
        self._hub.publish("order", {**document, "outcome": outcome, "price": price, "reason": end.reason})

    def traded(self, trade: Trade, fill: Fill) -> None:
        """A completed trade."""
        self.net_pips += trade.pips
        self._seen[trade.instrument].open_pips = 0.0
        row = trade_row(trade, self._seen[trade.instrument].lane.instrument)
        self._trades.append(row)
        if not self.told:
            return
        self._metrics.count("trades_total", str(trade.exit_reason))
        self._hub.publish("trade", row)
        self.followed(trade.model, trade.pips)

    def barred(self, instrument: Instrument, bar: Bar, open_pips: float) -> None:
        """A bar closed: what was foretold of it is known now."""
        kept = self._seen[instrument.name]
        if kept.foretold is not None:
            chances, s = kept.foretold
            label = outcome_label(float(kept.lane.state[CHANGE]), s, outcomes=len(chances))
            kept.losses.append(-math.log(max(chances[label], LEAST_CHANCE)))
            kept.foretold = None
        kept.open_pips = open_pips
        equity = self.net_pips + sum(seen.open_pips for seen in self._seen.values())
        bid, ask = instrument.price_float(bar.bid), instrument.price_float(bar.ask)
        row = {"time": rfc3339(bar.end), "instrument": instrument.name, "bid": bid, "ask": ask, "pips": open_pips}
        row["equity_pips"] = equity
        self._bars.append(row)
        if not self.told:
            return
        self._metrics.count("bars_total", instrument.name)
        self._hub.publish("bar", row)

    # What is asked for.

    def decisions(self, query: Query) -> list[dict[str, Any]]:
        """The latest decisions, the latest first."""
        wanted = (row for row in reversed(self._decisions) if query.instrument in (None, row["instrument"]))
        return [row for row, _ in zip(wanted, range(query.limit), strict=False)]

    def trades(self, query: Query) -> list[dict[str, Any]]:
        """The latest trades, the latest first."""
        wanted = (row for row in reversed(self._trades) if query.instrument in (None, row["instrument"]))
        return [row for row, _ in zip(wanted, range(query.limit), strict=False)]

    def bars(self, query: Query) -> list[dict[str, Any]]:
        """The latest closed bars, the latest first; `equity_pips` are closed and open ones of all instruments then."""
        wanted = (row for row in reversed(self._bars) if query.instrument in (None, row["instrument"]))
        return [row for row, _ in zip(wanted, range(query.limit), strict=False)]

    def lately(self) -> list[Sequence[Observation]]:
        """What each lane saw last, for a canary."""
        return [tuple(kept.observations) for kept in self._seen.values()]

    def model_drift(self) -> float:
        """Mean log-loss of the outcome probabilities over the last bars, nats; NaN where nothing was foretold."""
        losses = [loss for kept in self._seen.values() for loss in kept.losses]
        return float(np.mean(losses)) if losses else math.nan

    def feature_drift(self, mean: Float64s, deviation: Float64s) -> float:
        """Largest shift of an input's mean over the last decisions from that of training, in its deviations there."""
        shifts = [
            np.abs((np.mean(kept.rows, axis=0) - mean) / deviation).max() for kept in self._seen.values() if kept.rows
        ]
        return float(max(shifts)) if shifts else math.nan


def trade_row(trade: Trade, instrument: Instrument) -> dict[str, Any]:
    """A trade as a document of JSON's values."""
    return {
        "instrument": trade.instrument,
        "side": "long" if trade.side == LONG else "short",
        "units": abs(trade.units),
        "open_time": rfc3339(trade.open_time),
        "open_price": instrument.price_float(trade.open_price),
        "close_time": rfc3339(trade.close_time),
        "close_price": instrument.price_float(trade.close_price),
        "pips": trade.pips,
        "pnl": f"{trade.pnl:f}",
        "currency": trade.currency,
        "reward": trade.reward,
        "bars": trade.bars,
        "model": trade.model,
        "exit_reason": str(trade.exit_reason),
    }
