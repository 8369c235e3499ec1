"""The dashboard in a real browser: what it shows, what it asks for, what it keeps out.

Needs a Chromium and `pip install -e '.[browser]'`; `make browser-test` runs it. SCREENSHOT names a file for a picture.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from daemon.web import Hub, Metrics, Web
from daemon.web.guard import HEADERS
from tests.daemon.test_household import running, two_models
from tests.daemon.web.made_page import BARS, HOSTILE, Shown, bar, decision, trade

playwright = pytest.importorskip("playwright.async_api", reason="playwright is not installed: see make browser-test")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: install one, or name it in CHROMIUM")

ARGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
TOKEN = "a-token-of-the-tests-0123456789"
DESKTOP, PHONE = (1280, 800), (390, 844)
VIEWS = ("tiles", "position", "risk", "streams", "jobs", "store", "decisions", "trades", "models")
WAIT_MS = 60_000


class Tab:
    """A page in the browser, and everything that it asked for and complained about."""

    def __init__(self, page: Any, url: str) -> None:
        self.page, self.url = page, url
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.set_default_timeout(WAIT_MS)
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda said: self.complaints.append(said.text) if said.type != "log" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    async def enter(self, token: str = TOKEN) -> None:
        """Hand over the token, and wait until figures are there."""
        await self.page.goto(self.url)
        await self.page.get_by_role("textbox", name="Token").fill(token)
        await self.page.keyboard.press("Enter")
        await self.page.wait_for_selector("#models table")

    async def text(self, selector: str) -> str:
        """What an element says."""
        return str(await self.page.locator(selector).inner_text())

    async def says(self, selector: str, text: str) -> None:
        """Wait until an element says something; fails where it never does."""
        await self.page.wait_for_function(
            "([where, what]) => document.querySelector(where).textContent.includes(what)", arg=[selector, text]
        )

    def check_clean(self) -> None:
        """Nothing was asked of anybody else, and nobody complained."""
        assert self.complaints == []
        assert {url for url in self.requests if not url.startswith((self.url, "data:"))} == set()


@asynccontextmanager
async def tab(url: str, size: tuple[int, int] = DESKTOP, scheme: str = "light") -> AsyncIterator[Tab]:
    """A browser of its own."""
    async with playwright.async_playwright() as player:
        browser = await player.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        context = await browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
        yield Tab(await context.new_page(), url)
        await browser.close()


@asynccontextmanager
async def served(office: Shown, hub: Hub, port: int = 0) -> AsyncIterator[str]:
    """A server over made documents."""
    web = Web(office, hub, Metrics(), TOKEN, "127.0.0.1", port, frozenset())
    yield await web.start()
    await web.close()


async def test_a_running_daemon_is_shown_and_obeyed(tmp_path: Path) -> None:
    """Every view has live data; a wrong token is refused; each command does what it says, once confirmed."""
    keys = two_models(tmp_path / "state")
    async with running(tmp_path) as it:
        url = "http://" + (tmp_path / "state/api.address").read_text().strip()
        token = (tmp_path / "state/api.token").read_text().strip()
        async with tab(url) as seen:
            page = seen.page
            await page.goto(url)
            await page.get_by_role("textbox", name="Token").fill("not-the-token")
            await page.keyboard.press("Enter")
            await seen.says("#refused", "the token is missing or wrong")
            assert (seen.complaints.pop()).count("401") == 1
            await page.get_by_role("textbox", name="Token").fill(token)
            await page.keyboard.press("Enter")
            await page.wait_for_function("() => document.querySelectorAll('#decisions tbody tr').length > 30")
            await page.wait_for_function("() => document.querySelectorAll('#trades tbody tr').length > 2")
            assert await seen.text("#badge") == "PAPER"
            assert await seen.text("#state") == "trading"
            assert "visits, q" in await seen.text("#decisions")
            for size in (PHONE, DESKTOP):
                for scheme in ("dark", "light"):
                    await check_views(seen, size, scheme)
            await command(seen, "Pause", "paused")
            await command(seen, "Resume", "trading")
            await command(seen, "Reduce", "reducing", "let it run down")
            await command(seen, "Flatten", "flattened", "enough")
            await seen.says("#position", "flat")
            for key in keys:
                await press(seen, f"swap in {key}")
                await seen.says("#lineage", key[:8])
            await press(seen, "Roll back")
            await seen.says("#lineage", keys[0][:8])
            await command(seen, "Halt", "HALTED", "the end")
            assert (await it.command("status"))["state"] == "halt"
            if picture := os.environ.get("SCREENSHOT"):
                await command(seen, "Resume", "trading")
                await seen.page.set_viewport_size({"width": 1280, "height": 1180})
                await asyncio.sleep(5)
                await seen.page.screenshot(path=picture)
            seen.check_clean()


async def check_views(seen: Tab, size: tuple[int, int], scheme: str) -> None:
    """Each view has its figures, each chart is drawn, and all of it fits the width of the screen."""
    page = seen.page
    await page.set_viewport_size({"width": size[0], "height": size[1]})
    await page.emulate_media(color_scheme=scheme)
    for view in VIEWS:
        assert len(await seen.text(f"#{view}")) > 3, view
    for chart in ("price", "equity"):
        box = await page.locator(f"#{chart} canvas").first.bounding_box()
        assert box["width"] * box["height"] > 10_000, chart
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (size, scheme)


async def press(seen: Tab, name: str, reason: str = "") -> None:
    """Press a button, and say yes where it asks."""
    await seen.page.get_by_role("button", name=name, exact=True).click()
    if await seen.page.locator("#confirm[open]").count():
        await seen.page.fill("#reason", reason)
        await seen.page.get_by_role("button", name="Yes").click()
    await seen.says("#said", f"{name.split()[0].lower().replace('roll', 'rollback')}: done at")


async def command(seen: Tab, name: str, state: str, reason: str = "") -> None:
    """Press a command's button, and see the state that comes of it."""
    await press(seen, name, reason)
    await seen.says("#state", state)
    assert await seen.page.get_by_role("button", name=name, exact=True).is_enabled()


