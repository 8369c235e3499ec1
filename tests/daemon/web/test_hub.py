"""The hub never waits for a listener, and metrics are what was counted."""

import asyncio
import stat
from pathlib import Path

import pytest

from broker.errors import BadInput
from daemon.web import Hub, Metrics, api_token
from daemon.web.hub import BEHIND
from daemon.web.metrics import PREFIX, TABLE


async def test_one_who_lags_is_let_go() -> None:
    """A listener who does not read is ended, the others get everything."""
    hub = Hub(kept=10)
    slow, quick = hub.listen(), hub.listen()
    tasks = [asyncio.create_task(anext(slow)), asyncio.create_task(anext(quick))]
    await asyncio.sleep(0)
    for number in range(BEHIND + 5):
        hub.publish("tick", {"n": number})
        if number == 0:
            await asyncio.gather(*tasks)
        elif number <= BEHIND:
            assert f'"n":{number}' in (await anext(quick)).decode()
    assert hub.listeners == 1
    assert len([message async for message in slow]) == BEHIND


async def test_a_number_from_before_a_restart_gives_all_that_is_kept() -> None:
    """Who comes back to a daemon that started anew misses nothing that it still knows."""
    hub = Hub(kept=3)
    for number in range(5):
        hub.publish("tick", {"n": number})
    late = hub.listen(after=1000)
    assert [(await anext(late)).split(b"\n")[0] for _ in range(3)] == [b"id: 3", b"id: 4", b"id: 5"]
    await late.aclose()


def test_metrics_are_what_was_counted() -> None:
    """Each metric of the table is there with its help; values are those set, by a refresh too."""
    metrics = Metrics(lambda found: found.set("equity", 100.5))
    metrics.count("decisions_total", "BUY")
    metrics.count("decisions_total", "BUY", by=2)
    metrics.observe("tick_to_decision_seconds", 0.0003)
    metrics.refresh(metrics)
    text = metrics.exposition().decode()
    assert f'{PREFIX}decisions_total{{action="BUY"}} 3.0' in text
    assert f"{PREFIX}equity 100.5" in text
    assert f'{PREFIX}tick_to_decision_seconds_bucket{{le="0.0005"}} 1.0' in text
    for name in TABLE:
        assert f"# HELP {PREFIX}{name.removesuffix('_total')}" in text


def test_the_token_is_made_once_and_kept_secret(tmp_path: Path) -> None:
    """The same token at each start, for its owner's eyes; a file that others may read is refused."""
    token = api_token(tmp_path)
    assert api_token(tmp_path) == token
    path = tmp_path / "api.token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["api.token"]
    path.chmod(0o640)
    with pytest.raises(BadInput, match="chmod 600"):
        api_token(tmp_path)
    path.chmod(0o600)
    path.write_text("short\n")
    with pytest.raises(BadInput, match="no token"):
        api_token(tmp_path)
