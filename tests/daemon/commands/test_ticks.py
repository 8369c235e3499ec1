"""`micro-trader ticks`."""

import json
from pathlib import Path

import pytest

from daemon.cli import DONE, REFUSED, main

INFO_KEYS = {
    "format", "source", "instrument", "ticks", "first", "last", "gaps", "crossed", "zero_spread", "out_of_order",
    "same_time", "duplicates",
}  # fmt: skip


def run(capsys: pytest.CaptureFixture[str], *args: str) -> dict[str, object]:
    """The JSON document of a command that succeeds."""
    assert main(["ticks", *args, "--json"]) == DONE
    return dict(json.loads(capsys.readouterr().out))


def test_a_market_is_made_converted_and_examined(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The three verbs together, with the keys of the interface."""
    made, copy = str(tmp_path / "EUR_USD-ou.csv.gz"), str(tmp_path / "EUR_USD-ou.parquet")
    options = ["--bars", "100", "--seed", "3", "--ticks-per-bar", "4", "--param", "spread=2", "--scale", "2"]
    assert run(capsys, "synth", "ou", made, *options)["ticks"] == 400
    assert run(capsys, "convert", made, copy)["rows"] == 400
    figures = run(capsys, "info", made)
    assert figures.keys() >= INFO_KEYS
    assert (figures["ticks"], figures["instrument"], figures["format"]) == (400, "EUR_USD", "csv")
    both = run(capsys, "info", made, copy)["files"]
    assert isinstance(both, list)
    assert [{k: v for k, v in f.items() if k not in ("file", "format")} for f in both] == [
        {k: v for k, v in figures.items() if k not in ("file", "format")}
    ] * 2


@pytest.mark.parametrize(
    ("args", "what"),
    [
        (["info", "."], "directory"),
        (["info", "missing.csv"], "No such file"),
        (["info", "x.csv", "--instrument", "EURUSD"], "did you mean EUR_USD"),
        (["synth", "moon", "x.csv"], "moon"),
        (["synth", "ou", "x.csv", "--param", "spread"], "KEY=VALUE"),
        (["synth", "ou", "x.txt"], "ending"),
        (["convert", "x.csv", "y.txt"], "ending"),
        ([], "info"),
    ],
)  # fmt: skip
def test_wrong_usage_is_one_line(args: list[str], what: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2 and one clear line, never a traceback."""
    assert main(["ticks", *args]) == REFUSED
    said = capsys.readouterr().err
    assert what in said
    assert len(said.strip().splitlines()) == 1
