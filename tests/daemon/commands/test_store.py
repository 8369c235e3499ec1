"""`micro-trader store`: promised keys, exit codes, and the way out and back in."""

import json
from pathlib import Path
from typing import Any

import pytest

from daemon.cli import main
from tests.training.made_experience import made_segment
from training.store_writer import ExperienceWriter


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder with a store of thirty segments of five steps."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "state"
    folder.mkdir()
    writer = ExperienceWriter(folder / "experience.db", 1000)
    for number in range(30):
        writer.append(made_segment(number * 5, 5, pips=float(number - 9) if number % 3 else None))
    writer.close()
    return folder


def run(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> Any:
    """The document of a command that ends with `code`; its message where there is none."""
    assert main(["store", *map(str, arguments), "--json"]) == code
    out, err = capsys.readouterr()
    return json.loads(out) if out else err


def test_stats_has_the_promised_keys(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Interface: size, capacity, trades, evicted, quality{min,p50,max}, schema_version, integrity."""
    found = run(capsys, "stats", "--state", state)
    assert (found["size"], found["capacity"], found["trades"], found["evicted"]) == (150, 1000, 20, 0)
    assert list(found["quality"]) == ["min", "p50", "max"]
    assert found["quality"]["min"] == pytest.approx(0.15)  # a flat step: the session's expectancy alone
    assert (found["schema_version"], found["integrity"]) == (2, "ok")


def test_verify_fails_on_damage_and_names_it(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A damaged row: exit 1, one document that names the segment, one line that does so too."""
    assert run(capsys, "verify", "--state", state)["integrity"] == "ok"
    path = state / "experience.db"
    content = bytearray(path.read_bytes())
    at = content.index(made_segment(20, 5).steps["features"][2].tobytes())
    content[at + 3] ^= 1
    path.write_bytes(content)
    found = run(capsys, "verify", "--state", state, code=1)
    assert [row["segment"] for row in found["quarantined"]] == [5]
    assert run(capsys, "stats", "--state", state)["size"] == 145


def test_what_is_exported_can_be_imported(state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A store rebuilt from its Parquet export exports the same rows; twice imported is once."""
    run(capsys, "export", tmp_path / "a.parquet", "--state", state)
    assert run(capsys, "import", tmp_path / "a.parquet", "--state", tmp_path / "other")["segments"] == 30
    assert run(capsys, "import", state / "experience.db", "--state", tmp_path / "other")["known"] == 30
    run(capsys, "export", tmp_path / "b.parquet", "--state", tmp_path / "other")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert run(capsys, "verify", "--state", tmp_path / "other")["integrity"] == "ok"


def test_backup_and_prune(state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A backup is a store; pruning keeps no more than asked; nothing is written over."""
    run(capsys, "backup", tmp_path / "copy.db", "--state", state)
    assert "already" in run(capsys, "backup", tmp_path / "copy.db", "--state", state, code=2)
    assert run(capsys, "prune", "--keep", 40, "--state", state)["size"] <= 40
    assert run(capsys, "import", tmp_path / "copy.db", "--state", tmp_path / "third")["segments"] == 30


def test_wrong_files_are_usage_errors(state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No store, or no export: exit 2, one line, no traceback."""
    assert "no experience store" in run(capsys, "stats", "--state", tmp_path / "nowhere", code=2)
    (tmp_path / "x").write_text("no export")
    assert "not an experience store" in run(capsys, "import", tmp_path / "x", "--state", state, code=2)
