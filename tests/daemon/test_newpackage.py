"""`new-strategy`: what it writes runs at once, and passes its own tests."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.cli import main

ROOT = Path(__file__).parents[2]


def test_the_package_runs_and_passes_its_tests(tmp_path: Path) -> None:
    """Written, tested and replayed by its name, in processes of their own, without being installed."""
    environ = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}

    def done(*command: str) -> str:
        found = subprocess.run(
            [sys.executable, "-m", *command], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
        )
        assert found.returncode == 0, found.stdout + found.stderr
        return found.stdout

    assert json.loads(done("daemon", "new-strategy", "my-idea", "--json")) == {"path": "my-idea"}
    assert "2 passed" in done("pytest", "my-idea", "-q", "-p", "no:cacheprovider")
    done("daemon", "ticks", "synth", "regime", "EUR_USD-synth.csv.gz", "--bars", "900")
    summary = json.loads(done("daemon", "replay", "EUR_USD-synth.csv.gz", "--strategy", "my-idea", "--json"))
    assert summary["strategy"] == "my-idea"
    assert summary["trades"] > 0
    done("ruff", "check", "--isolated", "--select", "E,F,W,I", "--line-length", "120", "my-idea")


@pytest.mark.parametrize(
    ("name", "words"),
    [("hold", "already"), ("My_Idea", "no name"), ("../idea", "no name"), ("a--b", "no name"), ("there", "is there")],
)
def test_names_that_will_not_do(
    name: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name that is taken or none, and a folder that is there: exit 2, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    assert main(["new-strategy", name]) == 2
    assert words in capsys.readouterr().err
    assert [path.name for path in tmp_path.rglob("*")] == ["there"]


@pytest.mark.parametrize(
    ("project", "words"),
    [
        ("[project]\nname = 'x'\n", "declares no strategy"),
        ("[project\n", "declares no strategy"),
        ("[project.entry-points.'micro_trader.strategies']\nbroken-one = 'no_such_module:X'\n", "can't be loaded"),
    ],
)
def test_a_package_at_fault(
    project: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A package that declares nothing, or what can't be loaded: exit 2, and where."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken-one").mkdir()
    (tmp_path / "broken-one" / "pyproject.toml").write_text(project)
    (tmp_path / "EUR_USD.csv").write_text("time,bid,ask\n2024-01-01T00:00:00Z,1.1,1.2\n")
    assert main(["replay", "EUR_USD.csv", "--strategy", "broken-one"]) == 2
    err = capsys.readouterr().err
    assert words in err
    assert "broken-one" in err
