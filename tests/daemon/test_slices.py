"""The event loop's slice: asked for without a privilege, for one thread, and never a reason to fail."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.slices import NUMBERS, go_first

ASK = """\
import os
from daemon.slices import go_first
if os.getuid() == 0:
    os.setuid(65534)
os.nice(3)
print(go_first(), os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0))
"""


@pytest.mark.skipif(
    platform.machine() not in NUMBERS or tuple(map(int, platform.release().split(".")[:2])) < (6, 12),
    reason="the kernel knows no slices",
)
def test_it_is_granted_and_keeps_what_else_there_is() -> None:
    """Niceness and policy stay as they are; nobody needs to be root."""
    done = subprocess.run(
        [sys.executable, "-c", ASK], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [
        "True",
        str(os.getpriority(os.PRIO_PROCESS, 0) + 3),
        str(os.SCHED_OTHER | os.SCHED_RESET_ON_FORK),
    ]


def test_another_machine_goes_on_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where its number is not known, nothing is asked."""
    monkeypatch.setattr(platform, "machine", lambda: "abacus")
    assert not go_first()


def test_a_chosen_policy_stays() -> None:
    """Who has set one, in a unit say, keeps it."""
    ask = """\
import os
from daemon.slices import go_first
os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
print(go_first(), os.sched_getscheduler(0))
"""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", ask], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", str(os.SCHED_BATCH)]
