"""`micro-trader models`: the model registry."""

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from broker.errors import StorageFault
from daemon.console import Ui
from daemon.options import Subparsers, add_command, config_of
from training.registry import Registry, State


def register(subparsers: Subparsers) -> None:
    """Add `models` and its subcommands."""
    parser = add_command(subparsers, "models", "list, promote and roll back models", "micro-trader models list")
    verbs = parser.add_subparsers(required=True, metavar="list|show|promote|rollback|retire|verify|prune")
    about = "all versions, the best first"
    add_command(verbs, "list", about, "micro-trader models list --json").set_defaults(handler=list_models)
    show = add_command(verbs, "show", "one version with its manifest and verdict", "micro-trader models show 3d26e9c4")
    show.add_argument("version", metavar="VERSION", help="a version, or a unique prefix of at least 8 characters")
    show.set_defaults(handler=show_model)
    promote = add_command(verbs, "promote", "make a version the best", "micro-trader models promote 3d26e9c4")
    promote.add_argument("version", metavar="VERSION", help="a version, or a unique prefix of at least 8 characters")
    promote.add_argument("--why", default="promoted by hand", help="kept in the history")
    promote.set_defaults(handler=promote_model)
    about = "return to the version that was best before"
    rollback = add_command(verbs, "rollback", about, "micro-trader models rollback --why 'lost all week'")
    rollback.add_argument("--why", default="rolled back by hand", help="kept in the history")
    rollback.set_defaults(handler=roll_back)
    about = "leave no version best, so that nothing trades"
    retire = add_command(verbs, "retire", about, "micro-trader models retire --why 'lost all month'")
    retire.add_argument("--why", default="retired by hand", help="kept in the history")
    retire.set_defaults(handler=retire_model)
    about = "check the bytes of every version"
    add_command(verbs, "verify", about, "micro-trader models verify").set_defaults(handler=verify)
    about = "delete old retired and rejected versions"
    prune = add_command(verbs, "prune", about, "micro-trader models prune --keep 5")
    prune.add_argument("--keep", type=int, default=5, metavar="N", help="retired and rejected versions to keep")
    prune.set_defaults(handler=prune_models)


def list_models(args: argparse.Namespace, _ui: Ui) -> dict[str, Any]:
    """All versions: the best, then those that passed the gate, by quality score."""
    registry = _registry(args)
    return {"best": registry.best(), "models": rows_of(registry)}


def rows_of(registry: Registry) -> list[dict[str, Any]]:
    """A row for each version: the best, then those that passed the gate, by quality score."""
    rows = [_row(registry, key, state) for key, state in registry.states().items()]
    return sorted(rows, key=rank)


def rank(row: Mapping[str, Any]) -> tuple[bool, bool, float, str]:
    """Sorts the best first, what passed the gate before what didn't, then by quality score."""
    score = row["quality_score"]
    return row["state"] != State.BEST, not row["passed"], -(-1e9 if score is None else score), row["version"]


def show_model(args: argparse.Namespace, _ui: Ui) -> dict[str, Any]:
    """One version."""
    registry = _registry(args)
    key = registry.folders.find(args.version)
    history = [
        {"time": change.time, "state": change.state.value, "why": change.why}
        for change in registry.history()
        if change.id == key
    ]
    return {
        **_row(registry, key, registry.states()[key]),
        "path": str(registry.folders.root / key),
        "manifest": registry.folders.manifest(key),
        "verdict": _verdict(registry.verdict(key)),
        "history": history,
    }


def promote_model(args: argparse.Namespace, _ui: Ui) -> dict[str, Any]:
    """Make a version the best."""
    registry = _registry(args)
    previous = registry.best()
    return {"version": registry.promote(args.version, args.why), "previous": previous}


def roll_back(args: argparse.Namespace, _ui: Ui) -> dict[str, Any]:
    """Return to the version that was best before."""
    registry = _registry(args)
    previous = registry.best()
    return {"version": registry.rollback(args.why), "previous": previous}


def retire_model(args: argparse.Namespace, _ui: Ui) -> dict[str, Any]:
    """Leave no version best."""
    return {"version": None, "previous": _registry(args).retire(args.why)}


def verify(args: argparse.Namespace, ui: Ui) -> dict[str, Any]:
    """Check the bytes of every version.

    Raises:
        StorageFault: something is damaged; said after the document is shown.
    """
    registry = _registry(args)
    damaged = registry.verify()
    document = {
        "checked": len(registry.folders.ids()),
        "best": registry.best(),
        "integrity": "damaged" if damaged else "ok",
        "damaged": [{"version": key, "what": what} for key, what in damaged.items()],
    }
    if not damaged:
        return document
    ui.show(document, "models verify")
    raise StorageFault(f"damaged: {', '.join(damaged)}", where=str(registry.folders.root))


def prune_models(args: argparse.Namespace, _ui: Ui) -> dict[str, Any]:
    """Delete old retired and rejected versions."""
    registry = _registry(args)
    return {"deleted": registry.prune(args.keep), "kept": len(registry.folders.ids())}


def _verdict(verdict: dict[str, Any] | None) -> dict[str, Any] | None:
    """A verdict with the number of its tries, without their series."""
    return None if verdict is None else {**verdict, "tries": len(verdict.get("tries", ()))}


def _row(registry: Registry, key: str, state: State) -> dict[str, Any]:
    manifest, verdict = registry.folders.manifest(key), registry.verdict(key) or {}
    damage, metrics = registry.folders.damage(key), manifest.get("metrics") or {}
    return {
        "version": key,
        "state": state.value,
        "status": manifest.get("status"),
        "parent": manifest.get("parent"),
        "held_out_z": metrics.get("held_out", {}).get("z"),
        "metrics": manifest.get("metrics"),
        "passed": verdict.get("gate", {}).get("passed"),
        "quality_score": verdict.get("quality_score"),
        "checksum": "ok" if damage is None else damage,
    }


def _registry(args: argparse.Namespace) -> Registry:
    return Registry(Path(config_of(args).state.dir) / "models", "micro-trader models", time.time_ns)
