"""The school: what the daemon learns, and when. Jobs on schedule, verdicts acted on, the best model watched.

Training and validation are child processes that add a model or a verdict; what trades is changed here, by promotion.
"""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from broker.errors import TraderError
from broker.oanda.recording import PLAIN
from broker.rfc3339 import rfc3339
from broker.ticks.writing import ENDINGS
from broker.types import MINUTE, SECOND
from daemon.config import Config
from daemon.jobs import Bounds, Ended, Jobs
from daemon.promotion import Promotion
from daemon.schedule import Schedule

LOOK_S = 1.0
KEPT = "schedule.json"


@dataclass(frozen=True, slots=True)
class Chores:
    """Jobs that the daemon does itself, since nobody else may write what they write; each takes long.

    Attributes:
        backup: copies what is kept into a new folder of that name. prune: deletes what is old.
        report: how the day before went, as figures.
    """

    backup: Callable[[Path], Mapping[str, Any]]
    prune: Callable[[], Mapping[str, Any]]
    report: Callable[[int], Mapping[str, Any]]


class School:
    """Runs what is due.

    Args:
        config: with [schedule]. options: of every child's command line: `--config`, `--state`.
        promotion: acts on verdicts. chores: in a thread.
        tell: says what happened, with its figures. now: the session's clock, ns.
    """

    def __init__(
        self,
        config: Config,
        options: Sequence[str],
        promotion: Promotion,
        chores: Chores,
        tell: Callable[[str, Mapping[str, Any]], None],
        now: Callable[[], int],
    ) -> None:
        settings = config.schedule
        self._config, self._options, self._promotion, self._chores = config, tuple(options), promotion, chores
        self._tell, self._now = tell, now
        self._state = Path(config.state.dir)
        lines = {job: getattr(settings, job) for job in ("backup", "train", "validate", "prune", "report")}
        self._schedule = Schedule(lines if settings.enabled else {}, self._state / KEPT)
        seconds = settings.job_minutes * MINUTE / SECOND
        self.jobs = Jobs(Bounds(settings.nice, seconds, settings.job_memory_mb), now, self._ended)

    async def run(self) -> None:
        """Go on until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.jobs.run())
            while True:
                await asyncio.sleep(LOOK_S)
                now = self._now()
                for due in await asyncio.to_thread(self._schedule.due, now) if now else ():
                    if due.missed:
                        self._tell("job_missed", {"job": due.job, "times": due.missed})
                    await self.begin(due.job)
                await self._promotion.look()

    def coming(self) -> dict[str, str]:
        """When each job runs next."""
        now = self._now()
        return {job: rfc3339(time) for job, time in self._schedule.coming(now).items()} if now else {}

    async def begin(self, job: str) -> None:
        """Do a job now, or say why not."""
        match job:
            case "train":
                files = training_files(self._state / "ticks", self._config)
                self._ask(job, ["train", *map(str, files)])
            case "validate":
                self._ask(job, ["validate"])
            case "backup":
                folder = self._state / "backups" / rfc3339(self._now())[:19].replace(":", "")
                await self._do(job, partial(self._chores.backup, folder))
            case "prune":
                await self._do(job, self._chores.prune)
            case "report":
                await self._do(job, partial(self._chores.report, self._now()))

    def _ask(self, job: str, arguments: Sequence[str]) -> None:
        if self.jobs.ask(job, [*arguments, *self._options]):
            self._tell("job_began", {"job": job})
        else:
            self._tell("job_overlaps", {"job": job, "why": "the one before still waits or runs"})

    async def _do(self, job: str, chore: Callable[[], Mapping[str, Any]]) -> None:
        """Do a chore; one that fails is told, and what trades goes on."""
        try:
            facts = await asyncio.to_thread(chore)
        except (TraderError, OSError) as error:
            self._tell("job_ended", {"job": job, "outcome": "failed", "detail": str(error)})
            return
        if job == "report":
            self._tell("summary", facts)
        else:
            self._tell("job_ended", {"job": job, "outcome": "done", **facts})

    def _ended(self, ended: Ended) -> None:
        facts = {"job": ended.job, "outcome": ended.outcome, "seconds": round(ended.seconds, 1)}
        version = ended.document.get("version")
        self._tell("job_ended", {**facts, "version": version, "detail": ended.detail})
        if ended.job == "train" and ended.outcome == "done":
            self._ask("validate", ["validate", str(version)])


def training_files(folder: Path, config: Config) -> list[Path]:
    """Finished recordings to learn from: of each instrument all but the latest share, which validation needs.

    Recordings are named `EUR_USD-2026-01-02.oanda.jsonl.zst`, history of other formats likewise: the day sorts.
    """
    settings = config.schedule
    found = (path for path in folder.rglob("*-*") if path.name.endswith(ENDINGS) and path.name[0] != ".")
    paths = sorted((path for path in found if not path.name.endswith(PLAIN)), key=lambda path: path.name)
    chosen: list[Path] = []
    for name, group in groupby(paths, key=lambda path: path.name.partition("-")[0]):
        days = list(group)
        if name in config.instruments:
            known = days[: len(days) - math.ceil(len(days) * settings.unseen_share)]
            chosen += known[-settings.window_days :] if settings.window_days else known
    return chosen
