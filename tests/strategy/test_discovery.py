"""Strategies by name, and helpful words where there is none."""

from pathlib import Path

import pytest

from broker.errors import BadInput
from strategy.baselines import EmaCross
from strategy.discovery import BUILT_IN, find, names


def test_built_in_strategies_are_found() -> None:
    """Every name in the table leads to a class."""
    assert find("ema-cross") is EmaCross
    assert set(BUILT_IN) <= set(names())
    assert all(callable(find(name)) for name in BUILT_IN)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("muzeor", "did you mean muzero"),
        ("nothing-like-it", "path/to/file.py:Class"),
        ("missing.py:Mine", "no such strategy file"),
    ],
)
def test_an_unknown_name_is_answered_with_what_is_known(name: str, words: str) -> None:
    """The nearest name, or how to name one."""
    with pytest.raises(BadInput, match=words):
        find(name)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("class Mine:\n    def decide(self, seen): ...\n", "lacks on_bar"),
        ("x = 1\n", "has no class 'Mine'"),
        ("x = 1\ndef broken(:\n", ":2: SyntaxError"),
        ("def f():\n    raise ValueError('deep')\n\nf()\n", ":2: ValueError: deep"),
    ],
)
def test_a_file_at_fault_is_named_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    """Whatever a plugin's file raises is bad input, where it arose."""
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(BadInput, match=words):
        find(f"{path}:Mine")
