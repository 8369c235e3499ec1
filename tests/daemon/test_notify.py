"""Messages: all of them arrive or are in the log, however slow or broken the service is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from structlog.testing import capture_logs

from broker.errors import BadInput
from broker.oanda import Secret
from daemon.notify import MOST_WAITING, Notifications, Send, apprise, heartbeat, secret_lines

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # apprise's


@asynccontextmanager
async def telling(send: Send, per_hour: int = 1000, kinds: str = "halt") -> AsyncIterator[Notifications]:
    """Notifications that are sent."""
    found = Notifications(send, frozenset({kinds}), per_hour)
    task = asyncio.create_task(found.run())
    yield found
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def settled() -> None:
    """Let threads and tasks do what they can do at once."""
    for _ in range(20):
        await asyncio.sleep(0.005)


async def test_a_message_has_its_reason() -> None:
    """What was asked for is told, with its facts; what was not is passed over."""
    sent: list[tuple[str, str]] = []
    async with telling(lambda title, text: sent.append((title, text)) or True) as notifications:
        notifications.tell("halt", "halted", {"reason": "daily_loss", "by": ""})
        notifications.tell("trade", "trade", {"pips": 3})
        await settled()
    assert sent == [("micro-trader: halted", "halted: reason daily_loss")]


async def test_what_comes_too_fast_is_told_together() -> None:
    """The limit holds messages back, not what they say."""
    sent: list[str] = []
    async with telling(lambda _, text: sent.append(text) or True, per_hour=2) as notifications:
        for number in range(10):
            notifications.tell("halt", f"event {number}", {})
            await asyncio.sleep(0.02)
        assert len(sent) == 2
        told = "\n".join([*sent, notifications._message()[1]])
    assert [f"event {number}" in told for number in range(10)] == [True] * 10


async def test_a_service_that_fails_or_raises_leaves_the_text_in_the_log() -> None:
    """And the next message is tried again."""
    answers = [False, RuntimeError("secret url"), True]

    def send(_title: str, _text: str) -> bool:
        answer = answers.pop(0)
        if isinstance(answer, RuntimeError):
            raise answer
        return answer

    with capture_logs() as logs:
        async with telling(send) as notifications:
            for number in range(3):
                notifications.tell("halt", f"event {number}", {})
                await settled()
    assert [log["text"] for log in logs] == ["event 0", "event 1"]
    assert "secret url" not in str(logs)
    assert answers == []


async def test_a_flood_does_not_fill_the_memory() -> None:
    """The oldest go, and how many is told."""
    found = Notifications(lambda _title, _text: True, frozenset({"halt"}), 1)
    for number in range(MOST_WAITING + 5):
        found.tell("halt", f"event {number}", {})
    text = found._message()[1]
    assert text.endswith(f"event {MOST_WAITING + 4}")
    assert len(found._waiting) == 0


async def test_a_webhook_is_reached_through_apprise(tmp_path: Path) -> None:
    """The real library and a real server."""
    got: asyncio.Queue[dict[str, str]] = asyncio.Queue()

    async def take(request: web.Request) -> web.Response:
        got.put_nowait(await request.json())
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", take)
    async with TestServer(app) as server:
        file = tmp_path / "urls"
        file.write_text(f"# mine\njson://127.0.0.1:{server.port}/hook\n")
        file.chmod(0o600)
        async with telling(apprise(secret_lines(file), str(file))) as notifications:
            notifications.tell("halt", "halted", {"reason": "drawdown"})
            async with asyncio.timeout(10):
                assert (await got.get())["message"] == "halted: reason drawdown"


def test_files_that_will_not_do(tmp_path: Path) -> None:
    """One that others may read, one that is not there, a URL that is none; the URL itself is never shown."""
    file = tmp_path / "urls"
    with pytest.raises(BadInput, match="No such file"):
        secret_lines(file)
    file.write_text("nothing-we-know://token-of-mine\n")
    file.chmod(0o644)
    with pytest.raises(BadInput, match="chmod 600"):
        secret_lines(file)
    file.chmod(0o600)
    with pytest.raises(BadInput, match="URL 1") as refused:
        apprise(secret_lines(file), str(file))
    assert "token-of-mine" not in str(refused.value)


async def test_the_heart_beats_only_while_all_is_well() -> None:
    """A server that fails is asked again; its URL is not in the log."""
    asked = 0
    well = True

    async def answer(_: web.Request) -> web.Response:
        nonlocal asked, well
        asked += 1
        well = asked < 3
        return web.Response(status=500)

    app = web.Application()
    app.router.add_get("/ping", answer)
    with capture_logs() as logs:
        async with TestServer(app) as server:
            beating = asyncio.create_task(heartbeat(Secret(str(server.make_url("/ping"))), 0.01, lambda: well))
            await settled()
            well = True
        for _ in range(5):
            await settled()
        beating.cancel()
        with suppress(asyncio.CancelledError):
            await beating
    assert asked == 3
    assert {log["event"] for log in logs} == {"heartbeat_failed"}
    assert "ping" not in str(logs)
