"""Jobs without a daemon: what `micro-trader work` does, for those who let a service or a timer of their own run them.

Learning and validating are the daemon's jobs, here by the computer's clock. What comes of them, a model or a verdict,
lies in the state folder; the daemon that trades there acts on it. Two things do not wait for the schedule: the first
learning, where there is something to learn from and no model yet, and the verdict on a new candidate.
"""

import asyncio
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import structlog

from daemon.alive import sign_of
from daemon.config import Config
from daemon.jobs import Bounds, Ended, Jobs
from daemon.schedule import Schedule
from daemon.school import training_files
from training.locks import FileLock
from training.registry import Registry, State

LOOK_S = 1.0
JOBS = ("train", "validate")


class Worker:
    """Runs one kind of job on schedule until told to stop.

    Args:
        job: `train` or `validate`. options: of the children's command lines. now: ns.
    """

    def __init__(self, config: Config, job: str, options: Sequence[str], now: Callable[[], int]) -> None:
        settings = config.schedule
        self._config, self._job, self._options, self._now = config, job, tuple(options), now
        self._state = Path(config.state.dir)
        self._log = structlog.get_logger()
        self._schedule = Schedule({job: getattr(settings, job)}, self._state / f"schedule-{job}.json")
        bounds = Bounds(settings.nice, settings.job_minutes * 60.0, settings.job_memory_mb)
        self._jobs = Jobs(bounds, now, self._ended)
        self._stop = asyncio.Event()
        self._registry = Registry(self._state / "models", f"work {job}", now)
        self._known: set[str] = set()
        self.outcomes: list[str] = []

    async def run(self, *, once: bool) -> None:
        """Work until SIGTERM or SIGINT, or `once` until the job is done.

        Raises:
            BadInput: another worker of this kind runs.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        with FileLock(self._state / f"work-{self._job}.lock", f"work {self._job}", self._now):
            worker, waiting = asyncio.create_task(self._jobs.run()), asyncio.create_task(self._stop.wait())
            watching = asyncio.create_task(self._watch(once))
            await asyncio.wait((worker, waiting, watching), return_when=asyncio.FIRST_COMPLETED)
            for task in (watching, waiting, worker):
                task.cancel()
            for fault in await asyncio.gather(watching, waiting, worker, return_exceptions=True):
                if isinstance(fault, Exception):
                    raise fault

    async def _watch(self, once: bool) -> None:
        if once or (self._job == "train" and await asyncio.to_thread(self._never_learned)):
            self._ask()
        alive = sign_of(self._state, self._job)
        while not (once and self.outcomes):
            await asyncio.to_thread(alive.write_text, str(self._now()))
            due = [] if once else await asyncio.to_thread(self._schedule.due, self._now())
            if due:
                self._ask()
            elif self._job == "validate" and not once and (version := await asyncio.to_thread(self._fresh)):
                self._ask(version)
            await asyncio.sleep(LOOK_S)

    def _never_learned(self) -> bool:
        return not self._registry.folders.ids() and bool(self._files())

    def _fresh(self) -> str:
        """The newest candidate without a verdict, where models have come since the last look; "" where not."""
        if self._jobs.busy:
            return ""
        before, self._known = self._known, set(self._registry.folders.ids())
        if self._known <= before:
            return ""
        states, judged = self._registry.states(), self._registry.verdicts()
        waiting = [key for key, state in states.items() if state is State.CANDIDATE and key not in judged]
        return max(waiting, key=self._registry.folders.added, default="")

    def _files(self) -> list[Path]:
        return training_files(self._state / "ticks", self._config)

    def _ask(self, version: str = "") -> None:
        named = [version] if version else map(str, self._files() if self._job == "train" else ())
        began = self._jobs.ask(self._job, [self._job, *named, *self._options])
        self._log.info("job_began" if began else "job_overlaps", job=self._job)

    def _ended(self, ended: Ended) -> None:
        facts: Mapping[str, Any] = {"job": ended.job, "outcome": ended.outcome, "seconds": round(ended.seconds, 1)}
        version = ended.document.get("version")
        say = self._log.info if ended.outcome == "done" else self._log.warning
        say("job_ended", **facts, version=version, detail="" if version else ended.detail)
        self.outcomes.append(ended.outcome)
