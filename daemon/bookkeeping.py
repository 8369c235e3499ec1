"""What a replay writes down of its session: the run folder's rows, and the counters of the summary."""

from collections.abc import Iterable, Sequence
from time import perf_counter_ns
from typing import Any

from broker.types import Bar, Cancel, Fill, Instrument, Order, Trade
from daemon.feeds import Feed
from daemon.runfolder import RunFolder
from daemon.summary import Costs, Counts, Drawdown, Latency
from strategy.plugin import Choice, Observation, Remembers, Strategy


class Bookkeeper:
    """The sink of a replay's session.

    Args:
        folder: where rows go.
        instruments: those traded.
        commission_pips: of a completed trade.
    """

    def __init__(self, folder: RunFolder, instruments: Iterable[Instrument], commission_pips: float) -> None:
        self._folder, self._commission = folder, commission_pips
        self._instruments = {instrument.name: instrument for instrument in instruments}
        self.trades: list[Trade] = []
        self.costs = Costs()
        self.drawdown = Drawdown()
        self.bars = self.decisions = self.orders = 0
        self._closed_pips = 0.0
        self._open_pips: dict[str, float] = {}
        self._entries: dict[str, list[Fill]] = {}
        self._opened: dict[str, int] = {}

    def decided(self, seen: Observation, choice: Choice, target: int, veto: str | None, model: str) -> None:
        """Log a decision."""
        self.decisions += 1
        self._folder.decision(seen, choice, target, veto, model)

    def ordered(self, order: Order, end: Fill | Cancel) -> None:
        """Log an order's end, and what its fill cost."""
        self.orders += 1
        instrument = self._instruments[order.instrument]
        self._folder.order(order, end, instrument)
        if isinstance(end, Fill):
            self.costs.fill(end, instrument, trades=2 if order.reason == "reverse" else 1)
            if order.opens:
                self._entries[order.instrument] = [*self._entries.get(order.instrument, [])[-1:], end]

    def traded(self, trade: Trade, fill: Fill) -> None:
        """Log a completed trade."""
        instrument = self._instruments[trade.instrument]
        self.trades.append(trade)
        self._folder.trade(trade, instrument)
        if not fill.order_id:
            self.costs.fill(fill, instrument)
        if self._opened.get(trade.instrument) == trade.open_time:
            self._part(trade, instrument)
        self._opened[trade.instrument] = trade.open_time
        self.costs.commission(self._commission)
        self.costs.interest(trade.financing, trade.currency)
        self._closed_pips += trade.pips
        self._mark(trade.instrument, 0.0)

    def barred(self, instrument: Instrument, bar: Bar, open_pips: float) -> None:
        """Count a bar, and follow the curve of closed and open pips."""
        self.bars += 1
        self._mark(instrument.name, open_pips)

    def counts(self, feeds: Sequence[Feed], latency: Latency, seconds: float) -> Counts:
        """All that was counted, once the quotes are over."""
        times = [time for feed in feeds for time in (feed.first, feed.last) if time is not None]
        return Counts(
            ticks=sum(feed.source.read for feed in feeds),
            dropped=sum(feed.source.dropped for feed in feeds),
            skipped_lines=sum(feed.source.skipped_lines for feed in feeds),
            bars=self.bars,
            decisions=self.decisions,
            orders=self.orders,
            first=min(times, default=None),
            last=max(times, default=None),
            seconds=seconds,
            max_drawdown_mtm_pips=self.drawdown.largest,
            costs=self.costs,
            latency=latency,
            decision_log_sha256=self._folder.decision_log_sha256,
        )

    def _part(self, trade: Trade, instrument: Instrument) -> None:
        """Another part of a position has the same entry, whose cost is in its pips too."""
        for entry in self._entries.get(trade.instrument, []):
            if entry.time == trade.open_time:
                self.costs.fill(entry, instrument)

    def _mark(self, instrument: str, open_pips: float) -> None:
        self._open_pips[instrument] = open_pips
        self.drawdown.update(self._closed_pips + sum(self._open_pips.values()))


class Timed:
    """A strategy whose decisions are timed."""

    def __init__(self, strategy: Strategy, latency: Latency) -> None:
        self._strategy, self._latency = strategy, latency
        self.on_bar = strategy.on_bar

    @property
    def model(self) -> str:
        """The strategy's own."""
        return self._strategy.model

    @property
    def feature_set(self) -> str | None:
        """The strategy's own."""
        return self._strategy.feature_set

    def memory(self) -> dict[str, Any]:
        """The strategy's own; nothing where it keeps nothing."""
        return self._strategy.memory() if isinstance(self._strategy, Remembers) else {}

    def recall(self, known: dict[str, Any]) -> None:
        """Hand it back."""
        if known and isinstance(self._strategy, Remembers):
            self._strategy.recall(known)

    def decide(self, observation: Observation) -> Choice:
        """The strategy's choice."""
        start = perf_counter_ns()
        choice = self._strategy.decide(observation)
        self._latency.add(perf_counter_ns() - start)
        return choice
