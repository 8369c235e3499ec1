"""What the daemon does by itself on schedule, since nobody else may: backups, pruning, the report of a day."""

import json
import shutil
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from broker.errors import BadInput
from broker.rfc3339 import rfc3339
from broker.types import DAY
from daemon.config import Config
from daemon.experience import STORE
from daemon.journal import back_up
from daemon.runfiles import SUMMARY
from daemon.school import Chores
from training.registry import Registry
from training.store_maintenance import ExperienceMaintenance

JOURNAL = "journal.db"
FIGURES = (
    "trades",
    "wins",
    "losses",
    "expectancy_pips",
    "net_pips",
    "max_drawdown_pips",
    "decisions",
    "orders",
    "model",
)
KEPT_MODELS, KEPT_BACKUPS = 5, 7


def chores_of(config: Config, registry: Registry) -> Chores:
    """The chores over a state folder."""
    state = Path(config.state.dir)

    def backup(folder: Path) -> Mapping[str, Any]:
        """Copies of journal and store, each whole or not there."""
        folder.mkdir(parents=True, exist_ok=True)
        back_up(state / JOURNAL, folder / JOURNAL)
        if (state / STORE).exists():
            with closing(ExperienceMaintenance(state / STORE)) as store:
                store.backup(folder / STORE)
        return {"folder": str(folder)}

    def prune() -> Mapping[str, Any]:
        """Old models and copies; the store keeps its own size."""
        copies = sorted((state / "backups").glob("*"))[:-KEPT_BACKUPS]
        for copy in copies:
            shutil.rmtree(copy)
        return {"models": len(registry.prune(KEPT_MODELS)), "backups": len(copies)}

    def report(now: int) -> Mapping[str, Any]:
        """Yesterday, by the session's clock."""
        return day_figures(state / "runs", rfc3339(now - DAY)[:10])

    return Chores(backup, prune, report)


def day_figures(runs: Path, day: str) -> dict[str, Any]:
    """The figures of a day's folders, of which a day with restarts has several.

    Raises:
        BadInput: a summary is damaged.
    """
    try:
        found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(runs.glob(f"{day}*/{SUMMARY}"))]
        if not found:
            return {"day": day, "trades": 0}
        added = {
            name: sum(summary[name] for summary in found) for name in ("trades", "net_pips", "decisions", "orders")
        }
        return {"day": day, **{name: found[-1][name] for name in FIGURES}, **added}
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"a summary is damaged: {error!r}", where=f"{runs / day}*/{SUMMARY}") from error
