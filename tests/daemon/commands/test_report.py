"""`micro-trader report RUN_DIR` rebuilds a page, or says in one line why not."""

import argparse
import io
import json
from pathlib import Path

import pytest

from broker.errors import BadInput, StorageFault
from daemon.commands import report
from daemon.console import Ui
from daemon.options import Parser
from tests.daemon.made_run import finished_run


def parsed(folder: Path) -> argparse.Namespace:
    parser = Parser(prog="micro-trader")
    report.register(parser.add_subparsers())
    return parser.parse_args(["report", str(folder), "--json"])


def test_the_path_is_the_result(tmp_path: Path) -> None:
    """The one JSON key of the command is the path of the page that it built."""
    finished_run(tmp_path)
    (tmp_path / "report.html").unlink()
    args, out = parsed(tmp_path), io.StringIO()
    ui = Ui(json=True, stream=out)
    ui.show(args.handler(args, ui), "report")
    assert json.loads(out.getvalue()) == {"path": str(tmp_path / "report.html")}
    assert (tmp_path / "report.html").is_file()


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """Wrong usage: one line, exit code 2."""
    args = parsed(tmp_path / "none")
    with pytest.raises(BadInput, match="no such folder"):
        args.handler(args, Ui(json=True))


def test_a_disk_that_fails_is_not_the_users_mistake(tmp_path: Path) -> None:
    """A page that can't be put in its place is a storage fault, and nothing half-written stays."""
    finished_run(tmp_path)
    (tmp_path / "report.html").unlink()
    (tmp_path / "report.html").mkdir()
    args = parsed(tmp_path)
    with pytest.raises(StorageFault, match="can't be written"):
        args.handler(args, Ui(json=True))
    assert not list(tmp_path.glob(".*"))
