"""`micro-trader store`: look after the experience store."""

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from broker.errors import StorageFault
from daemon.console import Ui
from daemon.options import Subparsers, add_command, config_of
from training.locks import writer_lock
from training.store_maintenance import ExperienceMaintenance

STORE = "experience.db"


def register(subparsers: Subparsers) -> None:
    """Add `store` and its subcommands."""
    parser = add_command(subparsers, "store", "look after the experience store", "micro-trader store stats")
    verbs = parser.add_subparsers(required=True, metavar="stats|verify|export|import|backup|prune")
    about = "size, capacity, evictions and quality"
    add_command(verbs, "stats", about, "micro-trader store stats --json").set_defaults(handler=stats)
    about = "check every row; what is damaged is named and no longer served"
    add_command(verbs, "verify", about, "micro-trader store verify").set_defaults(handler=verify)
    export = add_command(
        verbs, "export", "write all steps to a Parquet file", "micro-trader store export steps.parquet"
    )
    export.add_argument("file", type=Path, metavar="FILE", help="the Parquet file")
    export.set_defaults(handler=export_steps)
    about = "take in a Parquet export or another store"
    take = add_command(verbs, "import", about, "micro-trader store import steps.parquet")
    take.add_argument("file", type=Path, metavar="FILE", help="a Parquet export or an experience.db")
    take.set_defaults(handler=import_steps)
    about = "copy the store, while others go on"
    backup = add_command(verbs, "backup", about, "micro-trader store backup experience-copy.db")
    backup.add_argument("file", type=Path, metavar="FILE", help="the copy; must not exist")
    backup.set_defaults(handler=back_up)
    about = "evict by quality and age, drop what is damaged, and shrink the file"
    prune = add_command(verbs, "prune", about, "micro-trader store prune --keep 20000")
    prune.add_argument("--keep", type=int, metavar="STEPS", help="steps to keep (default: the store's capacity)")
    prune.set_defaults(handler=prune_steps)


def stats(args: argparse.Namespace, _ui: Ui) -> dict[str, Any]:
    """Figures of the store."""
    with _opened(args) as store:
        return store.stats()


def verify(args: argparse.Namespace, ui: Ui) -> dict[str, Any] | None:
    """Check every row.

    Raises:
        StorageFault: something is damaged; said after the document is shown.
    """
    with _opened(args) as store:
        document = {**store.verify(), "path": str(_path(args))}
    if document["integrity"] == "ok":
        return document
    ui.show(document, "store verify")
    names = ", ".join(str(row["segment"]) for row in document["quarantined"])
    what = f"damaged segments, no longer served: {names}" if names else "the file is damaged: export, and import anew"
    raise StorageFault(what, where=str(_path(args)))


def export_steps(args: argparse.Namespace, _ui: Ui) -> dict[str, Any]:
    """Write all steps to a Parquet file."""
    with _opened(args) as store:
        return {**_exchange().export_parquet(store.db, args.file), "path": str(args.file)}


def import_steps(args: argparse.Namespace, _ui: Ui) -> dict[str, Any]:
    """Take in a Parquet export or another store, within this store's capacity."""
    path = _path(args)
    path.parent.mkdir(parents=True, exist_ok=True)
    with writer_lock(path.parent, "store import", time.time_ns):
        writer = import_module("training.store_writer").ExperienceWriter(path, config_of(args).store.capacity)
        writer.close()
        with _opened(args) as store:
            return {**_exchange().import_file(store.db, args.file), "path": str(path)}


def back_up(args: argparse.Namespace, _ui: Ui) -> dict[str, Any]:
    """Copy the store."""
    with _opened(args) as store:
        store.backup(args.file)
    return {"path": str(args.file), "bytes": args.file.stat().st_size}


def prune_steps(args: argparse.Namespace, _ui: Ui) -> dict[str, Any]:
    """Evict, drop what is damaged, and shrink the file."""
    with writer_lock(_path(args).parent, "store prune", time.time_ns), _opened(args) as store:
        return {"evicted_steps": store.prune(args.keep), **store.stats()}


def _exchange() -> Any:
    """Parquet is slow to load and seldom needed."""
    return import_module("training.store_exchange")


def _path(args: argparse.Namespace) -> Path:
    return Path(config_of(args).state.dir) / STORE


@contextmanager
def _opened(args: argparse.Namespace) -> Iterator[ExperienceMaintenance]:
    store = ExperienceMaintenance(_path(args))
    try:
        yield store
    finally:
        store.close()
