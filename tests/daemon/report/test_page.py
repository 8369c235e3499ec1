"""The page: one file that asks for nothing, in which no name from outside comes alive."""

import json
import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from daemon.report import build_report
from tests.daemon.made_run import HOSTILE, finished_run


class Page(HTMLParser):
    """Elements, attributes and texts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.attributes: list[tuple[str, str, str | None]] = []
        self.tags: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self._path: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attributes]
        self._path.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._path and self._path.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self._path[-1] if self._path else "", []).append(data)

    @property
    def data(self) -> Any:
        return json.loads(self.texts["script"][0], parse_constant=pytest.fail)


def page_of(folder: Path) -> tuple[str, Page]:
    text = (folder / "report.html").read_text(encoding="utf-8")
    return text, Page(text)


def test_the_page_asks_for_nothing(tmp_path: Path) -> None:
    """No address, no import, no element that loads: the report opens without a network."""
    finished_run(tmp_path)
    text, page = page_of(tmp_path)
    assert re.findall(r"https?:|@import|url\((?!#)|fetch\(|XMLHttpRequest|sendBeacon|WebSocket|import\(", text) == []
    assert not {"link", "img", "iframe", "object", "embed", "base", "audio", "video"} & set(page.tags)
    assert not [name for _, name, _ in page.attributes if name in ("src", "href", "style") or name.startswith("on")]


def test_nobody_takes_a_replay_for_trading(tmp_path: Path) -> None:
    """The page and its tab begin with the mode in capitals."""
    finished_run(tmp_path)
    _, page = page_of(tmp_path)
    assert page.texts["p"][0] == "REPLAY"
    assert page.texts["title"][0].startswith("REPLAY · ")


def test_the_policy_allows_the_pages_own_script_and_style_alone(tmp_path: Path) -> None:
    """The content security policy names the digests of the very texts that the page holds."""
    finished_run(tmp_path)
    _, page = page_of(tmp_path)
    policy = next(value for tag, name, value in page.attributes if tag == "meta" and name == "content")
    assert policy is not None
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    for text in (page.texts["style"][0], page.texts["script"][1]):
        assert b64encode(sha256(text.encode()).digest()).decode() in policy


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    """Whatever a model, a strategy, a veto, a currency or a config holds: the same elements, shown as text."""
    finished_run(tmp_path / "plain", model="m", text="t")
    finished_run(tmp_path / "hostile", model=HOSTILE, text=HOSTILE)
    _, plain = page_of(tmp_path / "plain")
    text, hostile = page_of(tmp_path / "hostile")
    assert hostile.tags == plain.tags
    assert len(hostile.attributes) == len(plain.attributes)
    assert "<img" not in text
    assert text.count("<script") == 2
    assert HOSTILE in "".join(hostile.texts["span"])
    assert HOSTILE in "".join(hostile.texts["pre"])
    assert hostile.data["trades"]["reason"][0] == "close" + HOSTILE


@pytest.mark.parametrize(
    ("decisions", "pips", "search"),
    [(0, (), True), (30, (), True), (30, (), False), (30, (1.0,), False), (1, (), True)],
)
def test_any_run_has_a_page(tmp_path: Path, decisions: int, pips: tuple[float, ...], search: bool) -> None:
    """No decision, no trade, no search: the page is there and its data are strict JSON."""
    finished_run(tmp_path, decisions, pips, search)
    _, page = page_of(tmp_path)
    assert len(page.data["trades"]["pips"]) == len(pips)
    assert sum(map(sum, page.data["actions"]["counts"])) == decisions


def test_what_the_numbers_are_not_is_on_the_page(tmp_path: Path) -> None:
    """Every caveat of the summary stands at the top, in full."""
    summary = finished_run(tmp_path)
    _, page = page_of(tmp_path)
    assert page.texts["li"] == summary["caveats"]
    assert any("Untrained" in caveat for caveat in page.texts["li"])


def test_the_files_alone_give_the_same_page_again(tmp_path: Path) -> None:
    """A report built anew from a finished folder has the same bytes, and no stray file is left."""
    finished_run(tmp_path)
    first = (tmp_path / "report.html").read_bytes()
    names = sorted(path.name for path in tmp_path.iterdir())
    (tmp_path / "report.html").unlink()
    assert build_report(tmp_path) == tmp_path / "report.html"
    assert (tmp_path / "report.html").read_bytes() == first
    assert sorted(path.name for path in tmp_path.iterdir()) == names
