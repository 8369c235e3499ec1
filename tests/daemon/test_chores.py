"""What the daemon does by itself at night: copies that can be opened, old ones gone, yesterday's figures."""

import sqlite3
from contextlib import closing
from pathlib import Path

from broker.durable import Threaded, connect
from broker.types import DAY
from daemon.chores import KEPT_BACKUPS, chores_of, day_figures
from tests.daemon.made_run import START, finished_run
from tests.daemon.wired import config_of
from tests.training.test_registry import made_registry


def test_copies_are_whole_and_the_oldest_go(tmp_path: Path) -> None:
    """Each copy is a database of its own; a week of them stays."""
    config = config_of(tmp_path / "config.toml", "", tmp_path)
    registry, _ = made_registry(tmp_path / "models", 2)
    chores = chores_of(config, registry)
    disk = Threaded(connect(tmp_path / "journal.db"))
    for day in range(1, 11):
        told = chores.backup(tmp_path / "backups" / f"2026-01-{day:02}T0115")
        with closing(sqlite3.connect(Path(told["folder"]) / "journal.db")) as copy:
            assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    disk.close()
    assert chores.prune() == {"models": 0, "backups": 10 - KEPT_BACKUPS}
    assert [path.name[8:10] for path in sorted((tmp_path / "backups").iterdir())] == [f"{n:02}" for n in range(4, 11)]


def test_yesterday_is_summed_up(tmp_path: Path) -> None:
    """Over all folders of the day; a day without any has no trades."""
    first = finished_run(tmp_path / "runs" / "2014-05-01", pips=(2.0, -1.5))
    second = finished_run(tmp_path / "runs" / "2014-05-01-02", pips=(4.0,))
    config = config_of(tmp_path / "config.toml", "", tmp_path)
    told = chores_of(config, made_registry(tmp_path / "models")[0]).report(START + DAY)
    assert (told["day"], told["trades"]) == ("2014-05-01", 3)
    assert told["net_pips"] == first["net_pips"] + second["net_pips"] == 4.5
    assert day_figures(tmp_path / "runs", "2014-05-02") == {"day": "2014-05-02", "trades": 0}
