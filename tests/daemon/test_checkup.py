"""`doctor`: everything is named, and what is wrong is told with the way to mend it."""

import json
from pathlib import Path
from typing import Any

import pytest

from daemon.cli import main
from tests.training.test_registry import made_registry

NAMES = ["python", "packages", "kernels", "clock", "config", "state", "disk", "store", "models", "broker"]


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No config file and no account in reach."""
    monkeypatch.chdir(tmp_path)
    for name in ("OANDA_TOKEN", "OANDA_TOKEN_FILE", "OANDA_ENVIRONMENT"):
        monkeypatch.delenv(name, raising=False)


def checks(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> dict[str, Any]:
    """Each check by its name."""
    assert main(["doctor", *map(str, arguments), "--json"]) == code
    return {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}


def test_a_fresh_machine_is_in_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is there yet, and nothing is wrong."""
    found = checks(capsys, "--state", tmp_path / "state")
    assert list(found) == NAMES
    assert all(set(check) == {"name", "ok", "detail"} and check["ok"] for check in found.values())
    assert "OANDA_TOKEN" in found["broker"]["detail"]


def test_damage_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A changed model and a store that is none: exit 1, each with its name, the rest is still looked at."""
    models = made_registry(tmp_path / "models", 2)[1]
    (tmp_path / "models" / models[0] / "weights.safetensors").write_bytes(b"other")
    (tmp_path / "experience.db").write_bytes(b"no database" * 1000)
    found = checks(capsys, "--state", tmp_path, code=1)
    assert [name for name, check in found.items() if not check["ok"]] == ["store", "models"]
    assert models[0] in found["models"]["detail"]


def test_a_broker_that_does_not_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refused connection is told without the token."""
    for name, value in {
        "OANDA_TOKEN": "very-secret",
        "OANDA_ACCOUNT": "101-001-1-001",
        "OANDA_ENVIRONMENT": "custom",
        "OANDA_REST_URL": "http://127.0.0.1:9",
        "OANDA_STREAM_URL": "http://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(name, value)
    found = checks(capsys, "--state", tmp_path, code=1)
    assert not found["broker"]["ok"]
    assert "very-secret" not in json.dumps(found)


def test_a_config_that_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is told like any check; what needs the config is left out."""
    (tmp_path / "config.toml").write_text("[risk]\nunitz = 3\n")
    found = checks(capsys, "--state", tmp_path, code=1)
    assert list(found)[-1] == "config"
    assert "unitz" in found["config"]["detail"]


def test_a_state_folder_that_can_not_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file in its place."""
    (tmp_path / "file").write_text("")
    found = checks(capsys, "--state", tmp_path / "file" / "state", code=1)
    assert not found["state"]["ok"]
