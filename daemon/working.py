"""Jobs without a daemon: what `micro-trader work` does, for those who let a service or a timer of their own run them.

Learning and validating are the daemon's jobs, here by the computer's clock. What comes of them, a model or a verdict,
lies in the state folder; the daemon that trades there acts on it.
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
            await asyncio.gather(watching, waiting, worker, return_exceptions=True)

    async def _watch(self, once: bool) -> None:
        if once:
            self._ask()
        alive = sign_of(self._state, self._job)
        while not (once and self.outcomes):
            await asyncio.to_thread(alive.write_text, str(self._now()))
            due = [] if once else await asyncio.to_thread(self._schedule.due, self._now())
            if due:
                self._ask()
            await asyncio.sleep(LOOK_S)

    def _ask(self) -> None:
        files = training_files(self._state / "ticks", self._config) if self._job == "train" else []
        began = self._jobs.ask(self._job, [self._job, *map(str, files), *self._options])
        self._log.info("job_began" if began else "job_overlaps", job=self._job)

    def _ended(self, ended: Ended) -> None:
        facts: Mapping[str, Any] = {"job": ended.job, "outcome": ended.outcome, "seconds": round(ended.seconds, 1)}
        version = ended.document.get("version")
        say = self._log.info if ended.outcome == "done" else self._log.warning
        say("job_ended", **facts, version=version, detail="" if version else ended.detail)
        self.outcomes.append(ended.outcome)
