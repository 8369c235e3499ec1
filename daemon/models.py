"""Which model a run decides with: the best one, a version, a folder, or the one that comes with the program."""

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from broker.errors import BadInput
from daemon.config import Config
from daemon.console import Ui
from strategy import muzero
from strategy.model import MANIFEST, UNTRAINED, Model, load
from training.registry import Registry

BUNDLED = Path(muzero.__file__).parent / "bundled"


@dataclass(frozen=True, slots=True)
class Chosen:
    """A model that was found whole.

    Attributes:
        path: its folder.
        model: what the folder holds, verified.
    """

    path: Path
    model: Model

    @property
    def name(self) -> str:
        """As it is called in logs and reports."""
        return self.model.name

    @property
    def untrained(self) -> bool:
        """Whether it never learned anything."""
        return self.model.status == UNTRAINED

    @property
    def market(self) -> str | None:
        """The synthetic market that it learned on; None: quotes, or nobody knows."""
        learned = (self.model.manifest.get("data") or {}).get("market")
        return None if learned is None else str(learned["market"])

    def unfit(self, live: bool) -> str:
        """Why it may not open positions unasked: `untrained`, or `synthetic` where orders are real; "" where it may.

        Args:
            live: orders go to an account.
        """
        if self.untrained:
            return UNTRAINED
        return "synthetic" if live and self.market is not None else ""

    def in_sample(self, inputs: Iterable[Mapping[str, Any]]) -> bool | None:
        """Whether it learned from one of these input files; None where its manifest does not say."""
        if self.untrained:
            return False
        learned = self.model.data_hashes
        return None if learned is None else any(file["sha256"] in learned for file in inputs)


def choose_model(config: Config, ui: Ui) -> Chosen:
    """Find and verify the model that `[model] version` names.

    Raises:
        BadInput: there is none, it is damaged, or it was made for another feature set.
    """
    path = find_model(config.model.version, Path(config.state.dir) / "models")
    model = load(path)
    if model.feature_set != config.model.features:
        raise BadInput(
            f"the model was made for the feature set {model.feature_set}, the config says {config.model.features}",
            where=str(path),
            mend=f'set features = "{model.feature_set}" in [model], or choose another model',
        )
    chosen = Chosen(path, model)
    if path == BUNDLED and config.model.version == "best":
        learned = "untrained" if chosen.untrained else f"trained on the synthetic market {chosen.market}, not on quotes"
        ui.note(f"no model has been promoted yet: deciding with the bundled one, which is {learned}")
    return chosen


def find_model(version: str, models: Path) -> Path:
    """The folder of `best`, of a version or its unique prefix in the registry at `models`, or a folder as given.

    Raises:
        BadInput: there is none, or several begin so.
    """
    if version != "best" and (os.sep in version or (Path(version) / MANIFEST).is_file()):
        return Path(version)
    registry = Registry(models, "reader", time.time_ns)
    if version == "best":
        best = registry.best()
        return models / best if best else BUNDLED
    return models / registry.folders.find(version)
