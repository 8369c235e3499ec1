"""Who plays: the run's own process, or worker processes that are replaced when they die."""

import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection
from typing import Protocol

import numpy as np

from broker.errors import Fatal
from strategy.network_tile import Float32s
from training.selfplay import Lanes, Visited

RETRIES = 3
"""Times that a lost piece of self-play is handed out again before the run gives up on it."""


class Players(Protocol):
    """Plays with given weights; a cluster can take its place."""

    def play(self, tensors: Mapping[str, Float32s], seed: int, turns: int) -> Iterator[Visited]:
        """What was visited, as far as it has come in; the same call may hand out what an earlier one began."""
        ...

    def close(self) -> None:
        """End whatever runs."""
        ...


class InProcess:
    """Plays at once, in this process: the same seed gives the same visits."""

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes

    def play(self, tensors: Mapping[str, Float32s], seed: int, turns: int) -> Iterator[Visited]:
        """Play now."""
        yield self._lanes.run(tensors, np.random.Generator(np.random.PCG64(seed)), turns)

    def close(self) -> None:
        """Nothing runs."""


@dataclass(frozen=True, slots=True)
class Task:
    """A piece of self-play that can be handed out again."""

    tensors: Mapping[str, Float32s]
    seed: int
    turns: int


class Worker:
    """A process that plays; one that dies is replaced, and its task handed out again.

    Args:
        lanes: sent to every process once.
    """

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes
        self._task: Task | None = None
        self._start()

    @property
    def pid(self) -> int | None:
        """Of the process that plays now."""
        return self._process.pid

    def begin(self, task: Task) -> None:
        """Start to play; what came of the task before must have been collected."""
        assert self._task is None
        self._task = task
        try:
            self._pipe.send(task)
        except OSError:  # it died idle
            self._replace()

    def collect(self) -> Iterator[Visited]:
        """What came of the task that was begun, if there is one; waits for it.

        Raises:
            Fatal: the process died again and again.
        """
        for _ in range(RETRIES + 1):
            if self._task is None:
                return
            try:
                found: Visited = self._pipe.recv()
            except (EOFError, OSError):
                self._replace()
            else:
                self._task = None
                yield found
        raise Fatal(f"a self-play worker died {RETRIES + 1} times over the same task")

    def close(self) -> None:
        """End the process at once."""
        self._process.kill()
        self._process.join()
        self._pipe.close()

    def _start(self) -> None:
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(self._lanes, theirs), daemon=True)
        self._process.start()
        theirs.close()  # so that its end is seen

    def _replace(self) -> None:
        self.close()
        self._start()
        if self._task is not None:
            with suppress(OSError):  # it died as well: `collect` will see
                self._pipe.send(self._task)


class Pool:
    """Plays in worker processes while the learner learns: a call hands out new work and returns what the last began.

    Args:
        lanes: sent to every worker once. workers: processes.
    """

    def __init__(self, lanes: Lanes, workers: int) -> None:
        self.workers = [Worker(lanes) for _ in range(workers)]

    def play(self, tensors: Mapping[str, Float32s], seed: int, turns: int) -> Iterator[Visited]:
        """Collect, then hand out.

        Raises:
            Fatal: a worker died again and again.
        """
        found = [visited for worker in self.workers for visited in worker.collect()]
        share = max(turns // len(self.workers), 1)
        for place, worker in enumerate(self.workers):
            worker.begin(Task(tensors, seed + place, share))
        yield from found

    def close(self) -> None:
        """End the workers."""
        for worker in self.workers:
            worker.close()


def _work(lanes: Lanes, pipe: "Connection[Visited, Task]") -> None:
    """A worker's life: an interrupt is its parent's business, and it ends when that is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        pipe.send(lanes.run(task.tensors, np.random.Generator(np.random.PCG64(task.seed)), task.turns))


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
