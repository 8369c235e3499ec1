"""When jobs are due: cron lines and intervals, by the session's clock, remembered over restarts.

The triggers are APScheduler's. Its own scheduler wakes by the computer's clock; a session in a replay, over the
emulator, or in a test has another one, so what is due is asked for each time that the session's clock moves on.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from broker.errors import BadInput, StorageFault
from broker.rfc3339 import parse_rfc3339, rfc3339
from daemon.whole import write_whole

_EVERY = re.compile(r"every ([1-9][0-9]{0,5})(m|h|d)", re.ASCII)
_SECONDS = {"m": 60, "h": 3600, "d": 86_400}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_MISSED = 100_000


def trigger_of(text: str) -> BaseTrigger | None:
    """What a line of [schedule] means: a cron line of five fields, UTC, or `every 6h`; None where it is "".

    Raises:
        ValueError: it is neither.
    """
    if not text:
        return None
    if found := _EVERY.fullmatch(text):
        return IntervalTrigger(seconds=int(found[1]) * _SECONDS[found[2]], start_date=_EPOCH, timezone=UTC)
    return CronTrigger.from_crontab(text, timezone=UTC)


@dataclass(frozen=True, slots=True)
class Due:
    """A job whose time has come.

    Attributes:
        at: when it should have run last, ns.
        missed: times before that for which nobody was there; they are not made up for.
    """

    job: str
    at: int
    missed: int


class Schedule:
    """The jobs of a daemon.

    Args:
        lines: a line for each job, in the order in which they run when several are due.
        kept: file that remembers the last times.

    Raises:
        BadInput: a line is no schedule. StorageFault: the file can't be read.
    """

    def __init__(self, lines: Mapping[str, str], kept: Path) -> None:
        self._kept = kept
        self._triggers: dict[str, BaseTrigger] = {}
        for job, line in lines.items():
            try:
                trigger = trigger_of(line)
            except ValueError as error:
                mend = 'a cron line like "30 2 * * sat", or "every 6h"'
                raise BadInput(f"{line!r} is no schedule: {error}", where=f"[schedule] {job}", mend=mend) from error
            if trigger is not None:
                self._triggers[job] = trigger
        self._last = self._read()
        self._next: dict[str, int] = {}

    def due(self, now: int) -> list[Due]:
        """The jobs whose time has come since the last call; each once, however often it was missed.

        Raises:
            StorageFault: what ran can't be written down.
        """
        found = [due for job in self._triggers if (due := self._due(job, now)) is not None]
        if found:
            self._write()
        return found

    def coming(self, now: int) -> dict[str, int]:
        """When each job runs next, ns."""
        return {job: self._after(job, max(now, self._last.get(job, now))) for job in self._triggers}

    def _due(self, job: str, now: int) -> Due | None:
        if job not in self._last:
            self._last[job] = now
        if job not in self._next:
            self._next[job] = self._after(job, self._last[job])
        at = self._next[job]
        if at > now:
            return None
        missed = 0
        while (later := self._after(job, at)) <= now and missed < _MOST_MISSED:
            at, missed = later, missed + 1
        self._last[job] = max(at, self._last[job])
        self._next[job] = later
        return Due(job, at, missed)

    def _after(self, job: str, time: int) -> int:
        """The job's first time after `time`, ns."""
        moment = _EPOCH + timedelta(microseconds=time // 1000 + 1)
        following: datetime | None = self._triggers[job].get_next_fire_time(None, moment)
        assert following is not None, "these triggers never end"
        return (following - _EPOCH) // timedelta(microseconds=1) * 1000

    def _read(self) -> dict[str, int]:
        try:
            kept = json.loads(self._kept.read_text(encoding="utf-8"))
            return {job: parse_rfc3339(time) for job, time in kept.items()}
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise StorageFault(f"can't be read: {error.strerror}", where=str(self._kept)) from error
        except (ValueError, AttributeError, TypeError) as error:
            raise BadInput("is no record of jobs", where=str(self._kept), mend="remove it") from error

    def _write(self) -> None:
        try:
            write_whole(self._kept, json.dumps({job: rfc3339(time) for job, time in self._last.items()}))
        except OSError as error:
            raise StorageFault(f"can't be written: {error.strerror}", where=str(self._kept)) from error
