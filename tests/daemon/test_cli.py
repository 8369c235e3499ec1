"""The command line: exit codes, one clear line for what went wrong, and one JSON document for scripts."""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from broker.errors import BadInput, StorageFault
from daemon import __version__, cli
from daemon.console import Ui
from daemon.options import Subparsers, add_command, config_of

Work = Callable[[argparse.Namespace, Ui], dict[str, Any] | None]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in an empty folder, where no config.toml is found, and without the user's variables."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("MICRO_TRADER__") or name == "STATE_DIRECTORY":
            monkeypatch.delenv(name)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Work], None]]:
    """Adds a command `probe` that does what it's given."""

    def add(work: Work) -> None:
        def register(subparsers: Subparsers) -> None:
            add_command(subparsers, "probe", "a probe", "micro-trader probe").set_defaults(handler=work)

        module = ModuleType("daemon.commands.probe")
        module.register = register  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setattr(cli, "COMMANDS", {**cli.COMMANDS, "probe": "a probe"})

    return add


def fails_with(error: BaseException) -> Work:
    """Work that raises."""

    def work(_args: argparse.Namespace, _ui: Ui) -> None:
        raise error

    return work


def program(*argv: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """The program in a process of its own."""
    code = "import sys; from daemon.cli import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code, *argv], text=True, check=False, stderr=subprocess.PIPE, **options
    )


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (BadInput("no bars", where="a.csv:3", mend="add some"), 2, "error: a.csv:3: no bars (add some)"),
        (BadInput("two\nlines"), 2, "error: two lines"),
        (StorageFault("failed", where="/x"), 1, "error: /x: failed"),
        (OSError(28, "No space left on device", "/x"), 1, "error: /x: the disk is full"),
        (OSError(5, "Input/output error"), 1, "error: Input/output error"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_what_goes_wrong_is_one_line(
    error: BaseException, code: int, line: str, command: Callable[[Work], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Each family of errors has its exit code, and never a traceback."""
    command(fails_with(error))
    assert cli.main(["probe"]) == code
    assert capsys.readouterr() == ("", f"micro-trader: {line}\n")


def test_a_bug_says_so(command: Callable[[Work], None], capsys: pytest.CaptureFixture[str]) -> None:
    """An unexpected error shows its traceback, says that it's a bug, and fails."""
    command(fails_with(ZeroDivisionError("oops")))
    assert cli.main(["probe"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert "ZeroDivisionError: oops" in lines
    assert "this is a bug" in lines[-1]


@pytest.mark.parametrize(
    ("argv", "hint"),
    [
        (["confg"], "did you mean config?"),
        (["xyz"], "micro-trader --help"),
        (["config"], "micro-trader config --help"),
        (["config", "shwo"], "'show'"),
        (["config", "show", "--jsno"], "did you mean --json?"),
        (["config", "show", "--js"], "--js"),
        (["config", "show", "extra"], "extra"),
        (["config", "show", "--config"], "--config"),
        (["config", "show", "--config", "missing.toml"], "missing.toml"),
        (["--verison"], "--verison"),
        (["--json", "config", "show"], "micro-trader config --json"),
    ],
)
def test_wrong_usage_is_one_line(argv: list[str], hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Misspelt commands and options are refused with exit code 2 and a way on; options are never abbreviated."""
    assert cli.main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("micro-trader: error: ")
    assert hint in err
    assert err.count("\n") == 1


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    """--help lists every command, --version has the one version, and no command at all is wrong usage."""
    assert cli.main(["--help"]) == 0
    out = capsys.readouterr().out
    assert [name for name in cli.COMMANDS if f"\n  {name} " not in out] == []
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"micro-trader {__version__}\n"
    assert cli.main([]) == 2
    assert "commands:" in capsys.readouterr().err


def test_json_is_one_document_alone(command: Callable[[Work], None], capsys: pytest.CaptureFixture[str]) -> None:
    """With --json stdout is the result alone; notes go to stderr."""

    def work(_args: argparse.Namespace, ui: Ui) -> dict[str, Any]:
        ui.note("by the way")
        return {"pips": 0.1, "none": None}

    command(work)
    assert cli.main(["probe", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == {"pips": 0.1, "none": None}
    assert "by the way" in err


def test_json_has_no_nan(command: Callable[[Work], None], capsys: pytest.CaptureFixture[str]) -> None:
    """NaN isn't JSON: a result with one fails instead of being printed."""
    command(lambda _args, _ui: {"pips": float("nan")})
    assert cli.main(["probe", "--json"]) == 1
    assert capsys.readouterr().out == ""


def test_options_of_every_command_reach_the_config(
    command: Callable[[Work], None], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """--config (else ./config.toml), --state and a command's own flags make the effective config."""

    def work(args: argparse.Namespace, _ui: Ui) -> dict[str, Any]:
        config = config_of(args, {"bar": ("--bar", None), "seed": ("--seed", 9)})
        return {"seed": config.seed, "bar": config.bar, "units": config.risk.units, "dir": config.state.dir}

    command(work)
    (tmp_path / "other.toml").write_text("bar = '5m'\nseed = 1\n")
    (tmp_path / "config.toml").write_text("[risk]\nunits = 5\n")
    assert cli.main(["probe", "--json", "--config", "other.toml", "--state", "here"]) == 0
    assert json.loads(capsys.readouterr().out) == {"seed": 9, "bar": "5m", "units": 1000, "dir": "here"}
    assert cli.main(["probe", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"seed": 9, "bar": "1m", "units": 5, "dir": "var"}


@pytest.mark.parametrize(
    "argv", [["config", "--config", "a.toml", "show", "--json"], ["config", "--json", "show", "--config", "a.toml"]]
)
def test_options_may_stand_before_a_subcommand(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """An option between a command and its subcommand is not lost."""
    Path("a.toml").write_text("seed = 3\n")
    assert cli.main(argv) == 0
    assert json.loads(capsys.readouterr().out)["seed"] == 3


def test_config_commands(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """`init` writes a file that `check` accepts and `show` explains; it doesn't write over one unless told."""
    assert cli.main(["config", "init", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["path"] == "config.toml"
    assert cli.main(["config", "check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["valid"] is True
    assert cli.main(["config", "init"]) == 2
    assert "--force" in capsys.readouterr().err
    Path("config.toml").write_text("seed = 5\n")
    monkeypatch.setenv("MICRO_TRADER__RISK__UNITS", "7")
    monkeypatch.setenv("OANDA_TOKEN", "a-secret")
    assert cli.main(["config", "show", "--json"]) == 0
    out = capsys.readouterr().out
    shown = json.loads(out)
    assert "a-secret" not in out
    assert (shown["seed"], shown["risk"]["units"]) == (5, 7)
    assert shown["origins"]["seed"] == "config.toml:1"
    assert cli.main(["config", "show"]) == 0
    assert "config.toml:1" in capsys.readouterr().out
    assert cli.main(["config", "init", "--force"]) == 0
    assert cli.main(["config", "init", "no/such/folder.toml"]) == 2
    assert cli.main(["config", "check", "--config", "config.toml"]) == 0


def test_no_misspelt_variable(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that names no key is wrong input, for every command that reads the config."""
    monkeypatch.setenv("MICRO_TRADER__RISK__UNIT", "7")
    assert cli.main(["config", "check"]) == 2
    assert "$MICRO_TRADER__RISK__UNIT" in capsys.readouterr().err


def test_a_closed_pipe_is_quiet() -> None:
    """`micro-trader ... | head` ends without a complaint."""
    code = "import sys; from daemon.cli import main; sys.exit(main(['config', 'reference']))"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_is_one_line() -> None:
    """A result that can't be written is a failure, said in one line."""
    with open("/dev/full", "w") as full:
        done = program("config", "reference", stdout=full)
    assert (done.returncode, done.stderr) == (1, "micro-trader: error: the disk is full\n")


def test_help_and_config_come_at_once() -> None:
    """Neither help nor config loads a heavy library: a command's module is imported when it's asked for."""
    code = """
import sys
from daemon.cli import main
main(["--help"]), main(["config", "show"])
print(sorted({"torch", "numba", "scipy", "pyarrow", "aiohttp", "apscheduler"} & set(sys.modules)), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
