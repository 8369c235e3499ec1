"""The page's files, without a browser: they agree with the page and the API, and no text can become markup."""

import re

import pytest

from daemon.web.guard import HEADERS
from daemon.web.routes import COMMANDS, VIEWS
from daemon.web.server import STATIC
from strategy import risk

VENDORED = "lightweight-charts.js"
SCRIPTS = sorted(path for path in STATIC.glob("*.js") if path.name != VENDORED)
PAGE = (STATIC / "index.html").read_text()
CODE = {path.name: path.read_text() for path in SCRIPTS}
EVERYTHING = "\n".join(CODE.values())


@pytest.mark.parametrize("name", CODE)
def test_text_stays_text(name: str) -> None:
    """No script has a way to turn a text into markup, code or style."""
    sinks = r"(?:inner|outer)HTML\s*\+?=|insertAdjacentHTML|document\.write|\beval\(|new Function|\.style\b|\.src\s*="
    assert re.findall(sinks + r"|createContextualFragment|srcdoc|DOMParser|javascript:", CODE[name]) == []


def test_the_page_has_nothing_inline_and_asks_nobody_else() -> None:
    """Scripts and styles are files of ours; the only address elsewhere is the one the charts' licence asks for."""
    assert re.findall(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=\"/static/)", PAGE) == []
    links = re.findall(r"https?://[^\"'\s]+", PAGE + EVERYTHING + (STATIC / "style.css").read_text())
    assert links == ["https://www.tradingview.com/"]
    policy = HEADERS["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_scripts_and_page_agree() -> None:
    """Each element that a script looks for is there, each file that is asked for too, each id is used once."""
    ids = re.findall(r"\bid=\"([\w-]+)\"", PAGE)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"\$\(\"([\w-]+)\"\)", EVERYTHING)) <= set(ids)
    assert set(re.findall(r"aria-(?:labelledby|describedby)=\"([\w-]+)\"", PAGE)) <= set(ids)
    files = re.findall(r"/static/([\w.-]+)", PAGE + EVERYTHING)
    assert {name for name in files if not (STATIC / name).is_file()} == set()


def test_the_page_and_the_api_agree() -> None:
    """Commands and documents that the page asks for exist; whatever closes or stops is asked twice."""
    buttons = dict(re.findall(r"<button[^>]*data-command=\"(\w+)\"([^>]*)>", PAGE))
    assert set(buttons) == {"pause", "resume", "reduce", "flatten", "halt", "rollback"}
    assert set(buttons) | {"swap"} <= set(COMMANDS)
    assert {name for name, rest in buttons.items() if "data-confirm" in rest} == set(buttons) - {"pause", "resume"}
    assert set(re.findall(r"\bget\([\"`](\w+)", EVERYTHING)) == set(VIEWS) - {"config"}


def test_each_veto_of_risk_is_put_in_words() -> None:
    """The page says of every name that risk vetoes by what it means."""
    names = set(re.findall(r"`(\w+)`", (risk.__doc__ or "").partition("Losses")[0]))
    assert {"daily_loss", "spread", "weekend"} <= names
    assert {name for name in names if not re.search(rf"^  {name}: \"", CODE["why.js"], re.MULTILINE)} == set()


def test_the_charts_licence_comes_along() -> None:
    """The vendored file says what it is, and its licence lies beside it."""
    head = (STATIC / VENDORED).read_text()[:400]
    assert "Lightweight Charts" in head
    assert "v5.2.1" in head
    assert any("Apache License" in path.read_text() for path in STATIC.glob("*.txt"))
