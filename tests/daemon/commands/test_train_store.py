"""`micro-trader train` on what sessions stored."""

import json
from pathlib import Path

import pytest

from daemon.cli import DONE, REFUSED, main


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Away from the config of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)


def test_what_a_session_stored_makes_a_candidate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A replay stores what it did, training needs nothing else, and a replay decides with what came of it.

    How wrong the learner was is in the store afterwards.
    """
    ticks, state = str(tmp_path / "EUR_USD-ou.csv.gz"), ["--state", str(tmp_path / "state"), "--json"]
    assert main(["ticks", "synth", "ou_easy", ticks, "--bars", "5200", "--seed", "1", "--ticks-per-bar", "1"]) == DONE
    assert main(["replay", ticks, "--store", "--out", str(tmp_path / "first"), *state]) == DONE
    capsys.readouterr()
    assert main(["train", "--steps", "6", "--workers", "0", *state]) == DONE
    document = json.loads(capsys.readouterr().out)
    store = document["store"]
    assert store["size"] > 4600
    assert store.keys() >= {"capacity", "trades", "drawn", "searched", "td_errors_written"}
    assert store["drawn"] >= 6 * 2 * 200
    assert store["td_errors_written"] > 0
    assert document["data"]["instruments"] == ["EUR_USD"]
    assert main(["store", "verify", *state]) == DONE
    assert json.loads(capsys.readouterr().out)["rescored"] == []
    assert main(["replay", ticks, "--model", document["version"], "--out", str(tmp_path / "second"), *state]) == DONE
    assert json.loads(capsys.readouterr().out)["model"] == document["version"]


def test_nothing_to_learn_from_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither ticks nor a store: one line that says what to do, and nothing is made."""
    assert main(["train", "--state", str(tmp_path / "state")]) == REFUSED
    assert "replay --store" in capsys.readouterr().err
    assert not (tmp_path / "state" / "models").exists()
