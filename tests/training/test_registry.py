"""The registry: BEST always names a whole model, whatever is killed and however many write and read."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.errors import BadInput, StorageFault
from strategy.model import content_id
from training.registry import Registry, State

ROOT = Path(__file__).parents[2]


def made_model(number: int) -> dict[str, bytes]:
    """Files of a model."""
    manifest = {"parent": None, "metrics": {"loss": number}}
    return {"manifest.json": json.dumps(manifest).encode(), "weights.safetensors": bytes([number]) * 3000}


def made_registry(root: Path, models: int = 0) -> tuple[Registry, list[str]]:
    """A registry with so many candidates."""
    registry = Registry(root, "test", lambda: 0)
    return registry, [registry.folders.add(made_model(number)) for number in range(models)]


def test_a_model_is_named_by_its_content(tmp_path: Path) -> None:
    """The same bytes are the same model; any other byte is another one, or damage."""
    registry, (first, second) = made_registry(tmp_path, 2)
    assert registry.folders.add(made_model(0)) == first != second
    assert registry.states() == dict.fromkeys(sorted([first, second]), State.CANDIDATE)
    (tmp_path / first / "weights.safetensors").write_bytes(b"\0" * 2999 + b"\1")
    assert list(registry.verify()) == [first]
    with pytest.raises(BadInput, match="damaged"):
        registry.promote(first, "why")
    assert registry.best() is None


def test_versions_are_found_by_prefix(tmp_path: Path) -> None:
    """A unique prefix of eight characters will do; less, none and another's won't."""
    registry, (key, _) = made_registry(tmp_path, 2)
    assert registry.folders.find(key) == registry.folders.find(key[:8]) == key
    for version in (key[:7], "f" * 16, "", "../x"):
        with pytest.raises(BadInput):
            registry.folders.find(version)


@settings(max_examples=30)
@given(operations=st.lists(st.sampled_from(["0", "1", "2", "rollback", "retire", "reject", "prune"]), max_size=25))
def test_rollback_goes_back_the_way_promotions_came(
    tmp_path_factory: pytest.TempPathFactory, operations: list[str]
) -> None:
    """The best model is the top of a stack: promotions push, rollbacks pop, retirements empty it; no byte changes."""
    registry, keys = made_registry(tmp_path_factory.mktemp("models"), 3)
    stack: list[str] = []
    for operation in operations:
        if operation == "rollback":
            if len(stack) < 2 or stack[-2] not in registry.folders.ids():
                with pytest.raises(BadInput):
                    registry.rollback("test")
            else:
                stack.pop()
                assert registry.rollback("test") == stack[-1]
        elif operation == "retire":
            if stack:
                assert registry.retire("test") == stack[-1]
                assert registry.states()[stack[-1]] is State.RETIRED
            else:
                with pytest.raises(BadInput, match="no model is best"):
                    registry.retire("test")
            stack = []
        elif operation == "reject":
            if (rejected := keys[0]) != registry.best() and rejected in registry.folders.ids():
                registry.reject(rejected, "test")
                assert registry.states()[rejected] is State.REJECTED
        elif operation == "prune":
            assert not set(registry.prune(0)) & set(stack[-2:])
        elif (key := keys[int(operation)]) in registry.folders.ids():
            registry.promote(key, "test")
            stack += [key] if stack[-1:] != [key] else []
        assert registry.best() == (stack[-1] if stack else None)
        assert registry.verify() == {}
        assert [k for k, state in registry.states().items() if state is State.BEST] == stack[-1:]


class Killed(BaseException):
    """The process is gone."""


def steps_of(action: Callable[[], object], monkeypatch: pytest.MonkeyPatch, at: int) -> Iterator[str]:
    """Run an action until its `at`-th call to the system, which doesn't happen; yields that call's name, if any."""
    calls: list[str] = []

    def watched(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            calls.append(name)
            if len(calls) == at:
                raise Killed(name)
            return real(*arguments, **named)

        return call

    with monkeypatch.context() as patch:
        for name in ("open", "ftruncate", "pwrite", "fsync", "replace", "rename", "mkdir", "unlink"):
            patch.setattr(os, name, watched(name, getattr(os, name)))
        try:
            action()
        except Killed as killed:
            yield str(killed)


def let_go_of_files() -> None:
    """Close what a killed process would have had open: lock files."""
    for name in os.listdir("/proc/self/fd"):
        path = f"/proc/self/fd/{name}"
        if os.path.islink(path) and os.readlink(path).endswith(("/.lock", "/.owner")):
            os.close(int(name))


@pytest.mark.parametrize("kind", ["promote", "rollback", "add"])
def test_a_kill_at_any_step_leaves_old_or_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Cut off before any call to the system: BEST names the old or the new model, whole, and work goes on."""
    killed = []
    for at in range(1, 200):
        registry, (first, second) = made_registry(tmp_path / str(at), 2)
        registry.promote(first, "first")
        if kind == "rollback":
            registry.promote(second, "second")
        action = {
            "promote": lambda registry=registry, key=second: registry.promote(key, "cut off"),
            "rollback": lambda registry=registry: registry.rollback("cut off"),
            "add": lambda registry=registry: registry.folders.add(made_model(9)),
        }[kind]
        died = list(steps_of(action, monkeypatch, at))
        let_go_of_files()  # the kernel does, when a process dies
        fresh, _ = made_registry(tmp_path / str(at))
        assert fresh.best() in (first, second)
        assert fresh.verify() == {}
        assert list(fresh.states().values()).count(State.BEST) == 1
        before = fresh.best()
        third = fresh.folders.add(made_model(7))
        fresh.promote(third, "work goes on")
        assert fresh.rollback("and back") == before
        assert set(fresh.folders.ids()) - {first, second, third} <= {content_id(made_model(9))}
        if not died:
            break
        killed += died
    assert {"open", "fsync"} <= set(killed)
    assert len(killed) > 5
    assert not died


