"""What the service manager hears."""

import socket
from pathlib import Path

import pytest

from daemon.systemd import Notifier


@pytest.mark.parametrize("abstract", [False, True])
def test_fields_arrive_as_one_datagram(tmp_path: Path, abstract: bool) -> None:
    """A line each, at a path or an abstract address."""
    name = f"@micro-trader-{tmp_path.name}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name.replace("@", "\0", 1) if abstract else name)
        Notifier({"NOTIFY_SOCKET": name}).say(READY=1, STATUS="trading")
        assert manager.recv(100) == b"READY=1\nSTATUS=trading"


def test_no_manager_is_no_fault(tmp_path: Path) -> None:
    """None named, one that is gone, one that does not read: all the same to us."""
    Notifier({}).say(READY=1)
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).say(READY=1)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "deaf"))
        deaf = Notifier({"NOTIFY_SOCKET": str(tmp_path / "deaf")})
        for _ in range(1000):
            deaf.say(WATCHDOG=1)
        assert manager.recv(100) == b"WATCHDOG=1"


def test_the_watchdogs_patience() -> None:
    """In seconds, 0 where none watches."""
    assert Notifier({"WATCHDOG_USEC": "30000000"}).watchdog_s == 30.0
    assert Notifier({"WATCHDOG_USEC": "soon"}).watchdog_s == Notifier({}).watchdog_s == 0.0
