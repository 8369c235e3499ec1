"""`micro-trader models`: promised keys and exit codes."""

import json
from pathlib import Path
from typing import Any

import pytest

from daemon.cli import main
from tests.training.test_registry import made_registry
from training.registry import Registry


def run(capsys: pytest.CaptureFixture[str], state: Path, *arguments: str, code: int = 0) -> Any:
    """The document of a command that ends with `code`; its message where there is none."""
    assert main(["models", *arguments, "--state", str(state), "--json"]) == code
    out, err = capsys.readouterr()
    return json.loads(out) if out else err


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Three candidates in the state folder `tmp_path`."""
    monkeypatch.chdir(tmp_path)
    return made_registry(tmp_path / "models", 3)[1]


def test_promote_and_roll_back(models: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The best one is first in the list; a rollback returns to the one before; a prefix will do."""
    assert run(capsys, tmp_path, "promote", models[0][:8]) == {"version": models[0], "previous": None}
    assert run(capsys, tmp_path, "promote", models[1])["previous"] == models[0]
    listed = run(capsys, tmp_path, "list")
    assert listed["best"] == listed["models"][0]["version"] == models[1]
    assert {"version", "parent", "metrics", "state", "checksum"} <= set(listed["models"][0])
    assert run(capsys, tmp_path, "rollback")["version"] == models[0]
    shown = run(capsys, tmp_path, "show", models[1])
    assert (shown["state"], shown["manifest"]["metrics"]) == ("retired", {"loss": 1})
    assert run(capsys, tmp_path, "prune", "--keep", "0")["deleted"] == [models[1]]
    assert "no model was best before" in run(capsys, tmp_path, "rollback", code=2)


def test_retire_leaves_none_best(models: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is best, and nothing to go back to, until the next promotion; why is in the history."""
    assert "no model is best" in run(capsys, tmp_path, "retire", code=2)
    run(capsys, tmp_path, "promote", models[0])
    assert run(capsys, tmp_path, "retire", "--why", "lost") == {"version": None, "previous": models[0]}
    assert run(capsys, tmp_path, "list")["best"] is None
    assert run(capsys, tmp_path, "show", models[0])["history"][-1]["why"] == "lost"
    assert "no model was best before" in run(capsys, tmp_path, "rollback", code=2)


def test_what_passed_is_listed_before_what_did_not(
    models: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The quality score ranks those that pass; a verdict is shown with the number of its tries."""
    registry = Registry(tmp_path / "models", "test", lambda: 0)
    for key, passed, score in zip(models, (False, True, True), (99.0, 1.0, 2.0), strict=True):
        registry.write_verdict(key, {"gate": {"passed": passed}, "quality_score": score, "tries": [{}, {}]})
    listed = run(capsys, tmp_path, "list")["models"]
    assert [row["version"] for row in listed] == [models[2], models[1], models[0]]
    assert run(capsys, tmp_path, "show", models[0])["verdict"]["tries"] == 2


def test_verify_fails_on_damage(models: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Changed bytes: exit 1 and the version's name; a version that isn't there: exit 2."""
    assert run(capsys, tmp_path, "verify")["checked"] == 3
    (tmp_path / "models" / models[2] / "weights.safetensors").write_bytes(b"other")
    assert run(capsys, tmp_path, "verify", code=1)["damaged"][0]["version"] == models[2]
    assert "damaged" in run(capsys, tmp_path, "promote", models[2], code=2)
    assert "no model" in run(capsys, tmp_path, "show", "f" * 16, code=2)
