"""The front desk: what the API shows of the daemon, and what it may ask it to do."""

import asyncio
import math
import shutil
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from broker.errors import Refused
from broker.rfc3339 import rfc3339
from broker.types import LONG
from daemon import __version__
from daemon.commands.models import rows_of
from daemon.config import Config, shown
from daemon.events import Command
from daemon.experience import STORE
from daemon.models import Chosen
from daemon.operator import Obey
from daemon.promotion import Promotion
from daemon.school import School
from daemon.service import Service
from daemon.web import Health, Hub, Metrics, Order, Query
from daemon.window import Window
from training.registry import Registry
from training.store_maintenance import ExperienceMaintenance


@dataclass(frozen=True, slots=True)
class Streams:
    """Ages of the streams in seconds, and how often each was opened anew; NaN where it never was."""

    ages: Mapping[str, float]
    reconnects: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class JournalFigures:
    """The journal: records, bytes on the disk, writes that are not there yet, and how long the oldest has waited."""

    records: int
    bytes: int
    waiting: int
    oldest_s: float


@dataclass(frozen=True, slots=True)
class Behind:
    """Who stands behind the front desk.

    Attributes:
        streams: how they are. health: whether all is well. obey: does an operator's command.
        reload, stop: as SIGHUP and SIGTERM do. chosen: the model that decided at the start, or None.
        badge: what nobody may overlook: PAPER, PRACTICE or LIVE.
        journal: how it is. late: waits in lock-step with an emulator that were given up.
    """

    service: Service
    window: Window
    registry: Registry
    promotion: Promotion | None
    school: School | None
    streams: Callable[[], Streams]
    health: Callable[[], Health]
    obey: Obey
    reload: Callable[[], Mapping[str, Any]]
    stop: Callable[[], None]
    chosen: Chosen | None
    badge: str
    journal: Callable[[], JournalFigures]
    late: Callable[[], int]


