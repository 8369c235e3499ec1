"""History by day: every row in the file of its UTC day, named so that training finds it."""

import json
from pathlib import Path

import pytest

from broker.errors import BadInput
from broker.ticks import ReadOptions, open_ticks
from daemon.cli import DONE, REFUSED, main
from daemon.dayfiles import split
from daemon.school import training_files
from tests.daemon.wired import config_of

BARS = 3 * 1440 + 7


def market(tmp_path: Path) -> Path:
    """Three synthetic days and a bit of the fourth."""
    path = tmp_path / "EUR_USD-ou.csv.gz"
    assert main(["ticks", "synth", "ou", str(path), "--bars", str(BARS), "--ticks-per-bar", "2"]) == DONE
    return path


def rows_of(path: Path) -> list[tuple[int, ...]]:
    """All that a file holds."""
    return [
        (int(time), *map(int, numbers))
        for rows in open_ticks(path).rows()
        for time, numbers in zip(rows.time, rows.mantissa.T, strict=True)
    ]


def test_the_days_together_are_the_file(tmp_path: Path) -> None:
    """Nothing is lost, twice or in another day's file, however the reader's batches lie."""
    source = market(tmp_path)
    done = split(source, tmp_path / "ticks", ReadOptions(batch=1000))
    days = sorted((tmp_path / "ticks").iterdir())
    assert [path.name for path in days] == [f"EUR_USD-2020-01-{day:02}.csv.zst" for day in (6, 7, 8, 9)]
    assert (done["days"], done["rows"]) == (4, 2 * BARS)
    assert [row for path in days for row in rows_of(path)] == rows_of(source)
    assert [len(rows_of(path)) for path in days] == [2880, 2880, 2880, 14]


def test_training_finds_them_and_leaves_the_latest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command leaves out what comes from --until on; of what there is a quarter, rounded up, is held back."""
    source, ticks = market(tmp_path), tmp_path / "ticks"
    capsys.readouterr()
    command = ["ticks", "convert", str(source), str(ticks), "--by-day", "--until", "2020-01-09", "--json"]
    assert main(command) == DONE
    assert json.loads(capsys.readouterr().out)["days"] == 3
    (ticks / "EUR_USD-2020-01-06.csv.zst.plan.json").write_text("{}")
    chosen = training_files(ticks, config_of(tmp_path / "config.toml", "", tmp_path))
    assert [path.name for path in chosen] == [f"EUR_USD-2020-01-0{day}.csv.zst" for day in (6, 7)]


def test_what_can_not_be_cut_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A day that comes twice, nothing before --until, and --until without --by-day."""
    mixed = tmp_path / "EUR_USD-mixed.csv"
    day, other = "2026-01-05T12:00:00Z,1.1,1.2\n", "2026-01-06T12:00:00Z,1.1,1.2\n"
    mixed.write_text(f"time,bid,ask\n{day}{other}{day}")
    with pytest.raises(BadInput, match="2026-01-05 comes twice"):
        split(mixed, tmp_path / "ticks", ReadOptions())
    with pytest.raises(BadInput, match="no quotes before"):
        split(mixed, tmp_path / "ticks", ReadOptions(), until=1)
    assert main(["ticks", "convert", str(mixed), str(tmp_path / "x.csv"), "--until", "2026-01-06"]) == REFUSED
    assert "--by-day" in capsys.readouterr().err