async def test_names_are_inert() -> None:
    """Whatever a strategy, a model, a job or a reason calls itself is shown as text, and nothing of it runs."""
    office, hub = Shown(), Hub()
    async with served(office, hub) as url, tab(url) as seen:
        await seen.enter()
        await seen.page.get_by_role("button", name="swap in " + "b" * 16).click()
        await seen.page.get_by_role("button", name="Yes").click()
        await seen.says("#said", "no such model")
        for kind in ("trade", "order", "job_ended", "promoted", HOSTILE[:1]):
            hub.publish(kind, {**trade(BARS + 1), HOSTILE: HOSTILE, "reason": HOSTILE, "outcome": HOSTILE})
        await seen.says("#log", "job ended")
        for view in ("tiles", "position", "streams", "jobs", "store", "decisions", "models", "trades", "log", "said"):
            assert HOSTILE in await seen.page.locator(f"#{view}").text_content(), view
        assert await seen.page.evaluate("window.hit") is None
        assert await seen.page.locator("img, main script, iframe").count() == 0
        assert [said for said in seen.complaints if "400" not in said] == []
    assert "unsafe" not in HEADERS["Content-Security-Policy"]


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
async def test_anybody_can_use_it(size: tuple[int, int]) -> None:
    """In light and dark axe finds nothing serious on page and dialogs, and the page fits the width of the screen."""
    axe = pytest.importorskip("axe_playwright_python.async_playwright", reason="axe is not installed").Axe()
    async with served(Shown("LIVE"), Hub()) as url, tab(url, size) as seen:
        await seen.page.goto(url)
        await check_axe(axe, seen)
        await seen.enter()
        await seen.page.wait_for_selector("#decisions table")
        papers = set()
        for scheme in ("dark", "light"):
            await seen.page.emulate_media(color_scheme=scheme)
            await check_axe(axe, seen)
            papers.add(await seen.page.evaluate("getComputedStyle(document.body).backgroundColor"))
            assert await seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert len(papers) == 2
        await seen.page.get_by_role("button", name="Halt").click()
        await check_axe(axe, seen)
        seen.check_clean()