class FrontDesk:
    """An office (`daemon/web/office.py`) over the service.

    Args:
        config: in force. started: when, ns.
    """

    def __init__(self, config: Config, behind: Behind, hub: Hub, started: int) -> None:
        self._config, self._behind, self._hub, self._started = config, behind, hub, started
        self._state = Path(config.state.dir)
        self._stock: Mapping[str, Any] = {}

    def health(self) -> Health:
        """As the daemon sees itself."""
        return self._behind.health()

    async def view(self, name: str, query: Query) -> dict[str, Any]:
        """A document; what lies on the disk is read in another thread."""
        window = self._behind.window
        match name:
            case "status":
                return self.status()
            case "positions":
                return {"positions": self.positions()}
            case "trades":
                return {"trades": window.trades(query)}
            case "decisions":
                return {"decisions": window.decisions(query)}
            case "bars":
                return {"bars": window.bars(query)}
            case "models":
                return await asyncio.to_thread(self._models)
            case "store":
                self._stock = await asyncio.to_thread(self._store)
                return dict(self._stock)
            case "risk":
                return self.risk()
            case _:
                return shown(self._config)

    async def act(self, order: Order) -> dict[str, Any]:
        """Carry out a command; the operator's are in the journal, on the disk, when this returns."""
        who, why = order.who, order.reason
        match order.command:
            case "reload":
                return dict(self._behind.reload())
            case "stop":
                self._behind.stop()
                return {}
            case "swap":
                key = await self._promoting().swap(order.version, why or f"asked for by {who}")
                return {"version": key}
            case "rollback":
                return {"version": await self._promoting().rollback(why or f"asked for by {who}")}
        await self._behind.obey(Command(order.command), who, why)
        return {"state": self._behind.service.desk.state.value}

    def _promoting(self) -> Promotion:
        if self._behind.promotion is None:
            raise Refused(f"the strategy {self._config.strategy} has no models")
        return self._behind.promotion

    # Documents.

    def status(self) -> dict[str, Any]:
        """How the daemon is."""
        behind, service, health = self._behind, self._behind.service, self.health()
        known, streams = service.status(), behind.streams()
        watch = behind.promotion.watch if behind.promotion else None
        return {
            "version": __version__,
            "mode": self._config.mode,
            "badge": behind.badge,
            "state": known["state"],
            "ready": health.ready,
            "why": health.why,
            "clock": known["clock"] if service.desk.clock else None,
            "started": rfc3339(self._started),
            "instruments": list(self._config.instruments),
            "strategy": self._config.strategy,
            "model": {"version": known["model"], "probation": watch is not None and watch.probation},
            "streams": {
                name: {"age_s": _finite(age), "reconnects": streams.reconnects[name]}
                for name, age in streams.ages.items()
            },
            "account": {key: known[key] for key in ("balance", "equity", "tripped")}
            | {"currency": self._config.account.currency},
            "counts": {key: known[key] for key in ("decisions", "trades", "orders_sent", "quotes_dropped")}
            | {"lockstep_late": behind.late()},
            "prices": known["instruments"],
            "barred": service.session.risk.reasons(),
            "net_pips": behind.window.net_pips,
            "unattended": known["unattended"],
            "folder": known["folder"],
            "jobs": behind.school.jobs.status() if behind.school else [],
            "coming": behind.school.coming() if behind.school else {},
        }

    def positions(self) -> list[dict[str, Any]]:
        """What is held."""
        rows = []
        for lane in self._behind.service.session.lanes:
            position, pair = lane.ledger.position, lane.instrument
            if position is None:
                continue
            rows.append(
                {
                    "instrument": pair.name,
                    "side": "long" if position.side == LONG else "short",
                    "units": abs(position.units),
                    "open_time": rfc3339(position.open_time),
                    "open_price": pair.price_float(position.open_price),
                    "open_pips": lane.ledger.open_pips(int(lane.bar["bid"][0]), int(lane.bar["ask"][0])),
                    "bars": position.bars,
                    "stop_price": pair.price_float(position.stop_price) if position.stop_price else None,
                    "take_profit_price": pair.price_float(position.take_profit_price)
                    if position.take_profit_price
                    else None,
                    "model": position.model,
                }
            )
        return rows

    def risk(self) -> dict[str, Any]:
        """Limits, and how much of them is used."""
        risk = self._behind.service.session.risk
        barred = self._behind.service.session.risk.reasons()
        return {
            "limits": asdict(risk.limits),
            "used": risk.used(),
            "barred": [{"by": by, "why": why} for by, why in barred.items()],
        }

    def _models(self) -> dict[str, Any]:
        """The registry's rows, each with what the gate said against it and why it became what it is."""
        registry = self._behind.registry
        changes = {change.id: change for change in registry.history()}
        rows = []
        for row in rows_of(registry):
            gate, change = (registry.verdict(row["version"]) or {}).get("gate", {}), changes.get(row["version"])
            rows.append({**row, "reasons": gate.get("reasons", []), "why": change.why if change else ""})
        return {"best": registry.best(), "models": rows}

    def _store(self) -> dict[str, Any]:
        path = self._state / STORE
        if not path.exists():
            return {"size": 0, "capacity": self._config.store.capacity, "trades": 0}
        with closing(ExperienceMaintenance(path)) as store:
            return store.stats()

    # Metrics.

    def measure(self, metrics: Metrics) -> None:
        """Set what is only known when asked for."""
        behind, service = self._behind, self._behind.service
        used, streams = service.session.risk.used(), behind.streams()
        metrics.set("ready", float(self.health().ready))
        metrics.set("equity", used["equity"])
        metrics.set("drawdown", used["drawdown"])
        metrics.set("net_pips", behind.window.net_pips)
        metrics.set("listeners", self._hub.listeners)
        metrics.set("lockstep_late", behind.late())
        self._measure_disk(metrics)
        for lane in service.session.lanes:
            metrics.set("position_units", lane.ledger.units, lane.instrument.name)
        for name, age in streams.ages.items():
            metrics.set("stream_age_seconds", age, name)
            metrics.set("reconnects", streams.reconnects[name], name)
        metrics.forget("barred")
        for by in service.session.risk.reasons():
            metrics.set("barred", 1.0, by)
        metrics.forget("model_info")
        metrics.set("model_info", 1.0, service.session.lanes[0].strategy.model)
        metrics.set("model_drift", behind.window.model_drift())
        if behind.chosen is not None:
            model = behind.chosen.model
            metrics.set("feature_drift", behind.window.feature_drift(model.mean, model.deviation))
        metrics.forget("job_running")
        for row in behind.school.jobs.status() if behind.school else ():
            metrics.set("job_running", float(row["state"] == "running"), row["job"])

    def _measure_disk(self, metrics: Metrics) -> None:
        journal, stock = self._behind.journal(), self._stock
        metrics.set("disk_free_bytes", shutil.disk_usage(self._state).free)
        metrics.set("journal_records", journal.records)
        metrics.set("journal_bytes", journal.bytes)
        metrics.set("journal_waiting", journal.waiting)
        metrics.set("journal_oldest_seconds", journal.oldest_s)
        metrics.set("store_steps", stock.get("size", 0))
        metrics.set("store_capacity_steps", stock.get("capacity", self._config.store.capacity))
        metrics.set("store_evicted_steps", stock.get("evicted_steps", 0))
        for of, quality in stock.get("quality", {}).items():
            metrics.set("store_quality", math.nan if quality is None else quality, of)


def _finite(value: float) -> float | None:
    return value if value == value and abs(value) != float("inf") else None
