"""`micro-trader train`."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.cli import DONE, INTERRUPTED, REFUSED, main
from daemon.commands import train
from daemon.console import Ui
from tests.training.made_job import write_quotes
from training.locks import trainer_lock

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
    report = Path(document["report"])
    page = report.read_bytes()
    assert main(["report", str(report.parent), "--json"]) == DONE
    capsys.readouterr()
    assert report.read_bytes() == page
    assert main(["models", "list", *state]) == DONE
    assert json.loads(capsys.readouterr().out)["models"][0]["version"] == document["version"]
    out = ["--out", str(tmp_path / "run")]
    assert main(["replay", ticks, "--model", document["version"], *out, *state]) == DONE
    assert json.loads(capsys.readouterr().out)["model"] == document["version"]


def test_a_report_that_cannot_be_written_costs_no_candidate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk at the very end: a warning that says how to try again, and no report."""

    def full(_folder: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(train, "build_training_report", full)
    assert train.reported(tmp_path, Ui(json=True)) is None
    assert "No space left" in capsys.readouterr().err


def test_an_interrupt_is_handed_on(tmp_path: Path) -> None:
    """Ctrl-C ends the train process with what it learned kept, says so, and comes out as 130."""
    write_quotes(tmp_path / "EUR_USD-swing.csv", 2700)
    options = ["--state", str(tmp_path / "state"), "--workers", "0", "--minutes", "9", "--from", "scratch"]
    command = [sys.executable, "-m", "daemon", "train", str(tmp_path / "EUR_USD-swing.csv"), *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        first = next(line for line in process.stderr if line.startswith("step "))
        assert all(word in first for word in ("s left", "policy", "held out", "self-play", "learner", "store"))
        process.send_signal(signal.SIGINT)
        assert "goes on from there" in process.stderr.read()
        assert process.wait() == INTERRUPTED
    with trainer_lock(tmp_path / "state", lambda: 0):  # nobody holds it any more
        assert (tmp_path / "state" / "training" / "checkpoint.pt").exists()
    assert not (tmp_path / "state" / "models").exists()


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
