"""The model registry: which model is best, which were, and why; readers need no lock and never see half a model.

`BEST` names one model and is replaced by an atomic rename: it alone decides. `states.jsonl` tells how it came about, a
line a change, written before `BEST` is; where a promotion was cut off between the two, the next change says so first.
A model that no line names is a candidate.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from broker.errors import BadInput, StorageFault
from broker.rfc3339 import rfc3339
from training.locks import FileLock
from training.model_folders import ModelFolders
from training.store_schema import sync_file


class State(StrEnum):
    """What became of a model."""

    CANDIDATE = "candidate"
    BEST = "best"
    RETIRED = "retired"
    REJECTED = "rejected"


class How(StrEnum):
    """What a change did to the line of best models that a rollback goes back along."""

    NOTHING = ""
    PROMOTION = "promotion"
    ROLLBACK = "rollback"
    RETIREMENT = "retirement"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class Change:
    """A line of states.jsonl.

    Attributes:
        time: RFC 3339. id: the model. state: what it became. why: for a person.
        how: a promotion puts the model at the head of the line of best ones, a rollback takes the head off, a
            retirement ends the line, and `undone` says that what was before it was cut off.
    """

    time: str
    id: str
    state: State
    why: str
    how: How = How.NOTHING


class Registry:
    """Models and their states.

    Args:
        root: `models/` in the state folder.
        who: names this process to others that want to change states meanwhile.
        now: ns since the epoch.
    """

    def __init__(self, root: Path, who: str, now: Callable[[], int]) -> None:
        self.folders = ModelFolders(root)
        self._root, self._now = root, now
        self._owner = FileLock(root / ".owner", who, now)
        self._moment = FileLock(root / ".lock", who, now, wait=True)

    def own(self) -> None:
        """Keep others from changing states until `disown`, as the daemon does while it runs.

        Raises:
            BadInput: another process does.
        """
        self._owner.acquire()

    def disown(self) -> None:
        """Let others change states again."""
        self._owner.release()

    def best(self) -> str | None:
        """Id of the best model; None before the first promotion."""
        try:
            return (self._root / "BEST").read_text(encoding="utf-8").strip() or None
        except FileNotFoundError:
            return None

    def states(self) -> dict[str, State]:
        """State of every model that is there."""
        best, last = self.best(), {change.id: change.state for change in self.history()}
        found = {key: last.get(key, State.CANDIDATE) for key in self.folders.ids()}
        for key, state in found.items():
            if state is State.BEST and key != best:  # cut off before BEST was renamed
                found[key] = State.CANDIDATE
        if best in found:
            found[best] = State.BEST
        return found

    def history(self) -> list[Change]:
        """All changes, oldest first; a last line that was cut off is no change."""
        try:
            lines = (self._root / "states.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
        except FileNotFoundError:
            return []
        changes = []
        for number, line in enumerate(lines, 1):
            try:
                document = json.loads(line)
                changes.append(Change(**{**document, "state": State(document["state"]), "how": How(document["how"])}))
            except (ValueError, TypeError, KeyError) as error:
                raise StorageFault(f"line {number} is damaged", where=str(self._root / "states.jsonl")) from error
        return changes

    def promote(self, version: str, why: str) -> str:
        """Make a model the best one.

        Returns:
            Its id.

        Raises:
            BadInput: there is no such model, it is damaged, or another process owns the registry.
            StorageFault: the disk failed; BEST names the old or the new model.
        """
        with self._changing():
            key = self.folders.find(version)
            self._whole(key)
            if key != (best := self.best()):
                self._crown(key, best, why, How.PROMOTION)
        return key

    def rollback(self, why: str) -> str:
        """Make the model best again that was so before the best one.

        Returns:
            Its id.

        Raises:
            BadInput: there is none, it is damaged or gone, or another process owns the registry.
            StorageFault: the disk failed.
        """
        with self._changing():
            line = _line_of_best(self.history())
            if len(line) < 2:
                raise BadInput("no model was best before", where=str(self._root), mend="promote one")
            self._whole(line[-2])
            self._crown(line[-2], line[-1], why, How.ROLLBACK)
        return line[-2]

    def retire(self, why: str) -> str:
        """Leave no model best: what trades goes flat. A rollback leads nowhere until the next promotion.

        Returns:
            Id of what was best.

        Raises:
            BadInput: no model is best, or another process owns the registry.
            StorageFault: the disk failed; BEST names the model or is gone.
        """
        with self._changing():
            best = self.best()
            if best is None:
                raise BadInput("no model is best", where=str(self._root), mend="see `models list`")
            self._append([self._change(best, State.RETIRED, why, How.RETIREMENT)])
            try:
                os.unlink(self._root / "BEST")
                sync_file(self._root)
            except OSError as error:
                raise StorageFault(f"can't retire: {error.strerror}", where=str(self._root / "BEST")) from error
        return best

    def reject(self, version: str, why: str) -> str:
        """Mark a model as not good enough; returns its id.

        Raises:
            BadInput: it is the best one, there is none, or another process owns the registry.
        """
        with self._changing():
            key = self.folders.find(version)
            if key == self.best():
                raise BadInput("the best model can't be rejected", where=key, mend="roll back first")
            self._append([self._change(key, State.REJECTED, why)])
        return key

    def prune(self, keep: int = 5) -> list[str]:
        """Delete retired and rejected models but the newest `keep`; never the best one nor what a rollback leads to.

        Returns:
            Ids of what went.
        """
        with self._changing():
            changes, states = self.history(), self.states()
            touched = {change.id: number for number, change in enumerate(changes)}
            over = [key for key, state in states.items() if state in (State.RETIRED, State.REJECTED)]
            over.sort(key=lambda key: touched[key], reverse=True)
            needed = _line_of_best(changes)[-2:]
            gone = [key for key in over[keep:] if key not in needed]
            for key in gone:
                self.folders.remove(key)
        return gone

    def verify(self) -> dict[str, str]:
        """Damaged models, and BEST where it names none, by id or file, and what is wrong."""
        found = {key: damage for key in self.folders.ids() if (damage := self.folders.damage(key)) is not None}
        best = self.best()
        if best is not None and best not in self.folders.ids():
            found["BEST"] = f"names {best}, which isn't there"
        return found

    def verdict(self, key: str) -> dict[str, Any] | None:
        """What the validator found about a model; None: nothing yet.

        Raises:
            StorageFault: the file is damaged.
        """
        path = self._root / "verdicts" / f"{key}.json"
        try:
            document: dict[str, Any] = json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise StorageFault(f"the verdict is damaged: {error}", where=str(path)) from error
        return document

    def verdicts(self) -> dict[str, dict[str, Any]]:
        """All verdicts by model, also of models that are gone."""
        keys = sorted(path.stem for path in (self._root / "verdicts").glob("*.json") if path.name[0] != ".")
        found = {key: self.verdict(key) for key in keys}
        return {key: verdict for key, verdict in found.items() if verdict is not None}

    def write_verdict(self, key: str, verdict: Mapping[str, Any]) -> None:
        """Keep what the validator found, durably and whole; the validator alone calls this."""
        folder = self._root / "verdicts"
        folder.mkdir(parents=True, exist_ok=True)
        _replace(folder / f"{key}.json", json.dumps(verdict, indent=1, allow_nan=False) + "\n")

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """One change at a time, by nobody but the owner where there is one; first makes good what was cut off."""
        with self._moment:
            owned = self._owner.held
            if not owned:
                self._owner.acquire()
            try:
                self._mend()
                yield
            finally:
                if not owned:
                    self._owner.release()

    def _mend(self) -> None:
        """Say of what was cut off before BEST was replaced or removed that it didn't happen."""
        best, changes = self.best(), self.history()
        line = _line_of_best(changes)
        if best == (line[-1] if line else None):
            return
        former = _line_of_best([*changes, self._change(best or "", State.CANDIDATE, "", How.UNDONE)])
        cut_off = former[-1:] == ([] if best is None else [best])
        if cut_off and line:
            state = State.RETIRED if line[-1] in former else State.CANDIDATE
            self._append([self._change(line[-1], state, "it was cut off before it became best", How.UNDONE)])
        elif cut_off and best is not None:
            self._append([self._change(best, State.BEST, "its retirement was cut off", How.UNDONE)])
        elif best is not None:
            self._append([self._change(best, State.BEST, "BEST was changed by hand", How.PROMOTION)])

    def _crown(self, key: str, best: str | None, why: str, how: How) -> None:
        changes = [self._change(key, State.BEST, why, how)]
        if best is not None:
            changes.insert(0, self._change(best, State.RETIRED, f"{how} of {key}"))
        self._append(changes)
        _replace(self._root / "BEST", f"{key}\n")

    def _change(self, key: str, state: State, why: str, how: How = How.NOTHING) -> Change:
        return Change(rfc3339(self._now()), key, state, why, how)

    def _append(self, changes: list[Change]) -> None:
        """Add lines in one durable write, over what is left of one that was cut off."""
        lines = "".join(
            json.dumps({"time": c.time, "id": c.id, "state": c.state, "why": c.why, "how": c.how}) + "\n"
            for c in changes
        )
        path = self._root / "states.jsonl"
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                whole = path.read_bytes().rfind(b"\n") + 1
                os.ftruncate(handle, whole)
                os.pwrite(handle, lines.encode(), whole)
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise StorageFault(f"can't write: {error.strerror}", where=str(path)) from error

    def _whole(self, key: str) -> None:
        if (damage := self.folders.damage(key)) is not None:
            raise BadInput(f"the model is damaged: {damage}", where=key, mend="see `models verify`")


def _line_of_best(changes: list[Change]) -> list[str]:
    """The best model and those before it that a rollback leads to, the best one last."""
    line: list[str] = []
    before = line
    for change in changes:
        match change.how:
            case How.PROMOTION:
                before, line = line, [*line, change.id]
            case How.ROLLBACK:
                before, line = line, line[:-1]
            case How.RETIREMENT:
                before, line = line, []
            case How.UNDONE:
                line = before
    return line


def _replace(path: Path, text: str) -> None:
    """Replace a file's content in one step, durably."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        aside.write_text(text, encoding="utf-8")
        sync_file(aside)
        os.replace(aside, path)
        sync_file(path.parent)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise StorageFault(f"can't write: {error.strerror}", where=str(path)) from error
