"""Checkpoints: all that an interrupted run needs to go on exactly, there whole or not at all."""

import io
import os
import pickle
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from broker.errors import BadInput, StorageFault
from training.store_schema import sync_file


def save(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint over the one before: aside, synced, renamed.

    Raises:
        StorageFault: the disk failed; the checkpoint before is still there.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    buffer = io.BytesIO()
    torch.save(state, buffer)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(buffer.getbuffer())
        sync_file(aside)
        aside.replace(path)
        sync_file(path.parent)
    except OSError as error:
        raise StorageFault(f"can't write the checkpoint: {error.strerror}", where=str(path)) from error
    finally:
        with suppress(OSError):
            aside.unlink()


def load(path: Path, job: str) -> dict[str, Any] | None:
    """The checkpoint of this very job, or None: there is none, or it is another job's.

    Args:
        job: digest of what is trained on what, kept under `job`.

    Raises:
        BadInput: the file is damaged.
    """
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True)
    except FileNotFoundError:
        return None
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, ValueError) as error:
        raise BadInput(
            f"the checkpoint is damaged: {error}", where=str(path), mend="delete it, or begin anew: --from scratch"
        ) from error
    return state if state.get("job") == job else None


def remove(path: Path) -> None:
    """The run is over: nothing is left to resume."""
    path.unlink(missing_ok=True)


def sweep(path: Path) -> None:
    """Delete what a run that was killed while saving left beside it; only while no other run saves."""
    for aside in path.parent.glob(f".{path.name}.*.part"):
        aside.unlink(missing_ok=True)
