"""Model folders: immutable, named by what is in them, there whole or not at all."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from broker.errors import BadInput, StorageFault
from strategy.model import MANIFEST, content_id
from training.store_schema import sync_file

PREFIX_LENGTH = 8


class ModelFolders:
    """The folders below a root; any process may read, the trainer adds.

    Args:
        root: `models/` in the state folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def add(self, files: Mapping[str, bytes]) -> str:
        """Store a model durably: written aside, synced, renamed. The same content again changes nothing.

        Args:
            files: content by name, `manifest.json` (an object) among them.

        Returns:
            The model's id.

        Raises:
            BadInput: there is no manifest, or a name isn't a plain one.
            StorageFault: the disk failed; nothing of it is seen.
        """
        _parse(files.get(MANIFEST, b""), MANIFEST)
        if any(Path(name).name != name or name.startswith(".") for name in files):
            raise BadInput("a model's files have plain names", where=", ".join(sorted(files)))
        key = content_id(files)
        target, aside = self.root / key, self.root / f".{key}.{os.getpid()}.part"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir()
            for name, content in files.items():
                (aside / name).write_bytes(content)
                sync_file(aside / name)
            sync_file(aside)
            if not target.exists():
                aside.rename(target)
            sync_file(self.root)
        except FileExistsError:
            pass  # another writer was first, with the same bytes
        except OSError as error:
            if not target.exists():
                raise StorageFault(f"can't store the model: {error.strerror}", where=str(self.root)) from error
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        return key

    def ids(self) -> list[str]:
        """Ids of all models, sorted."""
        folders = self.root.iterdir() if self.root.is_dir() else ()
        return sorted(folder.name for folder in folders if (folder / MANIFEST).is_file() and folder.name[0] != ".")

    def find(self, version: str) -> str:
        """The id that a version or its unique prefix names.

        Raises:
            BadInput: none or several do, or the prefix is too short.
        """
        known = self.ids()
        if version in known:
            return version
        found = [key for key in known if key.startswith(version)] if len(version) >= PREFIX_LENGTH else []
        if len(found) == 1:
            return found[0]
        what = f"{len(found)} models begin with {version!r}" if found else f"no model {version!r}"
        mend = f"see `models list`; a prefix has at least {PREFIX_LENGTH} characters"
        raise BadInput(what, where=str(self.root), mend=mend)

    def manifest(self, key: str) -> dict[str, Any]:
        """A model's manifest.

        Raises:
            BadInput: there is no such model, or its manifest can't be read.
        """
        path = self.root / key / MANIFEST
        try:
            return _parse(path.read_bytes(), str(path))
        except OSError as error:
            raise BadInput(f"no model {key!r}", where=str(path), mend="see `models list`") from error

    def added(self, key: str) -> int:
        """When a model was added, ns since the epoch by the file system's clock.

        Raises:
            BadInput: there is no such model.
        """
        path = self.root / key / MANIFEST
        try:
            return path.stat().st_mtime_ns
        except OSError as error:
            raise BadInput(f"no model {key!r}", where=str(path), mend="see `models list`") from error

    def damage(self, key: str) -> str | None:
        """What is wrong with a model's bytes; None: they are what its name says."""
        try:
            files = {file.name: file.read_bytes() for file in (self.root / key).iterdir()}
        except OSError as error:
            return f"can't be read: {error.strerror}"
        return None if content_id(files) == key else "its content isn't what its name says"

    def remove(self, key: str) -> None:
        """Delete a model: out of sight first, then its bytes."""
        aside = self.root / f".{key}.{os.getpid()}.gone"
        (self.root / key).rename(aside)
        shutil.rmtree(aside, ignore_errors=True)

    def sweep(self) -> None:
        """Delete what writers and removals that were killed left behind; only while no one else adds."""
        for folder in self.root.glob(".*.part"):
            shutil.rmtree(folder, ignore_errors=True)
        for folder in self.root.glob(".*.gone"):
            shutil.rmtree(folder, ignore_errors=True)


def _parse(content: bytes, where: str) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except ValueError as error:
        raise BadInput(f"no manifest: {error}", where=where) from error
    if not isinstance(document, dict):
        raise BadInput("the manifest isn't an object", where=where)
    return document
