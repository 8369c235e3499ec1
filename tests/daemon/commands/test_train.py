"""`micro-trader train`."""

import json
from pathlib import Path

import pytest

from daemon.cli import DONE, REFUSED, main

PROMISED = {
    "version", "parent", "steps", "selfplay_steps", "selfplay_steps_per_s", "learner_steps_per_s", "losses", "seconds",
    "store",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Away from the config of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)


def test_a_candidate_is_trained_and_can_be_replayed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From ticks to a registered model that a replay decides with, by the keys of the interface."""
    ticks, state = str(tmp_path / "EUR_USD-ou.csv.gz"), ["--state", str(tmp_path / "state"), "--json"]
    assert main(["ticks", "synth", "ou_easy", ticks, "--bars", "2700", "--seed", "1", "--ticks-per-bar", "1"]) == DONE
    capsys.readouterr()
    assert main(["train", ticks, "--steps", "12", "--workers", "0", "--from", "scratch", *state]) == DONE
    document = json.loads(capsys.readouterr().out)
    assert document.keys() >= PROMISED
    assert document["losses"].keys() >= {"total", "value", "policy", "reward", "outcome"}
    assert document["steps"] == 12
    assert main(["models", "list", *state]) == DONE
    assert json.loads(capsys.readouterr().out)["models"][0]["version"] == document["version"]
    out = ["--out", str(tmp_path / "run")]
    assert main(["replay", ticks, "--model", document["version"], *out, *state]) == DONE
    assert json.loads(capsys.readouterr().out)["model"] == document["version"]


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (["missing.csv"], "missing.csv"),
        (["x.csv", "--minutes", "0"], "--minutes"),
        (["x.csv", "--steps", "0"], "--steps"),
        (["x.csv", "--workers", "-1"], "--workers"),
        (["x.csv", "--from", "abcdefgh"], "abcdefgh"),
    ],
)
def test_wrong_usage_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], what: str
) -> None:
    """What can't be done is said in one line, and nothing is left behind."""
    assert main(["train", *options, "--state", str(tmp_path)]) == REFUSED
    assert what in capsys.readouterr().err
    assert not (tmp_path / "models").exists()


def test_too_little_data_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The trainer's own refusal arrives as such."""
    ticks = str(tmp_path / "EUR_USD-ou.csv.gz")
    assert main(["ticks", "synth", "ou", ticks, "--bars", "900", "--seed", "1", "--ticks-per-bar", "1"]) == DONE
    assert main(["train", ticks, "--state", str(tmp_path / "state")]) == REFUSED
    assert "too few" in capsys.readouterr().err
