"""What a person sees in the terminal: tables on stdout, notes and progress on stderr."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TextIO

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

REFRESHES_PER_S = 8.0


class Ui:
    """The terminal of one command.

    Args:
        json: stdout carries one JSON document and nothing else.
        stream: where results go instead of stdout (tests).
    """

    def __init__(self, json: bool, stream: TextIO | None = None) -> None:
        self.json = json
        self._stream = stream if stream is not None else sys.stdout
        self._out = Console(file=self._stream, highlight=False)
        self._err = Console(stderr=True, highlight=False)

    def show(self, document: Mapping[str, Any], title: str) -> None:
        """Print a result: as the one JSON document with `json`, else as tables."""
        if self.json:
            self._stream.write(json.dumps(document, indent=2, allow_nan=False) + "\n")
            self._stream.flush()
            return
        figures = Table(
            title=escape(title), title_justify="left", box=box.SIMPLE_HEAD, show_header=False, pad_edge=False
        )
        figures.add_column(style="dim", no_wrap=True)
        figures.add_column(overflow="fold")
        for name, value in _figures(document):
            figures.add_row(escape(name), _cell(value))
        self._out.print(figures)
        for name, rows in _row_lists(document):
            self._out.print(_rows_table(name, rows))
        for caveat in document.get("caveats", ()):
            self._out.print(Text.assemble(("  ! ", "bold yellow"), (str(caveat), "yellow")))

    def note(self, message: str) -> None:
        """Say something in passing, on stderr."""
        self._err.print(Text(message), soft_wrap=True)

    def warn(self, message: str) -> None:
        """Say something that the user should not miss, on stderr."""
        self._err.print(Text.assemble(("warning: ", "bold yellow"), message), soft_wrap=True)

    def progress(self, description: str, total: float | None, unit: str) -> "Meter":
        """A progress bar on stderr with speed and time left; silent where stderr is no terminal.

        Args:
            total: amount of work in `unit`, or None where it isn't known.
        """
        return Meter(self._err, description, total, unit)


class Meter:
    """Progress of one piece of work; a context manager."""

    def __init__(self, console: Console, description: str, total: float | None, unit: str) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            _SpeedColumn(unit),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            refresh_per_second=REFRESHES_PER_S,
            disable=not console.is_terminal,
        )
        self._task: TaskID = self._progress.add_task(escape(description), total=total, done=0.0)
        self._done, self._by_share = 0.0, False

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def advance(self, amount: float) -> None:
        """Add to the work done."""
        self.update(self._done + amount)

    def update(self, done: float) -> None:
        """Set the work done."""
        self._done = done
        completed = None if self._by_share else done
        self._progress.update(self._task, completed=completed, done=done)

    def reach(self, share: float) -> None:
        """Say how far along the work is (0 to 1) where its total isn't known."""
        total = None if self._by_share else 1.0  # set once: a new total would forget the speed
        self._by_share = True
        self._progress.update(self._task, total=total, completed=share)


class _SpeedColumn(ProgressColumn):
    """Amount of work a second, over all the time that it took so far."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        done, elapsed = task.fields["done"], task.finished_time or task.elapsed
        return Text(f"{done / elapsed:,.0f} {self._unit}/s" if done and elapsed else f"- {self._unit}/s", style="cyan")


def _figures(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Everything that is one figure or a list of plain values, nested names joined by a dot."""
    for name, value in document.items():
        if prefix == "" and name == "caveats":
            continue
        if isinstance(value, Mapping):
            yield from _figures(value, f"{prefix}{name}.")
        elif not _is_row_list(value):
            yield prefix + name, value


def _row_lists(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Sequence[Mapping[str, Any]]]]:
    for name, value in document.items():
        if isinstance(value, Mapping):
            yield from _row_lists(value, f"{prefix}{name}.")
        elif _is_row_list(value):
            yield prefix + name, value


def _is_row_list(value: object) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(row, Mapping) for row in value)


def _rows_table(name: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    """What nests has no column: `--json` and the command for one row show it."""
    table = Table(title=escape(name), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    columns = dict.fromkeys(key for row in rows for key, value in row.items() if not isinstance(value, Mapping))
    for column in columns:
        numeric = all(isinstance(row.get(column), int | float | None) for row in rows)
        table.add_column(escape(column), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(row.get(column)) for column in columns))
    return table


def _cell(value: object) -> Text:
    if value is None:
        return Text("-", style="dim")
    if isinstance(value, bool):
        return Text("yes" if value else "no", style="green" if value else "red")
    if isinstance(value, int):
        return Text(f"{value:,}")
    if isinstance(value, float):
        return Text(f"{value:,.4g}" if abs(value) < 1 else f"{value:,.2f}", style="red" if value < 0 else "")
    if isinstance(value, list | tuple):
        return Text(", ".join(str(item) for item in value) or "-")
    if isinstance(value, Mapping):
        return Text(json.dumps(value))
    return Text(str(value))
