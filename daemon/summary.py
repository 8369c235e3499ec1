"""The figures of a run, from its trades and counters (rules: Best model; interface: replay's keys)."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from broker.rfc3339 import rfc3339
from broker.types import Fill, Instrument, Trade

WORST_SCORE = -1000.0
FEW_TRADES = 100


@dataclass(frozen=True, slots=True)
class Run:
    """What was run, and what its numbers are not.

    Attributes:
        source: `quotes` or `bars`.
        synthetic: the prices are made up.
        in_sample: the model learned from these data; None where nobody knows.
        untrained: the model never learned anything.
        learned_market: the synthetic market that the model learned on, if it did.
    """

    strategy: str
    model: str
    seed: int
    out: str
    source: str
    instruments: tuple[Instrument, ...]
    bar: str
    mode: str = "replay"
    synthetic: bool = False
    in_sample: bool | None = None
    untrained: bool = False
    learned_market: str | None = None


@dataclass(slots=True)
class Costs:
    """What trading cost, in pips for each unit traded, and financing in money; grows fill by fill.

    With them `gross pips = net pips + spread + slippage + commission`, gross being the move from mid to mid.
    """

    spread_pips: float = 0.0
    slippage_pips: float = 0.0
    commission_pips: float = 0.0
    financing: dict[str, Decimal] = field(default_factory=dict)

    def fill(self, fill: Fill, instrument: Instrument, trades: int = 1) -> None:
        """Add a fill: half the spread, and its distance from the quoted side.

        Args:
            trades: how many trades it opens and closes (a reversal: 2).
        """
        quoted = fill.ask if fill.units > 0 else fill.bid
        self.spread_pips += trades * (fill.ask - fill.bid) / 2 / instrument.points_per_pip
        adverse = fill.price - quoted if fill.units > 0 else quoted - fill.price
        self.slippage_pips += trades * adverse / instrument.points_per_pip

    def commission(self, pips: float) -> None:
        """Add a completed trade's commission."""
        self.commission_pips += pips

    def interest(self, amount: Decimal, currency: str) -> None:
        """Add the financing within a completed trade's profit."""
        if amount:
            self.financing[currency] = self.financing.get(currency, Decimal(0)) + amount

    def document(self, net_pips: float) -> dict[str, Any]:
        """The summary's `costs`."""
        return {
            "gross_pips": math.fsum((net_pips, self.spread_pips, self.slippage_pips, self.commission_pips)),
            "spread_pips": self.spread_pips,
            "slippage_pips": self.slippage_pips,
            "commission_pips": self.commission_pips,
            "financing": {currency: float(amount) for currency, amount in sorted(self.financing.items())},
        }


@dataclass(slots=True)
class Drawdown:
    """Largest fall of a curve from its peak, the curve starting at 0.

    >>> fall = Drawdown()
    >>> [fall.update(level) for level in (2.0, -1.0, 1.0, 3.0)]
    [0.0, 3.0, 3.0, 3.0]
    """

    peak: float = 0.0
    largest: float = 0.0

    def update(self, level: float) -> float:
        """Take in the curve's next point; returns the largest fall so far, positive."""
        self.peak = max(self.peak, level)
        self.largest = max(self.largest, self.peak - level)
        return self.largest


class Latency:
    """Quantiles of durations in constant memory: exact to 1 % (bins of that width), the maximum exact."""

    _RATIO = math.log1p(0.01)
    _BINS = 2400  # 1.01 ** 2400 us is longer than a year would need

    def __init__(self) -> None:
        self._counts = [0] * self._BINS
        self._longest_ns = 0

    def add(self, duration_ns: int) -> None:
        """Take in a duration."""
        place = int(math.log(max(duration_ns, 100) / 100) / self._RATIO)
        self._counts[min(place, self._BINS - 1)] += 1
        self._longest_ns = max(self._longest_ns, duration_ns)

    def document(self) -> dict[str, float]:
        """p50, p99 and max, ms; 0 where nothing was measured."""
        return {"p50": self._quantile(0.50), "p99": self._quantile(0.99), "max": self._longest_ns / 1e6}

    def _quantile(self, share: float) -> float:
        wanted = share * sum(self._counts)
        if wanted == 0:
            return 0.0
        seen = 0
        for place, count in enumerate(self._counts):
            seen += count
            if seen >= wanted:
                return min(100 * math.exp((place + 0.5) * self._RATIO), self._longest_ns) / 1e6
        raise AssertionError("the bins hold every duration")


@dataclass(frozen=True, slots=True)
class Counts:
    """What a run counted.

    Attributes:
        ticks: quotes read; `dropped` of them were never traded on.
        skipped_lines: broken lines skipped.
        orders: rows of orders.csv.
        first, last: times of the first and the last quote, ns; None without one.
        seconds: wall time of the whole run.
        max_drawdown_mtm_pips: of closed plus open pips, sampled at every bar close and trade.
        decision_log_sha256: digest of decisions.jsonl.
    """

    ticks: int
    dropped: int
    skipped_lines: int
    bars: int
    decisions: int
    orders: int
    first: int | None
    last: int | None
    seconds: float
    max_drawdown_mtm_pips: float
    costs: Costs
    latency: Latency
    decision_log_sha256: str


