"""The distribution: no name clashes, nothing missing from the wheel."""

import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import distributions
from pathlib import Path

import pytest

import daemon

ROOT = Path(__file__).parents[1]
FLOORS = {"broker", "daemon", "strategy", "training"}
DISTRIBUTION = "micro-trader"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The project built as a wheel, from a copy, with the environment's own setuptools."""
    copy, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in FLOORS:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy / name)
    code = f"from setuptools.build_meta import build_wheel; build_wheel({str(out)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=copy, capture_output=True, check=True)
    return zipfile.ZipFile(next(out.glob("*.whl")))


def test_no_dependency_takes_our_names() -> None:
    """The four floors are top-level packages with common names: nothing else installed may ship one of them."""
    clashes = {
        f"{distribution.name}: {file.parts[0]}"
        for distribution in distributions()
        if distribution.name != DISTRIBUTION
        for file in distribution.files or ()
        if file.parts[0].removesuffix(".py") in FLOORS
    }
    assert clashes == set()


def test_the_wheel_has_all_that_is_needed(wheel: zipfile.ZipFile) -> None:
    """Each module and each data file of the packages, the bundled model among them, is in the wheel."""
    wanted = {
        path.relative_to(ROOT).as_posix()
        for floor in FLOORS
        for path in (ROOT / floor).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert wanted - set(wheel.namelist()) == set()
    assert any(name.startswith("strategy/bundled/") and name.endswith(".safetensors") for name in wheel.namelist())


def test_the_wheel_has_nothing_else(wheel: zipfile.ZipFile) -> None:
    """No test, tool or recorded quote is installed."""
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert tops == FLOORS | {f"micro_trader-{daemon.__version__}.dist-info"}


def test_the_wheel_has_the_command(wheel: zipfile.ZipFile) -> None:
    """The script `micro-trader` starts the command line."""
    text = wheel.read(f"micro_trader-{daemon.__version__}.dist-info/entry_points.txt").decode()
    assert "micro-trader = daemon.cli:main" in text


def test_dependencies_are_constrained() -> None:
    """constraints.txt pins each declared dependency to one version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {line.partition("==")[0].lower() for line in lines if line and not line.startswith("#")}
    declared = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    assert {entry.split(">=")[0].lower() for entry in declared} <= pinned
    assert all("==" in line for line in lines if line and not line.startswith("#"))
