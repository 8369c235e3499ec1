"""Workers: a job done once, or on schedule, by a process that shows that it lives."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from broker.clock import SystemClock
from daemon import alive
from daemon.alive import PATIENCE_S, age_of
from daemon.cli import main
from daemon.models import BUNDLED
from daemon.web.address import ADDRESS
from daemon.web.token import NAME
from strategy.model import content_id
from tests.daemon.test_running import until

ROOT = Path(__file__).parents[2]
BUNDLED_ID = content_id({path.name: path.read_bytes() for path in BUNDLED.iterdir()})


async def work(state: Path, *more: str, **settings: str) -> asyncio.subprocess.Process:
    """`work` as a process."""
    environ = os.environ | {f"MICRO_TRADER__SCHEDULE__{key.upper()}": value for key, value in settings.items()}
    with (state / "log").open("ab") as log:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "daemon", "work", *more, "--state", str(state)),
            env=environ, cwd=ROOT, stdout=log, stderr=log,
        )  # fmt: skip


async def test_a_job_that_can_not_be_done_is_told_once(tmp_path: Path) -> None:
    """Nothing was recorded, so nothing can be learned: exit 1, with the trainer's reason in the log."""
    once = await work(tmp_path, "train", "--once")
    assert await once.wait() == 1
    log = (tmp_path / "log").read_text()
    assert '"outcome": "failed"' in log
    assert "experience" in log
    assert "Traceback" not in log


async def test_a_worker_lives_until_it_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It refuses a second of its kind, shows that it lives, and ends in good order."""
    assert age_of(tmp_path, "validate") > PATIENCE_S
    assert main(["health", "validate", "--state", str(tmp_path)]) == 1
    one = await work(tmp_path, "validate", validate="0 0 1 1 *")
    await until(lambda: age_of(tmp_path, "validate") < PATIENCE_S, "it lives")
    assert main(["health", "validate", "--state", str(tmp_path), "--json"]) == 0
    other = await work(tmp_path, "validate")
    assert await other.wait() == 2
    assert "in use by work validate" in (tmp_path / "log").read_text()
    one.send_signal(signal.SIGTERM)
    assert await one.wait() == 0
    assert "no daemon runs here" in capsys.readouterr().err or main(["health", "--state", str(tmp_path)]) == 2


def test_health_is_asked_for_little(tmp_path: Path) -> None:
    """What containers ask every few seconds loads nothing heavy, and knows the daemon's files by their names."""
    assert (alive.ADDRESS, alive.TOKEN) == (ADDRESS, NAME)
    code = (
        "import sys, daemon.alive; print(*{name.partition('.')[0] for name in sys.modules} - sys.stdlib_module_names)"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert set(done.stdout.split()) <= {"daemon", "__main__"}
    command = [sys.executable, "-m", "daemon.alive", "train"]
    environ = os.environ | {"STATE_DIRECTORY": str(tmp_path)}
    asked = [subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True, check=False)]
    alive.sign_of(tmp_path, "train").write_text(str(SystemClock().now()))
    asked.append(subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True, check=False))
    assert [one.returncode for one in asked] == [1, 0]
    assert "no sign of life" in asked[0].stderr


def told(state: Path) -> list[dict[str, object]]:
    """What a worker's log says."""
    text = (state / "log").read_text() if (state / "log").exists() else ""
    return [json.loads(line) for line in text.splitlines() if line.startswith("{") and line.endswith("}")]


async def test_the_first_learning_waits_for_no_schedule(tmp_path: Path) -> None:
    """With days to learn from and no model it begins at the start; with a model, or without days, it does not."""
    for name in ("bare", "learned", "new"):
        (tmp_path / name / "ticks").mkdir(parents=True)
    for name in ("learned", "new"):
        for day in (1, 2, 3, 4):
            (tmp_path / name / "ticks" / f"EUR_USD-2026-01-0{day}.csv").write_text("not ticks\n")
    shutil.copytree(BUNDLED, tmp_path / "learned" / "models" / BUNDLED_ID)
    workers = [await work(tmp_path / name, "train", train="0 0 1 1 *") for name in ("bare", "learned", "new")]
    await until(lambda: any(said["event"] == "job_ended" for said in told(tmp_path / "new")), "it has tried")
    await until(lambda: age_of(tmp_path / "learned", "train") < PATIENCE_S, "it lives")
    for one in workers:
        one.send_signal(signal.SIGTERM)
        assert await one.wait() == 0
    assert [said["event"] for said in told(tmp_path / "new")] == ["job_began", "job_ended"]
    assert told(tmp_path / "learned") == told(tmp_path / "bare") == []


async def test_a_new_candidate_is_judged_at_once(tmp_path: Path) -> None:
    """A model that comes while nothing is scheduled is tried once; that it could not be judged is told."""
    worker = await work(tmp_path, "validate", validate="0 0 1 1 *")
    await until(lambda: age_of(tmp_path, "validate") < PATIENCE_S, "it lives")
    shutil.copytree(BUNDLED, tmp_path / "models" / BUNDLED_ID)
    await until(lambda: any(said["event"] == "job_ended" for said in told(tmp_path)), "it was tried")
    await asyncio.sleep(3.0)
    worker.send_signal(signal.SIGTERM)
    assert await worker.wait() == 0
    began, ended = told(tmp_path)
    assert (began["event"], ended["event"], ended["outcome"]) == ("job_began", "job_ended", "failed")
    assert "no recordings" in str(ended["detail"])
