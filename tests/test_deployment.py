"""Units, image, compose file and dashboards: held to the program and to their own tools, as far as these are there."""

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon import alive, relay
from daemon.cli import COMMANDS
from daemon.config.reading import KEYS, PREFIX
from daemon.schedule import trigger_of
from daemon.web.metrics import PREFIX as METRICS
from daemon.web.metrics import TABLE

ROOT = Path(__file__).parents[1]
UNITS = sorted([*ROOT.glob("systemd/*.service"), *ROOT.glob("systemd/*.timer")])
PROGRAM = "/opt/micro-trader/venv/bin/micro-trader"
MOST_EXPOSED = 25  # of 100, as `systemd-analyze security` counts in tenths


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The compose file."""
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return found


def test_requirements_are_the_dependencies() -> None:
    """The image installs what the package needs, and who is told."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if not line.startswith("#")]
    assert lines == [*project["dependencies"], *project["optional-dependencies"]["notify"]]


def analyze(*command: str) -> subprocess.CompletedProcess[str]:
    """systemd's own verdict, where it is installed."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    return subprocess.run(["systemd-analyze", *command], capture_output=True, text=True, check=False)


def test_units_are_as_systemd_wants_them(tmp_path: Path) -> None:
    """`verify` says nothing: it ends with 0 on unknown keys, so that its silence is what counts."""
    program = tmp_path / "micro-trader"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for unit in UNITS:
        (tmp_path / unit.name).write_text(unit.read_text().replace(PROGRAM, str(program)))
    assert analyze("verify", *(str(tmp_path / unit.name) for unit in UNITS)).stderr == ""


@pytest.mark.parametrize("unit", [unit for unit in UNITS if unit.suffix == ".service"], ids=lambda unit: unit.name)
def test_units_may_do_little(unit: Path) -> None:
    """Exposure is 2.5 at most."""
    done = analyze("security", "--offline=yes", f"--threshold={MOST_EXPOSED}", str(unit))
    assert done.returncode == 0, done.stdout[-500:]


@pytest.mark.parametrize("unit", [unit for unit in UNITS if unit.suffix == ".service"], ids=lambda unit: unit.name)
def test_units_start_commands_that_there_are(unit: Path) -> None:
    """What ExecStart names is a command."""
    (command,) = re.findall(rf"^ExecStart={PROGRAM} (\S+)", unit.read_text(), re.MULTILINE)
    assert command in COMMANDS


def test_services_are_set_by_keys_that_there_are(compose: dict[str, Any]) -> None:
    """Each override in the compose file is a key of the config."""
    names = {name for service in compose["services"].values() for name in service.get("environment", {})}
    keys = {name.removeprefix(PREFIX).lower().replace("__", ".") for name in names if name.startswith(PREFIX)}
    assert keys
    assert keys <= set(KEYS)


def test_services_run_commands_that_there_are(compose: dict[str, Any]) -> None:
    """Commands and health checks are the program's; the relay leads to the emulator, at the port that it serves."""
    ours = {name: service for name, service in compose["services"].items() if "micro-muzero" in service["image"]}
    assert set(ours) == {"training", "validation", "live", "emulator", "practice"}
    script = " ".join(ours["emulator"]["command"])
    assert ours["live"]["entrypoint"] == ["python", "-m", relay.__name__, "emulator:8080"]
    assert "--port 8080" in script
    assert re.search(r"--until (\S+)", script)[1] == re.search(r"--start (\S+)", script)[1]  # type: ignore[index]
    ours["live"]["command"].remove("micro-trader")
    for name, service in ours.items():
        assert service["command"][0] in COMMANDS or name == "emulator"
        check = service["healthcheck"]["test"]
        assert check[1:4] == ["python", "-m", alive.__name__] or name == "emulator"


def test_services_can_do_little(compose: dict[str, Any]) -> None:
    """Read-only, without capabilities; ports are published on loopback alone; one image, built once."""
    for name, service in compose["services"].items():
        if "micro-muzero" not in service["image"]:
            continue
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name
    assert [name for name, service in compose["services"].items() if "build" in service] == ["training"]


def test_an_account_has_paces_and_a_volume_of_its_own(compose: dict[str, Any]) -> None:
    """What practice.env sets is asked for by the compose file; it holds no secret, and its copy is never committed."""
    lines = [line for line in (ROOT / "practice.env").read_text().splitlines() if line and line[0] != "#"]
    given = dict(line.split("=", 1) for line in lines)
    assert given["OANDA_TOKEN"] == given["OANDA_ACCOUNT"] == ""
    text = (ROOT / "compose.yaml").read_text()
    assert {name for name in given if f"${{{name}" not in text} == {"COMPOSE_PROFILES"}
    assert given["COMPOSE_PROFILES"] in compose["services"]["practice"]["profiles"]
    assert f":-{given['STATE_VOLUME']}" not in text
    assert all(trigger_of(given[name]) for name in given if name.endswith("_SCHEDULE"))
    assert "/.env" in (ROOT / ".gitignore").read_text().splitlines()


def test_the_image_has_no_secret_and_no_root() -> None:
    """Nothing is copied but the source; the user is not root; requirements come before the source."""
    text = (ROOT / "Dockerfile").read_text()
    copied = re.findall(r"^COPY (.*) \S+$", text, re.MULTILINE)
    assert copied.index("requirements.txt constraints.txt") < copied.index("daemon")
    assert re.findall(r"^USER (\S+)$", text, re.MULTILINE) == ["10001:10001"]
    assert "--mount=type=cache" in text
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert {word for line in copied for word in line.split()} == allowed


def test_dashboards_ask_for_metrics_that_there_are() -> None:
    """Each name in the Grafana dashboard is a metric, and Prometheus scrapes the daemon's port with its token."""
    dashboard = json.loads((ROOT / "grafana.json").read_text())
    asked = " ".join(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    names = {name.removesuffix("_bucket") for name in re.findall(rf"{METRICS}(\w+)", asked)}
    assert names <= set(TABLE)
    assert len(names) > len(TABLE) / 2
    scrape = yaml.safe_load((ROOT / "prometheus.yml").read_text())["scrape_configs"][0]
    assert scrape["static_configs"][0]["targets"] == [f"live:{KEYS['api.port'].default}"]
    assert scrape["authorization"]["credentials_file"].endswith("api.token")


def test_the_installer_is_sound() -> None:
    """bash reads it, and it refuses who is not root or says what it did."""
    assert subprocess.run(["bash", "-n", ROOT / "systemd/install"], check=False).returncode == 0
