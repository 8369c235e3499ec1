"""The terminal: tables for a person, one document for a program, nothing where nobody looks."""

import io
import json

import pytest

from daemon.console import Ui

DOCUMENT = {
    "trades": 1234,
    "net_pips": -12.5,
    "profit_factor": None,
    "decision_ms": {"p50": 0.125, "max": 2.0},
    "by_instrument": [{"instrument": "EUR_USD", "pips": 3.0}, {"instrument": "[red]x[/red]", "pips": None}],
    "caveats": ["Synthetic prices."],
}


def test_json_is_alone_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    """With `--json` stdout holds one JSON document; notes, warnings and progress stay off it."""
    ui = Ui(json=True)
    ui.note("reading")
    ui.warn("skipped 3 lines")
    with ui.progress("replay", 10, "ticks") as meter:
        meter.advance(4)
        meter.update(10)
    ui.show(DOCUMENT, "replay")
    out, err = capsys.readouterr()
    assert json.loads(out) == DOCUMENT
    assert err == "reading\nwarning: skipped 3 lines\n"


def test_a_person_sees_every_figure() -> None:
    """Nested figures, lists of rows and caveats all appear; markup in names is shown, not obeyed."""
    out = io.StringIO()
    Ui(json=False, stream=out).show(DOCUMENT, "replay")
    text = out.getvalue()
    for words in (
        "replay",
        "1,234",
        "-12.50",
        "decision_ms.p50",
        "0.125",
        "EUR_USD",
        "[red]x[/red]",
        "Synthetic prices.",
    ):
        assert words in text


def test_json_refuses_what_json_has_no_word_for() -> None:
    """NaN never reaches a reader as invalid JSON."""
    out = io.StringIO()
    with pytest.raises(ValueError, match="JSON"):
        Ui(json=True, stream=out).show({"value": float("nan")}, "x")
    assert out.getvalue() == ""


def test_progress_is_silent_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Logs of scheduled runs hold no bars, whether the total is known or not."""
    for total in (None, 100.0):
        with Ui(json=False).progress("reading", total, "ticks") as meter:
            meter.advance(50)
    assert capsys.readouterr() == ("", "")


def test_progress_shows_speed_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A person sees what is done and how fast, in the unit of the work."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    with Ui(json=False).progress("reading", 100, "ticks") as meter:
        meter.advance(40)
        meter.advance(60)
    assert "ticks/s" in capsys.readouterr().err


def test_an_unknown_total_is_extrapolated(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Half of the bytes gave 500 ticks: the bar stands at 50 %."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    with Ui(json=False).progress("reading", None, "ticks") as meter:
        meter.advance(500)
        meter.reach(0.5)
    assert "50%" in capsys.readouterr().err
