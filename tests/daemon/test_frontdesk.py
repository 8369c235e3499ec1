"""The front desk of a daemon without models: what can't be done is refused, what is asked of the config is shown."""

from pathlib import Path
from typing import Any

import pytest

from broker.errors import Refused
from daemon.frontdesk import Behind, FrontDesk
from daemon.web import Hub, Order, Query
from tests.daemon.wired import config_of


def desk_of(folder: Path, **parts: Any) -> FrontDesk:
    """A desk behind which there is only what is named."""
    nobody = dict.fromkeys(Behind.__dataclass_fields__)
    config = config_of(folder / "config.toml", 'strategy = "random"\n', folder)
    return FrontDesk(config, Behind(**{**nobody, **parts}), Hub(), 0)


@pytest.mark.parametrize("command", ["swap", "rollback"])
async def test_a_strategy_without_models_has_none_to_change(tmp_path: Path, command: str) -> None:
    """The refusal names the strategy."""
    with pytest.raises(Refused, match="random has no models"):
        await desk_of(tmp_path).act(Order(command, "anna", "why not", "3d26e9c4"))


async def test_stop_and_reload_do_what_the_signals_do(tmp_path: Path) -> None:
    """And say what came of it."""
    stopped: list[bool] = []
    desk = desk_of(tmp_path, stop=lambda: stopped.append(True), reload=lambda: {"taken": ["risk"]})
    assert await desk.act(Order("stop", "anna", "")) == {}
    assert await desk.act(Order("reload", "anna", "")) == {"taken": ["risk"]}
    assert stopped == [True]


async def test_documents_that_lie_on_the_disk(tmp_path: Path) -> None:
    """The config with origins; a store that is not there yet is empty."""
    desk = desk_of(tmp_path)
    shown = await desk.view("config", Query())
    assert (shown["strategy"], shown["origins"]["strategy"] != "default") == ("random", True)
    assert (await desk.view("store", Query()))["size"] == 0
