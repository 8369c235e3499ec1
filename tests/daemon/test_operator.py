"""An operator's file: one command, done once it is on record, then gone; what is none is refused and gone too."""

import asyncio
from pathlib import Path

import pytest

from daemon.events import Command
from daemon.operator import SIGNALS, OperatorFile

Said = list[tuple[Command, str, str]]


async def done_with(state: Path, said: Said) -> None:
    """Let it look until nothing is left."""

    async def obey(command: Command, who: str, why: str) -> None:
        assert (state / "operator.taken").exists(), "it is kept until it is on record"
        said.append((command, who, why))

    task = asyncio.create_task(OperatorFile(state, obey).run())
    async with asyncio.timeout(10):
        while list(state.iterdir()):  # noqa: ASYNC110, ASYNC240 - a folder has no event
            await asyncio.sleep(0.01)
    task.cancel()


@pytest.mark.parametrize("command", list(Command))
async def test_a_file_says_it(command: Command, tmp_path: Path) -> None:
    """Each command, in any case, with what follows it as the reason, on one line and no longer than the API's."""
    (tmp_path / "operator").write_text(f"{command.upper()} the\nbank speaks {'x' * 1000}\n")
    said: Said = []
    await done_with(tmp_path, said)
    ((seen, who, why),) = said
    assert (seen, who, len(why)) == (command, "file", 200)
    assert why.startswith("the bank speaks x")


async def test_what_was_taken_before_a_death_is_done(tmp_path: Path) -> None:
    """A command whose daemon died before it was on record is done by the next, and before a newer one."""
    (tmp_path / "operator.taken").write_text("halt")
    (tmp_path / "operator").write_text("resume")
    said: Said = []
    await done_with(tmp_path, said)
    assert said == [(Command.HALT, "file", ""), (Command.RESUME, "file", "")]


async def test_nonsense_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is said, and does not stay."""
    (tmp_path / "operator").write_text("sell everything")
    said: Said = []
    await done_with(tmp_path, said)
    assert said == []
    assert "no command" in "".join(capsys.readouterr())


def test_each_command_has_its_signal() -> None:
    """One each."""
    assert sorted(SIGNALS.values()) == sorted(Command)