def test_a_kill_while_retiring_leaves_it_best_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut off before any call to the system: it is best with its line whole, or none is; work goes on."""
    seen = set()
    for at in range(1, 200):
        registry, (first, second, third) = made_registry(tmp_path / str(at), 3)
        registry.promote(first, "first")
        registry.promote(second, "second")
        died = list(steps_of(lambda registry=registry: registry.retire("cut off"), monkeypatch, at))  # type: ignore[misc]
        let_go_of_files()
        fresh, _ = made_registry(tmp_path / str(at))
        seen.add(before := fresh.best())
        fresh.promote(third, "work goes on")
        if before is None:
            with pytest.raises(BadInput, match="no model was best before"):
                fresh.rollback("nothing to go back to")
        else:
            assert (fresh.rollback("and back"), fresh.rollback("and again")) == (second, first)
        if not died:
            break
    assert seen == {second, None}


def test_the_owner_keeps_others_out(tmp_path: Path) -> None:
    """While the daemon owns the registry, others read but do not promote, and are told who it is."""
    registry, (key,) = made_registry(tmp_path, 1)
    registry.own()
    registry.promote(key, "mine")
    other = Registry(tmp_path, "other", lambda: 0)
    with pytest.raises(BadInput, match=rf"in use by test \(process {os.getpid()}"):
        other.rollback("not mine")
    assert other.best() == key
    registry.disown()
    assert other.promote(key, "again") == key


def test_a_line_cut_off_is_no_change_but_damage_is_told(tmp_path: Path) -> None:
    """The history survives a torn last line; a broken one inside is a fault, not a guess."""
    registry, (first, second) = made_registry(tmp_path, 2)
    registry.promote(first, "first")
    log = tmp_path / "states.jsonl"
    log.write_bytes(log.read_bytes() + b'{"time": "2020')
    assert len(registry.history()) == 1
    registry.promote(second, "second")
    assert [change.why for change in registry.history()][::2] == ["first", "second"]
    log.write_bytes(log.read_bytes().replace(b'"why"', b'"what"', 1))
    with pytest.raises(StorageFault, match="line 1 is damaged"):
        registry.history()


def test_verdicts_come_back(tmp_path: Path) -> None:
    """What the validator says of a model is kept whole, beside the model."""
    registry, (key,) = made_registry(tmp_path, 1)
    assert registry.verdict(key) is None
    registry.write_verdict(key, {"passed": False, "quality_score": -1000.0})
    assert registry.verdict(key) == {"passed": False, "quality_score": -1000.0}
    assert registry.folders.ids() == [key]
    assert registry.verdicts() == {key: {"passed": False, "quality_score": -1000.0}}
    (tmp_path / "verdicts" / f"{key}.json").write_text("{")
    with pytest.raises(StorageFault, match="damaged"):
        registry.verdicts()


WRITER = """
import sys
from pathlib import Path
from tests.training.test_registry import made_model
from training.registry import Registry
root, seed = Path(sys.argv[1]), int(sys.argv[2])
registry = Registry(root, "writer", lambda: 0)
for i in range(40):
    key = registry.folders.add(made_model((i * 7 + seed) % 20))
    try:
        registry.promote(key, "hammer")
        if i % 3 == 2:
            registry.rollback("hammer")
    except Exception as error:
        if "in use by" not in str(error) and "no model" not in str(error):
            raise
"""
READER = """
import sys
from pathlib import Path
from training.registry import Registry
registry = Registry(Path(sys.argv[1]), "reader", lambda: 0)
seen = set()
for _ in range(400):
    best = registry.best()
    assert registry.folders.damage(best) is None, best
    assert registry.folders.manifest(best)["metrics"]["loss"] < 20
    seen.add(best)
    for key in registry.folders.ids():
        assert len(key) == 16
"""


def test_writers_and_readers_at_once(tmp_path: Path) -> None:
    """Two writers and four readers: what BEST names is whole at every look, and the history adds up at the end."""
    registry, (key,) = made_registry(tmp_path, 1)
    registry.promote(key, "first")
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(seed)], cwd=ROOT, stderr=subprocess.PIPE)
        for seed, code in enumerate([WRITER, WRITER, READER, READER, READER, READER])
    ]
    complaints = [process.communicate(timeout=300)[1].decode() for process in processes]
    assert complaints == [""] * 6
    assert registry.verify() == {}
    assert registry.history()
    assert list(registry.states().values()).count(State.BEST) == 1
