"""Jobs as real processes: one at a time, bounded, and never left behind."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from textwrap import dedent

import pytest

from daemon.jobs import Bounds, Ended, Jobs
from daemon.launch import main

NICE = Bounds(nice=3)
JOB = """
    import json, os, signal, sys, time
    what, *rest = sys.argv[1:-1]
    assert sys.argv[-1] == "--json"
    if what == "say":
        print("working", file=sys.stderr, flush=True)
        print(json.dumps({"said": rest, "nice": os.nice(0)}))
    if what == "fail":
        print("error: no such thing", file=sys.stderr)
        sys.exit(2)
    if what == "hang":
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        open(rest[0], "w").write(str(os.getpid()))
        time.sleep(1000)
    if what == "eat":
        block = bytearray(1 << 31)
    if what == "rubbish":
        print("not json")
"""


@pytest.fixture
def program(tmp_path: Path) -> tuple[str, ...]:
    """A program that does what it is told."""
    path = tmp_path / "job.py"
    path.write_text(dedent(JOB))
    return (sys.executable, str(path))


@asynccontextmanager
async def working(
    program: tuple[str, ...], bounds: Bounds = NICE
) -> AsyncIterator[tuple[Jobs, "asyncio.Queue[Ended]"]]:
    """Jobs with a worker, and how each ended."""
    ended: asyncio.Queue[Ended] = asyncio.Queue()
    jobs = Jobs(bounds, lambda: 0, ended.put_nowait, program)
    worker = asyncio.create_task(jobs.run())
    try:
        yield jobs, ended
    finally:
        worker.cancel()
        with suppress(asyncio.CancelledError):
            await worker


def alive(pid: int) -> bool:
    """Whether a process runs."""
    with suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    return False


async def eventually(found: Callable[[], bool]) -> None:
    """Wait for something to become true, for half a minute at most."""
    async with asyncio.timeout(30):
        while not found():  # noqa: ASYNC110 - it happens in other processes
            await asyncio.sleep(0.05)


async def test_a_job_is_nice_and_its_document_is_kept(program: tuple[str, ...]) -> None:
    """What it printed comes back; so does its last word."""
    async with working(program) as (jobs, ended):
        jobs.ask("train", ["say", "a", "b"])
        done = await ended.get()
        assert (done.job, done.outcome, done.detail) == ("train", "done", "working")
        assert done.document == {"said": ["a", "b"], "nice": os.nice(0) + 3}
        assert jobs.status()[0]["last_outcome"] == "done"


async def test_a_job_does_not_overlap_itself_and_others_wait(program: tuple[str, ...]) -> None:
    """A second wish for the same job is declined while the first waits or runs."""
    async with working(program) as (jobs, ended):
        assert jobs.ask("one", ["say", "1"])
        assert not jobs.ask("one", ["say", "again"])
        assert jobs.ask("two", ["say", "2"])
        assert [row["state"] for row in jobs.status()] == ["waiting", "waiting"]
        assert [(await ended.get()).job for _ in range(2)] == ["one", "two"]
        assert jobs.ask("one", ["say", "1"])
        assert (await ended.get()).job == "one"


@pytest.mark.parametrize(
    ("what", "outcome", "words"),
    [("fail", "failed", "no such thing"), ("rubbish", "failed", ""), ("eat", "failed", "MemoryError")],
)
async def test_a_job_that_fails(program: tuple[str, ...], what: str, outcome: str, words: str) -> None:
    """A wrong exit, no document, too much memory: failed, with its last word, and the next job runs."""
    async with working(program, Bounds(megabytes=1000)) as (jobs, ended):
        jobs.ask("train", [what])
        done = await ended.get()
        assert (done.outcome, done.document) == (outcome, {})
        assert words in done.detail
        jobs.ask("train", ["say"])
        assert (await ended.get()).outcome == "done"


async def test_a_job_whose_time_is_over_is_ended(
    program: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even one that does not listen."""
    monkeypatch.setattr("daemon.jobs.POLITE_S", 0.2)
    async with working(program, Bounds(seconds=1.5)) as (jobs, ended):
        jobs.ask("train", ["hang", str(tmp_path / "pid")])
        assert (await ended.get()).outcome == "timeout"
        assert not alive(int((tmp_path / "pid").read_text()))


async def test_a_job_ends_with_the_daemon(program: tuple[str, ...], tmp_path: Path) -> None:
    """When the worker is cancelled, what runs is killed if it will not end."""
    async with working(program) as (jobs, _):
        jobs.ask("train", ["hang", str(tmp_path / "pid")])
        await eventually(lambda: (tmp_path / "pid").exists() and bool((tmp_path / "pid").read_text()))
    assert not alive(int((tmp_path / "pid").read_text()))


async def test_a_job_does_not_outlive_a_daemon_that_was_killed(program: tuple[str, ...], tmp_path: Path) -> None:
    """kill -9 of the parent ends the child."""
    parent = tmp_path / "parent.py"
    parent.write_text(
        dedent(f"""
        import asyncio
        from daemon.jobs import Bounds, Jobs
        async def main():
            jobs = Jobs(Bounds(), lambda: 0, print, {program!r})
            jobs.ask("train", ["hang", {str(tmp_path / "pid")!r}])
            await jobs.run()
        asyncio.run(main())
        """)
    )
    environ = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    daemon = await asyncio.create_subprocess_exec(sys.executable, str(parent), env=environ)
    pid = tmp_path / "pid"
    await eventually(lambda: pid.exists() and bool(pid.read_text()))
    daemon.send_signal(signal.SIGKILL)
    await daemon.wait()
    await eventually(lambda: not alive(int(pid.read_text())))


def test_a_child_whose_parent_is_gone_does_not_begin() -> None:
    """The parent may have died between starting it and its first word."""
    code = "import sys; from daemon.launch import main; sys.exit(main(['0', '0', '1', 'true']))"
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == 1
    assert main.__module__ == "daemon.launch"