def summarise(trades: Sequence[Trade], counts: Counts, run: Run) -> dict[str, Any]:
    """The document of summary.json and of `--json`. Figures over zero trades are 0."""
    trades = sorted(trades, key=lambda trade: trade.close_time)  # one instrument's last may come late
    figures = trade_figures([trade.pips for trade in trades])
    return {
        "mode": run.mode,
        "strategy": run.strategy,
        "model": run.model,
        "seed": run.seed,
        "instruments": [instrument.name for instrument in run.instruments],
        "bar": run.bar,
        "source": run.source,
        "synthetic": run.synthetic,
        "in_sample": run.in_sample,
        "untrained": run.untrained,
        "first": None if counts.first is None else rfc3339(counts.first),
        "last": None if counts.last is None else rfc3339(counts.last),
        "ticks": counts.ticks,
        "dropped": counts.dropped,
        "skipped_lines": counts.skipped_lines,
        "bars": counts.bars,
        "decisions": counts.decisions,
        "orders": counts.orders,
        **figures,
        "max_drawdown_mtm_pips": counts.max_drawdown_mtm_pips,
        "pnl": pnl_by_currency(trades),
        "costs": counts.costs.document(figures["net_pips"]),
        "by_instrument": [_instrument_figures(instrument, trades) for instrument in run.instruments],
        "decision_ms": counts.latency.document(),
        "ticks_per_s": counts.ticks / counts.seconds if counts.seconds > 0 else 0.0,
        "seconds": counts.seconds,
        "out": run.out,
        "decision_log_sha256": counts.decision_log_sha256,
        "caveats": list(caveats(run, counts.decisions, len(trades))),
    }


def trade_figures(pips: Sequence[float]) -> dict[str, Any]:
    """Hit rate, expectancy, score and drawdown of closed trades, given in order of their close."""
    wins = [result for result in pips if result > 0]
    losses = [result for result in pips if not result > 0]
    trades, lost, won = len(pips), -math.fsum(losses), math.fsum(wins)
    win_rate = _share(len(wins), trades)
    expectancy = win_rate * _share(won, len(wins)) - (1 - win_rate) * _share(lost, len(losses))
    average = _share(math.fsum(pips), trades)
    return {
        "trades": trades,
        "wins": len(wins),
        "losses": len(losses),
        "win_rate": win_rate,
        "expectancy_pips": expectancy,
        "avg_pnl_pips": average,
        "quality_score": quality_score(expectancy, average, win_rate, trades),
        "net_pips": math.fsum(pips),
        "profit_factor": won / lost if lost > 0 else None,
        "max_drawdown_pips": max_drawdown(pips),
    }


def quality_score(expectancy: float, average: float, win_rate: float, trades: int) -> float:
    """The score that ranks models (rules: Best model); -1000 without a trade."""
    if trades == 0:
        return WORST_SCORE
    return expectancy * 5.0 + average * 0.5 + win_rate * min(trades, 10) * 2.0 + min(trades * 0.1, 1.0)


def max_drawdown(pips: Iterable[float]) -> float:
    """Largest fall of the closed-trade curve, pips."""
    fall, level, error = Drawdown(), 0.0, 0.0
    for result in pips:  # compensated (Neumaier): ten thousand trades must not add up ten thousand roundings
        total = level + result
        error += (level - total) + result if abs(level) >= abs(result) else (result - total) + level
        level = total
        fall.update(level + error)
    return fall.largest


def pnl_by_currency(trades: Iterable[Trade]) -> dict[str, float]:
    """Money won or lost in each currency, summed exactly."""
    totals: dict[str, Decimal] = {}
    for trade in trades:
        totals[trade.currency] = totals.get(trade.currency, Decimal(0)) + trade.pnl
    return {currency: float(total) for currency, total in sorted(totals.items())}


def caveats(run: Run, decisions: int, trades: int) -> Iterator[str]:
    """What the numbers are not, in plain sentences."""
    if run.synthetic:
        yield "Synthetic prices: this shows that the program works, not what a market would have paid."
    if run.untrained:
        yield f"Untrained model: {run.model} holds initial weights; its decisions carry no skill."
    if run.learned_market is not None and not run.synthetic:
        yield f"Learned elsewhere: {run.model} knows the synthetic market {run.learned_market} alone, no real quotes."
    if run.in_sample:
        yield "In-sample: the model learned from these very data; expect less of data it has not seen."
    if run.in_sample is None and not run.untrained:
        yield "It is not known whether the model has seen these data; treat the result as in-sample."
    if run.source == "bars":
        yield "Made from bars: four quotes a bar stand in for the real ones, so fills inside a bar are guesses."
    if decisions == 0:
        yield "No decision was made: the data never left the warm-up."
    elif trades < FEW_TRADES:
        yield f"Few trades ({trades}): figures over fewer than {FEW_TRADES} trades are mostly chance."


def _instrument_figures(instrument: Instrument, trades: Iterable[Trade]) -> dict[str, Any]:
    pips = [trade.pips for trade in trades if trade.instrument == instrument.name]
    figures = trade_figures(pips)
    return {
        "instrument": instrument.name,
        "pip": float(Decimal(1).scaleb(instrument.pip_location)),
        "precision": instrument.precision,
        **{name: figures[name] for name in ("trades", "wins", "net_pips", "max_drawdown_pips")},
    }


def _share(total: float, count: int) -> float:
    return total / count if count else 0.0
