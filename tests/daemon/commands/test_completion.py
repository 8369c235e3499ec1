"""`completion`: a real shell completes commands, options and files by it."""

import subprocess
from pathlib import Path

import pytest

from daemon.cli import COMMANDS, main


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The script for bash."""
    path = tmp_path_factory.mktemp("bash") / "completion.bash"
    with path.open("w") as out, pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", out)
        assert main(["completion", "bash"]) == 0
    return path


def completed(script: Path, cwd: Path, *words: str) -> set[str]:
    """What bash offers for the last word of a command line."""
    lines = f"""
    source {script}
    COMP_WORDS=({" ".join(f"'{word}'" for word in words)})
    COMP_CWORD={len(words) - 1}
    $(complete -p micro-trader | sed -E 's/.*-F ([^ ]+) .*/\\1/')
    printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", lines], cwd=cwd, capture_output=True, text=True, check=True)
    return {word.strip() for word in done.stdout.splitlines()}


def test_commands_and_options(script: Path, tmp_path: Path) -> None:
    """Each command, a subcommand, and an option by its first letters."""
    assert set(COMMANDS) <= completed(script, tmp_path, "micro-trader", "")
    assert completed(script, tmp_path, "micro-trader", "models", "prom") == {"promote"}
    assert completed(script, tmp_path, "micro-trader", "replay", "--strat") == {"--strategy"}


def test_files(script: Path, tmp_path: Path) -> None:
    """Where a path may stand, files are offered."""
    (tmp_path / "EUR_USD-may.csv").write_text("")
    assert completed(script, tmp_path, "micro-trader", "replay", "EUR") == {"EUR_USD-may.csv"}


def test_a_shell_that_is_not_known(capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong usage: exit 2."""
    assert main(["completion", "dos"]) == 2
    assert "dos" in capsys.readouterr().err
