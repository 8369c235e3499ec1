"""Who plays: the run's own process, or worker processes that are replaced when they die."""

import os
import signal
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from typing import Protocol

import numpy as np

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


class Pool:
    """Plays in worker processes while the learner learns: a call hands out new work and returns what the last began.

    Args:
        lanes: sent to every worker once. workers: processes.
    """

    def __init__(self, lanes: Lanes, workers: int) -> None:
        self._lanes, self._workers = lanes, workers
        self._executor = self._start()
        self._tasks: list[Task] = []
        self._futures: list[Future[Visited]] = []

    def play(self, tensors: Mapping[str, Float32s], seed: int, turns: int) -> Iterator[Visited]:
        """Collect, then hand out.

        Raises:
            BrokenProcessPool: workers died again and again.
        """
        found = self._collect()
        share = max(turns // self._workers, 1)
        self._tasks = [Task(tensors, seed + worker, share) for worker in range(self._workers)]
        self._hand_out()
        yield from found

    def close(self) -> None:
        """End the workers."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _collect(self) -> list[Visited]:
        for retry in range(RETRIES + 1):
            try:
                return [future.result() for future in self._futures]
            except BrokenProcessPool:
                if retry == RETRIES:
                    raise
                self._executor.shutdown(wait=False)
                self._executor = self._start()
                self._hand_out()
        return []

    def _hand_out(self) -> None:
        try:
            self._futures = [self._executor.submit(_run, task) for task in self._tasks]
        except BrokenProcessPool:  # it died idle
            self._executor = self._start()
            self._futures = [self._executor.submit(_run, task) for task in self._tasks]

    def _start(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(self._workers, get_context("spawn"), _settle, (self._lanes,))


_here: list[Lanes] = []
"""A worker's lanes, from the pool's initializer."""


def _settle(lanes: Lanes) -> None:
    """Start a worker: an interrupt is its parent's business, and it ends when that is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _here[:] = [lanes]


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _run(task: Task) -> Visited:
    return _here[0].run(task.tensors, np.random.Generator(np.random.PCG64(task.seed)), task.turns)
