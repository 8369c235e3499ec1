"""Experience on its way from a session to the store."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from broker.errors import StorageFault, TraderError
from broker.types import Bar, Cancel, Fill, Instrument, Order, Trade
from daemon.config import Config
from daemon.console import Ui
from strategy.plugin import Choice, Observation
from strategy.session import Sink
from training.experience import Segment
from training.locks import writer_lock
from training.recorder import Recorder
from training.store_writer import ExperienceWriter

STORE, SPOOL = "experience.db", "experience.spool"


class Both:
    """Two sinks as one."""

    def __init__(self, first: Sink, second: Sink) -> None:
        self._sinks = (first, second)

    def decided(self, observation: Observation, choice: Choice, target: int, veto: str | None, model: str) -> None:
        """Tell both."""
        for sink in self._sinks:
            sink.decided(observation, choice, target, veto, model)

    def ordered(self, order: Order, end: Fill | Cancel) -> None:
        """Tell both."""
        for sink in self._sinks:
            sink.ordered(order, end)

    def traded(self, trade: Trade, fill: Fill) -> None:
        """Tell both."""
        for sink in self._sinks:
            sink.traded(trade, fill)

    def barred(self, instrument: Instrument, bar: Bar, open_pips: float) -> None:
        """Tell both."""
        for sink in self._sinks:
            sink.barred(instrument, bar, open_pips)


@contextmanager
def stored_experience(config: Config, who: str, run: str, feature_set: str | None, ui: Ui) -> Iterator[Recorder]:
    """A recorder whose segments go to the state folder's store; what is complete is handed on at the end.

    A disk that fails is reported once; what could not be stored waits in the spool and is tried again.

    Raises:
        BadInput: another process writes to the store, or it is of a newer version.
        StorageFault: something could neither be stored nor kept in the spool's file.
    """
    state = Path(config.state.dir)
    with writer_lock(state, who, time.time_ns):
        writer = ExperienceWriter(state / STORE, config.store.capacity, state / SPOOL)
        warned = False

        def keep(segment: Segment) -> None:
            nonlocal warned
            try:
                writer.append(segment)
            except StorageFault as fault:
                if not warned:
                    ui.warn(str(fault))
                warned = True

        recorder = Recorder(run, feature_set, keep)
        try:
            yield recorder
            recorder.finish()
        finally:
            writer.close()


class ExperienceAside:
    """The store's writer in a thread of its own, so that nobody waits for its disk.

    It stores nothing before `begin`: a start that folds a day hands in all of the day's segments again, most of them
    stored long since, and is not to share the processor with their writer.

    Args:
        path: the state folder; capacity: of the store, steps. warn: told once of a disk that failed.
        journalled: returns once the decisions of a segment are on record; else a restart could make others.

    Raises:
        BadInput: the store is of a newer version. StorageFault: the disk failed.
    """

    def __init__(
        self,
        path: Path,
        capacity: int,
        warn: Callable[[str], None],
        journalled: Callable[[], None] = lambda: None,
    ) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="experience")
        self._writer = self._thread.submit(ExperienceWriter, path / STORE, capacity, path / SPOOL).result()
        self._begun = threading.Event()
        self._thread.submit(self._begun.wait)
        self._warn: Callable[[str], None] | None = warn
        self._journalled = journalled

    def begin(self) -> None:
        """Store what was handed in, and what will be."""
        self._begun.set()

    def keep(self, segment: Segment) -> None:
        """Store a segment soon."""
        self._thread.submit(self._append, segment)

    def _append(self, segment: Segment) -> None:
        try:
            self._journalled()
            self._writer.append(segment)
        except TraderError as fault:
            warn, self._warn = self._warn, None
            if warn is not None:
                warn(str(fault))

    def close(self) -> None:
        """Store what was handed in, and let go.

        Raises:
            StorageFault: segments are lost.
        """
        self.begin()
        try:
            self._thread.submit(self._writer.close).result()
        finally:
            self._thread.shutdown()
