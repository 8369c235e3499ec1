"""Each requirement of docs/oanda.md has a test that is there."""

import re
import subprocess
import sys
from pathlib import Path


def test_each_requirement_names_tests_that_are_there(root: Path) -> None:
    """R1 to R27, and no test that was renamed away."""
    rows = re.findall(r"^\| (R\d+) \|.*\| (`test.*`) \|$", (root / "docs/oanda.md").read_text(), re.MULTILINE)
    assert [name for name, _ in rows] == [f"R{number}" for number in range(1, 28)]
    tests = "\n".join(path.read_text() for path in (root / "tests").rglob("test_*.py"))
    defined = set(re.findall(r"def (test_\w+)", tests))
    assert {name for _, names in rows for name in re.findall(r"`(\w+)`", names)} - defined == set()


def test_it_says_why_it_needs_docstrings(root: Path) -> None:
    """R27: under -OO one clear line, not a traceback from somebody else's module."""
    command = [sys.executable, "-OO", "-m", "daemon", "ticks", "record", "--minutes", "1"]
    ended = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert (ended.returncode, len(ended.stderr.splitlines())) == (2, 1)
    assert "without -OO" in ended.stderr
