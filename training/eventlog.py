"""The log that TensorBoard draws: an event a pass, written while the training runs.

It needs the package tensorboardX (`pip install 'micro-trader[tensorboard]'`); without it there is no log.
"""

import importlib
import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from broker.errors import StorageFault

LIBRARY = "tensorboardX"


def available() -> bool:
    """Whether logs can be written here."""
    return importlib.util.find_spec(LIBRARY) is not None


class EventLog:
    """One run's log; a run that is resumed begins another file in the same folder.

    Args:
        folder: made where it is missing.

    Raises:
        StorageFault: it can't be written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._event = importlib.import_module(f"{LIBRARY}.proto.event_pb2").Event
        self._summary = importlib.import_module(f"{LIBRARY}.proto.summary_pb2").Summary
        writing = importlib.import_module(f"{LIBRARY}.event_file_writer")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._writer = writing.EventsWriter(str(folder / "events"))
        except OSError as error:
            raise self._fault(error) from error

    def add(self, time: int, step: int, figures: Mapping[str, Any]) -> None:
        """Write the figures of a pass, groups of them under their name, and leave them on the disk.

        Args:
            time: ns since the epoch. step: of the learner.

        Raises:
            StorageFault: it can't be written.
        """
        values = [self._summary.Value(tag=tag, simple_value=value) for tag, value in scalars(figures)]
        try:
            self._writer.write_event(self._event(wall_time=time / 1e9, step=step, summary=self._summary(value=values)))
            self._writer.flush()
        except OSError as error:
            raise self._fault(error) from error

    def close(self) -> None:
        """Let go of the file."""
        self._writer.close()

    def _fault(self, error: OSError) -> StorageFault:
        return StorageFault(f"can't write the TensorBoard log: {error.strerror}", where=str(self._folder))


def scalars(figures: Mapping[str, Any], group: str = "") -> Iterator[tuple[str, float]]:
    """Every number, groups joined with a slash.

    >>> list(scalars({"losses": {"value": 2.0, "kind": "x"}, "step": 3}))
    [('losses/value', 2.0), ('step', 3.0)]
    """
    for name, value in figures.items():
        if isinstance(value, Mapping):
            yield from scalars(value, f"{group}{name}/")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{group}{name}", float(value)
