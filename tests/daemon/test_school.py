"""The school: a chore that fails is told, and ends nothing."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import pytest

from broker.errors import StorageFault
from daemon.chores import chores_of
from daemon.probation import Terms
from daemon.promotion import Hands, Promotion
from daemon.school import Chores, School
from tests.daemon.wired import config_of
from tests.training.test_registry import made_registry

Told = list[tuple[str, Mapping[str, Any]]]
HANDS = Hands(lambda _: NotImplemented, print, print, print)


def school(folder: Path, told: Told, chores: Callable[[Chores], Chores]) -> School:
    """One over a folder of its own; its chores as changed."""
    config = config_of(folder / "config.toml", "", folder)
    registry, _ = made_registry(folder / "models")
    promotion = Promotion(registry, folder / "probation.json", Terms(), HANDS)
    made = chores(chores_of(config, registry))
    return School(config, (), promotion, made, lambda kind, facts: told.append((kind, facts)), lambda: 10**18)


def fail(*_: object) -> NoReturn:
    raise StorageFault("No space left on device", where="backups")


@pytest.mark.parametrize("job", ["backup", "prune", "report"])
async def test_a_chore_that_fails_is_told(job: str, tmp_path: Path) -> None:
    """A copy that finds no room: the job failed and why; whoever trades is not ended by it."""
    told: Told = []
    await school(tmp_path, told, lambda _: Chores(fail, fail, fail)).begin(job)
    assert [(kind, facts["job"], facts["outcome"]) for kind, facts in told] == [("job_ended", job, "failed")]
    assert "No space left" in str(told[0][1]["detail"])


async def test_a_damaged_summary_is_no_end(tmp_path: Path) -> None:
    """Yesterday's figures can't be told: the file is named."""
    told: Told = []
    folder = tmp_path / "runs" / "2001-09-08"
    folder.mkdir(parents=True)
    (folder / "summary.json").write_text('{"trades": 1}')
    await school(tmp_path, told, lambda chores: chores).begin("report")
    assert told[0][1]["outcome"] == "failed"
    assert str(folder) in str(told[0][1]["detail"])
