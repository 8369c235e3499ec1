"""What the report draws: bounded series, computed in one pass over the decisions."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from broker.types import HOUR
from daemon.report.buckets import Buckets
from daemon.report.recording import Recording, TradeRow

EQUITY_POINTS = 4000
PRICE_POINTS = 16_000  # of all instruments together
ACTION_POINTS = 240
TRADE_ROWS = 10_000
HISTOGRAM_BINS = 40
HISTOGRAM_TAIL = 0.01
FINEST_BIN_PIPS = 0.1
ACTIONS = ("HOLD", "BUY", "SELL", "CLOSE")


@dataclass(frozen=True, slots=True)
class EquityPoint:
    """Curves of the account in pips at a time: closed trades, closed and open ones, fall from the peak."""

    time: int
    closed: float
    marked: float
    fall: float

    def then(self, later: "EquityPoint") -> "EquityPoint":
        """The two spans as one: the later levels, the deeper fall."""
        return EquityPoint(later.time, later.closed, later.marked, max(self.fall, later.fall))


@dataclass(frozen=True, slots=True)
class PricePoint:
    """Mid prices at the decisions of a span that starts at `time`."""

    time: int
    low: float
    high: float
    close: float

    def then(self, later: "PricePoint") -> "PricePoint":
        """The two spans as one: the earlier start, the later close, the wider range."""
        return PricePoint(self.time, min(self.low, later.low), max(self.high, later.high), later.close)


@dataclass(frozen=True, slots=True)
class ActionPoint:
    """Choices of a span: how many of each action, vetoes, and sums of what the search said."""

    start: int
    end: int
    counts: tuple[int, int, int, int]
    vetoes: int
    searched: int
    value: float
    value_low: float
    value_high: float
    support: float

    def then(self, later: "ActionPoint") -> "ActionPoint":
        """The two spans as one: counts and sums added, the wider range."""
        hold, buy, sell, close = (mine + other for mine, other in zip(self.counts, later.counts, strict=True))
        return ActionPoint(
            start=self.start,
            end=later.end,
            counts=(hold, buy, sell, close),
            vetoes=self.vetoes + later.vetoes,
            searched=self.searched + later.searched,
            value=self.value + later.value,
            value_low=min(self.value_low, later.value_low),
            value_high=max(self.value_high, later.value_high),
            support=self.support + later.support,
        )


@dataclass(slots=True)
class EquityCurve:
    """Closed-trade and mark-to-market curves, fed with every decision's quote.

    Args:
        trades: in order of their close.
        pips: size of a pip for each instrument.
    """

    trades: Sequence[TradeRow]
    pips: Mapping[str, float]
    points: Buckets[EquityPoint] = field(default_factory=lambda: Buckets(EQUITY_POINTS, EquityPoint.then))
    _closed: float = 0.0
    _peak: float = 0.0
    _ended: int = 0
    _open: dict[str, float] = field(default_factory=dict)
    _own: dict[str, list[TradeRow]] = field(default_factory=dict)
    _first_open: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for trade in self.trades:
            self._own.setdefault(trade.instrument, []).append(trade)

    def mark(self, time: int, instrument: str, bid: float, ask: float) -> None:
        """Value what is open in an instrument at a quote."""
        self.close_until(time)
        own, first = self._own.get(instrument, []), self._first_open.get(instrument, 0)
        while first < len(own) and own[first].close_time <= time:
            first += 1
        self._first_open[instrument] = first
        worth = 0.0
        while first < len(own) and own[first].open_time <= time:
            trade = own[first]
            worth += trade.side * ((bid if trade.side > 0 else ask) - trade.open_price) / self.pips[instrument]
            first += 1
        self._open[instrument] = worth
        self._sample(time)

    def close_until(self, time: float) -> None:
        """Book the trades that ended by a time."""
        while self._ended < len(self.trades) and self.trades[self._ended].close_time <= time:
            trade = self.trades[self._ended]
            self._ended += 1
            self._closed += trade.pips
            self._open[trade.instrument] = 0.0
            self._sample(trade.close_time)

    def _sample(self, time: int) -> None:
        marked = self._closed + math.fsum(self._open.values())
        self._peak = max(self._peak, marked)
        self.points.add(EquityPoint(time, self._closed, marked, self._peak - marked))


def drawn_series(recording: Recording) -> dict[str, Any]:
    """Everything the page's script draws, as one JSON document; times in ms."""
    pips = {row["instrument"]: float(row["pip"]) for row in recording.summary["by_instrument"]}
    equity = EquityCurve(recording.trades, pips)
    share = max(2, PRICE_POINTS // max(len(pips), 1) // 2 * 2)
    prices = {name: Buckets[PricePoint](share, PricePoint.then) for name in pips}
    actions = Buckets[ActionPoint](ACTION_POINTS, ActionPoint.then)
    for decision in recording.decisions():
        name, time = decision["instrument"], decision["ns"]
        equity.mark(time, name, decision["bid"], decision["ask"])
        mid = (decision["bid"] + decision["ask"]) / 2
        prices[name].add(PricePoint(time, mid, mid, mid))
        actions.add(_action_point(decision))
    equity.close_until(math.inf)
    return {
        "instruments": [
            {"name": row["instrument"], "pip": row["pip"], "precision": row["precision"]}
            for row in recording.summary["by_instrument"]
        ],
        "equity": _equity_columns(equity.points.filled),
        "price": {name: _price_columns(points.filled) for name, points in prices.items()},
        "actions": _action_columns(actions.filled),
        "trades": _trade_columns(recording.trades[:TRADE_ROWS]),
        "histogram": histogram([trade.pips for trade in recording.trades]),
        "hours": hours(recording.trades),
    }


def histogram(values: Iterable[float]) -> dict[str, Any]:
    """Counts in bins of a round width, with an edge at 0; the outermost hundredths fall into the end bins."""
    ranked = sorted(values)
    if not ranked:
        return {"start": 0.0, "width": 1.0, "counts": []}
    tail = int(len(ranked) * HISTOGRAM_TAIL)
    low, high = ranked[tail], ranked[-1 - tail]
    width = _round_width(max((high - low) / HISTOGRAM_BINS, FINEST_BIN_PIPS))
    first, last = _bin(low, width), _bin(high, width)
    counts = [0] * (last - first + 1)
    for value in ranked:
        counts[min(max(_bin(value, width), first), last) - first] += 1
    return {"start": first * width, "width": width, "counts": counts}


def hours(trades: Iterable[TradeRow]) -> dict[str, list[float]]:
    """Trades and their pips by the UTC hour of the entry, `[24]` each."""
    counts, pips = [0] * 24, [0.0] * 24
    for trade in trades:
        hour = trade.open_time // HOUR % 24
        counts[hour] += 1
        pips[hour] += trade.pips
    return {"trades": list(counts), "pips": pips}


def _action_point(decision: Mapping[str, Any]) -> ActionPoint:
    place = ACTIONS.index(decision["action"])
    hold, buy, sell, close = (int(place == action) for action in range(4))
    visits, value = decision["visits"], decision["value"]
    total = sum(visits) if visits else 0
    return ActionPoint(
        start=decision["ns"],
        end=decision["ns"],
        counts=(hold, buy, sell, close),
        vetoes=int(decision["veto"] is not None),
        searched=int(value is not None),
        value=value or 0.0,
        value_low=math.inf if value is None else value,
        value_high=-math.inf if value is None else value,
        support=visits[place] / total if total else 0.0,
    )


def _equity_columns(points: Sequence[EquityPoint]) -> dict[str, list[float]]:
    return {
        "time": [_ms(point.time) for point in points],
        "closed": [round(point.closed, 2) for point in points],
        "marked": [round(point.marked, 2) for point in points],
        "fall": [round(-point.fall, 2) for point in points],
    }


def _price_columns(points: Sequence[PricePoint]) -> dict[str, list[float]]:
    return {
        "time": [_ms(point.time) for point in points],
        "low": [_short(point.low) for point in points],
        "high": [_short(point.high) for point in points],
        "close": [_short(point.close) for point in points],
    }


def _action_columns(points: Sequence[ActionPoint]) -> dict[str, list[Any]]:
    searched = [point if point.searched else None for point in points]
    return {
        "start": [_ms(point.start) for point in points],
        "end": [_ms(point.end) for point in points],
        "counts": [list(point.counts) for point in points],
        "vetoes": [point.vetoes for point in points],
        "value": [_short(point.value / point.searched) if point else None for point in searched],
        "low": [_short(point.value_low) if point else None for point in searched],
        "high": [_short(point.value_high) if point else None for point in searched],
        "support": [_short(point.support / point.searched) if point else None for point in searched],
    }


def _trade_columns(trades: Sequence[TradeRow]) -> dict[str, list[Any]]:
    return {
        "instrument": [trade.instrument for trade in trades],
        "side": [trade.side for trade in trades],
        "units": [trade.units for trade in trades],
        "open": [_ms(trade.open_time) for trade in trades],
        "entry": [trade.open_price for trade in trades],
        "close": [_ms(trade.close_time) for trade in trades],
        "exit": [trade.close_price for trade in trades],
        "pips": [_short(trade.pips) for trade in trades],
        "pnl": [_short(trade.pnl) for trade in trades],
        "currency": [trade.currency for trade in trades],
        "reward": [_short(trade.reward) for trade in trades],
        "bars": [trade.bars for trade in trades],
        "reason": [trade.exit_reason for trade in trades],
    }


def _round_width(width: float) -> float:
    """The next of 1, 2, 5 x 10^n."""
    power = 10.0 ** math.floor(math.log10(width))
    return next(step * power for step in (1.0, 2.0, 5.0, 10.0) if step * power >= width * (1 - 1e-9))


def _bin(value: float, width: float) -> int:
    return math.floor(value / width + 1e-9)  # 0.3 / 0.1 is less than 3


def _ms(time: int) -> int:
    return time // 1_000_000


def _short(value: float) -> float:
    """Seven significant digits: more than a screen shows."""
    return float(f"{value:.7g}")
