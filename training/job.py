"""What a training is asked to do."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

TRANSCRIPT = "training.json"
"""How a training went, in `training/<version>/` of the state folder (`training.transcript`)."""


@dataclass(frozen=True, slots=True)
class Job:
    """What to train.

    Attributes:
        files: tick files. options: keyword arguments of ReadOptions. bar: (is clock, size). feature_set: its name.
        warmup_bars, allow_reverse, simulations: as the model will be used. models: root of the registry.
        checkpoint: file. parent: folder of the model to go on from, or None. fresh: leave a checkpoint aside.
        minutes, steps: limits, or None. seed, workers: as on the command line. recipe: overrides, by name.
        code_version: kept in the manifest. store: file of the experience store, or None: ticks alone.
    """

    files: tuple[str, ...]
    options: Mapping[str, Any]
    bar: tuple[bool, int]
    feature_set: str
    warmup_bars: int
    allow_reverse: bool
    simulations: int
    models: str
    checkpoint: str
    parent: str | None
    fresh: bool
    minutes: float | None
    steps: int | None
    seed: int
    workers: int
    recipe: Mapping[str, Any]
    code_version: str | None
    store: str | None = None

    def digest(self, hashes: list[str]) -> str:
        """Of all that a checkpoint must agree on; more time or steps may be given to the same job."""
        same = {key: value for key, value in asdict(self).items() if key not in {"files", "fresh", "minutes", "models"}}
        return hashlib.sha256(json.dumps([same, hashes], sort_keys=True).encode()).hexdigest()
