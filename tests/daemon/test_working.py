"""Workers: a job done once, or on schedule, by a process that shows that it lives."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from daemon.cli import main
from daemon.commands.health import PATIENCE_S
from daemon.working import age_of
from tests.daemon.test_running import until

ROOT = Path(__file__).parents[2]


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
