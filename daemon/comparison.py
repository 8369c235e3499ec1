"""Runs side by side: figures, settings that differ, and the first decision where they part."""

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from broker.errors import BadInput
from daemon.report.recording import Recording, read_recording

FIGURES = (
    "strategy model seed ticks bars decisions orders trades win_rate expectancy_pips net_pips profit_factor "
    "max_drawdown_pips"
).split()


def compare(folders: Sequence[Path]) -> dict[str, Any]:
    """The document of `micro-trader compare`.

    Args:
        folders: of finished runs, at least two; each is compared with the first.

    Raises:
        BadInput: there are fewer than two, or a folder holds no finished run.
    """
    if len(folders) < 2:
        raise BadInput("there is nothing to compare", where="RUN", mend="give two folders of runs or more")
    runs = [read_recording(folder) for folder in folders]
    first, *others = runs
    caveats = [
        f"{run.folder} was not run on the ticks of {first.folder}: their figures say nothing about each other"
        for run in others
        if _inputs(run) != _inputs(first)
    ]
    return {
        "runs": [{"run": str(run.folder)} | {name: run.summary.get(name) for name in FIGURES} for run in runs],
        "settings": list(_settings(runs)),
        "parted": [{"run": str(run.folder)} | _parting(first, run) for run in others],
        "caveats": caveats,
    }


def _inputs(run: Recording) -> list[str]:
    try:
        return [file["sha256"] for file in json.loads(run.environment)["inputs"]]
    except (ValueError, KeyError, TypeError):
        return []


def _settings(runs: Sequence[Recording]) -> Iterator[dict[str, Any]]:
    """A row for each config key that the runs do not share, the folder of state apart."""
    flat = [dict(_flat(tomllib.loads(run.config))) for run in runs]
    for key in dict.fromkeys(key for settings in flat for key in settings):
        values = [settings.get(key) for settings in flat]
        if key != "state.dir" and any(value != values[0] for value in values):
            yield {"key": key} | {str(run.folder): str(value) for run, value in zip(runs, values, strict=True)}


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _parting(first: Recording, other: Recording) -> dict[str, Any]:
    """Where two decision logs part; nulls where they never do."""
    for ours, theirs in zip_longest(first.decisions(), other.decisions()):
        if ours is None or theirs is None:
            ended = ours or theirs
            return {"seq": ended["seq"], "time": ended["time"], "fields": ["one log ends before it"]}
        if ours != theirs:
            fields = [key for key in ours if ours[key] != theirs.get(key) and key != "ns"]
            return {"seq": ours["seq"], "time": ours["time"], "fields": fields}
    return {"seq": None, "time": None, "fields": []}
