"""The page of a training: whole for any transcript, asking for nothing, and the same bytes again."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from broker.errors import BadInput
from daemon.report import build_training_report, is_training
from tests.daemon.made_run import HOSTILE
from training.job import TRANSCRIPT

LOSSES = {
    "total": 2.5,
    "value": 3.0,
    "policy": 1.5,
    "reward": 0.6,
    "outcome": 1.0,
    "consistency": -0.5,
    "td_error": 1.2,
}
SCORE = {"pips": -12.5, "z": -0.4, "trades": 3.0, "in_market": 0.5}


def transcript(passes: int = 3, text: str = "abc", optimum: bool = True) -> dict[str, Any]:
    """A transcript as the trainer leaves it; `text` is wherever a name may go."""
    market = {"market": "ou", "bars": 900} if optimum else None
    share = {"market": "ou", "pips_per_1000_bars": 150.0, "raw_share": 0.9, "searched_share": None}
    return {
        "version": text, "parent": None, "status": "abstains", "steps": 18, "selfplay_steps": 640, "seconds": 60.0,
        "selfplay_steps_per_s": 10.0, "learner_steps_per_s": 0.3, "losses": LOSSES,
        "data": {
            "sha256": ["f" * 64], "market": market, "instruments": [text], "ticks": 900, "dropped": 0,
            "skipped_lines": 0, "decisions": 800, "windows": {text: {"first": 10**18, "last": 2 * 10**18}},
        },
        "passes": [{"step": 6 * n, "score": SCORE | {"pips": -n / 7}, "losses": LOSSES} for n in range(1, passes + 1)],
        "held_out": {"decisions": 200, "raw": SCORE, "searched": SCORE},
        "verdict": {"z": -0.4, "threshold": 2.5, "looks": 4},
        "optimum": share if optimum else None,
        "calibration": {"bins": [{"outcome": k, "count": 9 * k + 1, "said": 0.3, "came": 0.4} for k in range(3)],
                        "error": 0.012},
        "times": {"learning": 40.0, "self-play": 15.0, "other": 5.0},
        "job": {"feature_set": text, "seed": 1, "workers": 0}, "recipe": {"rate": 0.002},
    }  # fmt: skip


def built(folder: Path, **made: Any) -> str:
    """The page of a made transcript."""
    folder.mkdir(exist_ok=True)
    (folder / TRANSCRIPT).write_text(json.dumps(transcript(**made)))
    assert is_training(folder)
    return build_training_report(folder).read_text(encoding="utf-8")


class Elements(HTMLParser):
    """Names of a page's elements and of their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, list[str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, [name for name, _ in attributes]))


@pytest.mark.parametrize(("passes", "optimum"), [(1, True), (24, False)])
def test_any_training_has_a_page_that_asks_for_nothing(tmp_path: Path, passes: int, optimum: bool) -> None:
    """One pass or many, with an optimum or without: no address, no script, no inline style."""
    page = built(tmp_path, passes=passes, optimum=optimum)
    assert re.findall(r"https?:|@import|url\(|<script", page) == []
    assert not [names for _, names in Elements(page).found if {"style", "src", "href"} & set(names)]
    assert ("Of the optimum" in page) == optimum
    assert page.count("<svg") == 4
    assert page.count(f"at step {6 * passes}</title>") == 6
    assert "nan" not in page.lower().replace("finance", "")


def test_the_same_transcript_gives_the_same_page(tmp_path: Path) -> None:
    """`micro-trader report` makes again what `train` left."""
    first = built(tmp_path)
    assert build_training_report(tmp_path).read_text(encoding="utf-8") == first


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    """A name that looks like markup makes no element."""
    assert Elements(built(tmp_path / "a", text=HOSTILE)).found == Elements(built(tmp_path / "b")).found


@pytest.mark.parametrize("content", ["", "[]", '{"version": "a"}'])
def test_a_damaged_transcript_is_refused(tmp_path: Path, content: str) -> None:
    """Bad input that names the file, and no page."""
    (tmp_path / TRANSCRIPT).write_text(content)
    with pytest.raises(BadInput, match="transcript"):
        build_training_report(tmp_path)
    assert not (tmp_path / "report.html").exists()
