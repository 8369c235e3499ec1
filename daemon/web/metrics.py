"""What Prometheus may ask for: every metric in one table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

PREFIX = "micro_trader_"
SECONDS = (1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1.0, 5.0)
PIPS = (-10.0, -5.0, -2.0, -1.0, -0.5, -0.2, -0.1, 0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        kind: `counter`, `gauge`, or `histogram` with `buckets`.
        about: one line. labels: their names.
    """

    kind: str
    about: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


TABLE: Mapping[str, Metric] = {
    "ticks_total": Metric("counter", "quotes taken in", ("instrument",)),
    "bars_total": Metric("counter", "bars closed", ("instrument",)),
    "decisions_total": Metric("counter", "decisions made", ("action",)),
    "vetoes_total": Metric("counter", "decisions that risk refused", ("reason",)),
    "orders_total": Metric("counter", "orders that ended", ("outcome",)),
    "trades_total": Metric("counter", "trades completed", ("exit_reason",)),
    "tick_to_decision_seconds": Metric("histogram", "from a tick's arrival to the decision it led to", (), SECONDS),
    "tick_to_order_seconds": Metric("histogram", "from a tick's arrival to its order on the connection", (), SECONDS),
    "stage_seconds": Metric(
        "histogram",
        "stages of that way: decide (the strategy answers), journal (the order is on disk), send (it is on the "
        "connection), answer",
        ("stage",),
        SECONDS,
    ),
    "fill_difference_pips": Metric(
        "histogram", "what a fill cost beyond the quote that was decided on; above 0 is worse", (), PIPS
    ),
    "loop_lag_seconds": Metric("histogram", "how late the event loop was", (), SECONDS),
    "journal_commit_seconds": Metric(
        "histogram", "the journal's transactions, from the first write to disk", (), SECONDS
    ),
    "journal_records": Metric("gauge", "records of the journal since it began"),
    "journal_bytes": Metric("gauge", "what the journal takes on the disk"),
    "journal_waiting": Metric("gauge", "writes that are not on disk yet"),
    "journal_oldest_seconds": Metric("gauge", "how long the oldest of them has waited"),
    "store_steps": Metric("gauge", "steps in the experience store, as of the last five minutes"),
    "store_capacity_steps": Metric("gauge", "steps that it has room for"),
    "store_evicted_steps": Metric("gauge", "steps that made room for others"),
    "store_quality": Metric("gauge", "quality of what it holds: min, p50, max", ("of",)),
    "net_pips": Metric("gauge", "pips of all trades since the start"),
    "equity": Metric("gauge", "balance and open profits, account currency"),
    "drawdown": Metric("gauge", "fall of equity from its peak, account currency"),
    "position_units": Metric("gauge", "units held, negative where short", ("instrument",)),
    "stream_age_seconds": Metric("gauge", "since the last line of a stream", ("stream",)),
    "reconnects": Metric("gauge", "streams opened after the first", ("stream",)),
    "barred": Metric("gauge", "1 while new exposure is barred", ("by",)),
    "model_info": Metric("gauge", "1 for the model that decides", ("version",)),
    "feature_drift": Metric("gauge", "largest shift of a feature's mean since training, in its deviations"),
    "model_drift": Metric("gauge", "mean log-loss of the outcome probabilities over the last decisions, nats"),
    "disk_free_bytes": Metric("gauge", "free space where the state is kept"),
    "job_runs_total": Metric("counter", "jobs that ended", ("job", "outcome")),
    "job_running": Metric("gauge", "1 while a job runs", ("job",)),
    "ready": Metric("gauge", "1 while ticks and orders are alive"),
    "lockstep_late": Metric("gauge", "waits for the emulator, in lock-step with it, that were given up"),
    "listeners": Metric("gauge", "who listens to events now"),
}


class Metrics:
    """The metrics of one daemon.

    Attributes:
        refresh: called before each reading, to set what is only known when asked for.
    """

    content_type = CONTENT_TYPE_LATEST

    def __init__(self, refresh: Callable[["Metrics"], None] = lambda _: None) -> None:
        self._registry, self.refresh = CollectorRegistry(), refresh
        self._found = {name: self._make(name, metric) for name, metric in TABLE.items()}

    def _make(self, name: str, metric: Metric) -> Counter | Gauge | Histogram:
        full = PREFIX + name
        match metric.kind:
            case "counter":
                return Counter(full, metric.about, metric.labels, registry=self._registry)
            case "gauge":
                return Gauge(full, metric.about, metric.labels, registry=self._registry)
        return Histogram(full, metric.about, metric.labels, registry=self._registry, buckets=metric.buckets)

    def count(self, name: str, *labels: str, by: float = 1.0) -> None:
        """Add to a counter."""
        counter = self._found[name]
        assert isinstance(counter, Counter)
        (counter.labels(*labels) if labels else counter).inc(by)

    def set(self, name: str, value: float, *labels: str) -> None:
        """Set a gauge."""
        gauge = self._found[name]
        assert isinstance(gauge, Gauge)
        (gauge.labels(*labels) if labels else gauge).set(value)

    def forget(self, name: str) -> None:
        """Drop all label values of a gauge."""
        self._found[name].clear()

    def observe(self, name: str, value: float, *labels: str) -> None:
        """Add to a histogram."""
        histogram = self._found[name]
        assert isinstance(histogram, Histogram)
        (histogram.labels(*labels) if labels else histogram).observe(value)

    def exposition(self) -> bytes:
        """All of them, as Prometheus reads them; in any thread, after `refresh`."""
        return generate_latest(self._registry)