async def check_axe(axe: Any, seen: Tab) -> None:
    """No serious or critical finding."""
    found = await axe.run(seen.page)
    grave = [one for one in found.response["violations"] if one["impact"] in ("serious", "critical")]
    assert [(one["id"], [node["html"][:120] for node in one["nodes"]]) for one in grave] == []
    assert len(found.response["passes"]) > 5


async def test_the_mode_cannot_be_overlooked() -> None:
    """Its word and colour stay in sight wherever a phone scrolls to; the tab's title begins with it."""
    office, colours = Shown(), set()
    async with served(office, Hub()) as url, tab(url, PHONE) as seen:
        await seen.enter()
        for badge in ("REPLAY", "PAPER", "PRACTICE", "LIVE"):
            office.badge = badge
            await seen.says("#badge", badge)
            await seen.page.evaluate("scrollTo(0, document.body.scrollHeight)")
            box = await seen.page.locator("#badge").bounding_box()
            assert 0 <= box["y"] < 60
            assert box["height"] > 20
            assert (await seen.page.title()).startswith(badge)
            colours.add(await seen.page.evaluate("getComputedStyle(document.querySelector('header')).backgroundColor"))
        assert len(colours) == 4
        seen.check_clean()


async def test_the_keyboard_is_enough() -> None:
    """Commands are reached by tabbing; what is grave is asked, No is first, Escape does nothing, Enter confirms."""
    office = Shown()
    async with served(office, Hub()) as url, tab(url) as seen:
        await seen.enter()
        page = seen.page
        await page.keyboard.press("Tab")
        reached = []
        for _ in range(6):
            await page.keyboard.press("Tab")
            reached.append(await page.evaluate("document.activeElement.textContent"))
        assert {"Pause", "Resume", "Reduce", "Flatten", "Halt"} <= set(reached)
        await page.get_by_role("button", name="Flatten").focus()
        await page.keyboard.press("Enter")
        await page.keyboard.press("Escape")
        await page.wait_for_selector("#confirm", state="hidden")
        assert office.orders == []
        await page.keyboard.press("Enter")
        await page.keyboard.type("news")
        await page.keyboard.press("Enter")
        await seen.says("#said", "flatten: done")
        assert [(order.command, order.who, order.reason) for order in office.orders] == [
            ("flatten", "dashboard", "news")
        ]
        await page.get_by_role("button", name="swap in " + "b" * 16).focus()
        await asyncio.sleep(2.5)  # the page refreshes itself meanwhile
        assert await page.evaluate("document.activeElement.dataset.command") == "swap"


async def test_hours_of_events_leave_a_small_page() -> None:
    """The page holds as many rows after thousands of events as after tens, and shows the latest."""
    office, hub = Shown(), Hub()
    async with served(office, hub) as url, tab(url) as seen:
        await seen.enter()
        await seen.page.wait_for_selector("#decisions table")
        for batch in range(BARS, BARS + 3000, 300):
            for minute in range(batch, batch + 300):
                hub.publish("bar", bar(minute))
                hub.publish("decision", decision(minute))
                hub.publish("trade", trade(minute))
            await seen.says("#decisions", decision(batch + 299)["time"][11:19])
        assert await seen.page.locator("#decisions tbody tr").count() == 50
        assert await seen.page.locator("#trades tbody tr").count() == 50
        assert await seen.page.locator("#log li").count() == 100
        assert await seen.page.evaluate("document.querySelectorAll('*').length") < 4000
        seen.check_clean()


async def test_it_comes_back_with_the_daemon() -> None:
    """While the daemon is away the page says that it is old; after a restart it goes on with what is new."""
    office, hub = Shown(), Hub()
    first = Web(office, Hub(), Metrics(), TOKEN, "127.0.0.1", 0, frozenset())
    url = await first.start()
    async with tab(url) as seen:
        await seen.enter()
        await seen.page.wait_for_selector("#decisions table")
        assert not await seen.page.is_visible("#lost")
        await first.close()
        await seen.says("#lost", "what you see is old")
        async with served(office, hub, int(url.rpartition(":")[2])):
            await seen.page.wait_for_selector("#lost", state="hidden")
            hub.publish("decision", decision(BARS + 5))
            await seen.says("#decisions", decision(BARS + 5)["time"][11:19])
