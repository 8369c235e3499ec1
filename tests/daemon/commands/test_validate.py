"""`micro-trader validate`: promised keys and exit codes, what it promotes, and what it leaves when it is killed."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from broker.errors import BadInput
from broker.instruments import instrument
from daemon.cli import DONE, FAILED, REFUSED, main
from daemon.environment import input_file
from daemon.study import write_quotes
from strategy.model import ABSTAINS
from tests.daemon.made_validation import BARS, EUR_USD, TOML, made_quotes, model, rising, ticks, with_trades
from training.locks import FileLock
from training.registry import Registry, State
from training.seen import Watch

PROMISED = {
    "version", "incumbent", "trades", "expectancy_pips", "expectancy_ci95", "win_rate", "net_pips", "quality_score",
    "baselines", "gate", "promoted",
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str, str]:
    """A state folder with two models that win on rising quotes and one that loses, their ids, the winners first."""
    root = tmp_path_factory.mktemp("made") / "models"
    winner = with_trades(root, wins=True)
    keep = root.with_name("kept") / winner
    shutil.move(root / winner, keep)
    loser = with_trades(root, wins=False)
    shutil.move(keep, root / winner)
    return root.parent, winner, loser, model(root, 9_999, ABSTAINS)


class Desk:
    """A state folder of its own and the command in it."""

    def __init__(self, folder: Path, made: tuple[Path, str, str, str], capsys: pytest.CaptureFixture[str]) -> None:
        source, self.winner, self.loser, self.idle = made
        self.folder, self._capsys = folder, capsys
        shutil.copytree(source / "models", folder / "models")
        (folder / "config.toml").write_text(TOML)
        self.rising = folder / "EUR_USD-rising.csv"
        write_quotes(self.rising, EUR_USD, rising(5))
        self.registry = Registry(folder / "models", "test", lambda: 0)

    def run(self, *words: object, code: int = DONE) -> Any:
        """The document, or what was said where there is none."""
        assert main(["validate", *map(str, words), *self.options, "--json"]) == code
        out, err = self._capsys.readouterr()
        return json.loads(out) if code == DONE else err

    @property
    def options(self) -> list[str]:
        """Config and state."""
        return ["--config", str(self.folder / "config.toml"), "--state", str(self.folder)]

    def states(self) -> dict[str, State]:
        """States of all models."""
        return self.registry.states()


@pytest.fixture
def desk(tmp_path: Path, made: tuple[Path, str, str, str], capsys: pytest.CaptureFixture[str]) -> Desk:
    """A desk."""
    return Desk(tmp_path, made, capsys)


def test_what_passes_is_promoted_and_what_does_not_is_rejected(desk: Desk) -> None:
    """The document by the interface, the verdict beside the model, a report; why it was promoted is in the history."""
    document = desk.run(desk.winner[:8], desk.rising, "--promote")
    assert document.keys() >= PROMISED
    assert (document["version"], document["incumbent"], document["promoted"]) == (desk.winner, None, True)
    assert document["gate"] == {"passed": True, "reasons": []}
    assert document["baselines"].keys() == {"hold", "random", "ema-cross", "mean-reversion"}
    low, high = document["expectancy_ci95"]
    assert 0.0 < low < document["expectancy_pips"] < high
    assert desk.states()[desk.winner] is State.BEST
    assert desk.registry.history()[-1].why.startswith("passed the gate: ")
    verdict = desk.registry.verdict(desk.winner)
    assert verdict is not None
    assert verdict["promoted"]
    assert "<title>Validation of" in Path(document["report"]).read_text()

    refused = desk.run(desk.loser, desk.rising, "--promote")
    assert (refused["incumbent"], refused["promoted"], refused["gate"]["passed"]) == (desk.winner, False, False)
    assert refused["incumbent_figures"]["net_pips"] == document["net_pips"]
    assert desk.states()[desk.loser] is State.REJECTED
    assert desk.registry.best() == desk.winner


def test_two_instruments_are_played_one_after_the_other(desk: Desk) -> None:
    """Their trades and bars are joined; each is named with its own stretch, on bars of a number of quotes too."""
    yen = desk.folder / "USD_JPY-rising.csv"
    write_quotes(yen, instrument("USD_JPY"), rising(6))
    alone = [desk.run(desk.winner, path, "--bar", "2t") for path in (desk.rising, yen)]
    both = desk.run(desk.winner, desk.rising, yen, "--bar", "2t")
    assert both["trades"] == sum(one["trades"] for one in alone) > 0
    assert both["net_pips"] == pytest.approx(sum(one["net_pips"] for one in alone))
    assert [part["instrument"] for part in both["ticks"]["stretches"]] == ["EUR_USD", "USD_JPY"]
    assert both["reality_check"]["tried"] == 3


def test_without_the_flag_nothing_is_promoted(desk: Desk) -> None:
    """The verdict is kept, the states are not touched; the same command gives the same figures."""
    document = desk.run(desk.winner, desk.rising)
    assert document["gate"]["passed"]
    assert not document["promoted"]
    assert set(desk.states().values()) == {State.CANDIDATE}
    again = desk.run(desk.winner, desk.rising)
    different = {"time", "decision_ms", "report"}
    assert {key: again[key] for key in again.keys() - different} == {
        key: document[key] for key in document.keys() - different
    }
    assert again["reality_check"]["tried"] == 1


def test_the_newest_candidate_without_a_verdict_is_next(desk: Desk) -> None:
    """Each in its turn, the newest first, on the recordings in the state folder; then there is none."""
    for age, key in enumerate([desk.winner, desk.loser, desk.idle]):
        os.utime(desk.folder / "models" / key / "manifest.json", ns=(age, age))
    ticks(desk.folder / "ticks" / "EUR_USD-1.csv", 3)
    assert desk.run()["gate"]["reasons"] == ["it abstains from trading"]
    assert desk.run()["version"] == desk.loser
    last = desk.run()
    assert (last["version"], last["reality_check"]["tried"]) == (desk.winner, 2)
    assert "no candidate waits for a verdict" in desk.run(code=REFUSED)
    desk.registry.promote(desk.winner, "by hand")
    again = desk.run()
    assert again["version"] == again["incumbent"] == desk.winner
    assert again["gate"]["reasons"][0] == "it is the best one already"


def test_an_incumbent_that_loses_goes_without_a_successor(desk: Desk) -> None:
    """Beside a candidate that does not pass, and on its own; without --promote it is only said."""
    desk.registry.promote(desk.loser, "a mistake")
    document = desk.run(desk.idle, desk.rising)
    assert document["incumbent_loses"]
    assert desk.registry.best() == desk.loser
    assert desk.run(desk.idle, desk.rising, "--promote")["retired"] == desk.loser
    assert desk.registry.best() is None
    assert "significantly negative" in desk.registry.history()[-1].why
    desk.registry.promote(desk.loser, "again")
    alone = desk.run("best", desk.rising, "--promote")
    assert (alone["version"], alone["retired"], alone["promoted"]) == (desk.loser, desk.loser, False)
    assert desk.states()[desk.loser] is State.RETIRED


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["ffffffff"], "no model 'ffffffff'"),
        (["{winner}", "missing.csv"], "missing.csv"),
        (["{winner}", "{empty}"], "empty.csv"),
        (["{winner}", "{short}"], "100 bars of EUR_USD are too few"),
        (["{winner}"], "no recordings"),
        (["{winner}", "{rising}", "--seed", "x"], "--seed"),
        (["best", "{rising}"], "no model is best"),
        (["{winner}", "{rising}", "--out", "{rising}"], "choose another --out"),
    ],
)
def test_wrong_usage_is_refused(desk: Desk, words: list[str], what: str) -> None:
    """One line that says what; no verdict."""
    (desk.folder / "EUR_USD-empty.csv").write_text("")
    names = {
        "winner": desk.winner,
        "rising": desk.rising,
        "empty": desk.folder / "EUR_USD-empty.csv",
        "short": ticks(desk.folder / "EUR_USD-short.csv", 1, 100),
    }
    assert what in desk.run(*(word.format(**names) for word in words), code=REFUSED)
    assert desk.registry.verdicts() == {}


def test_ticks_that_were_learned_from_are_refused(desk: Desk) -> None:
    """The file, a copy of its first part under another name, and what follows too soon; told in one line."""
    ours, watch = ticks(desk.folder / "EUR_USD-ours.csv", 7, 2_300), Watch()
    assert sum(map(len, watch.passing([made_quotes(7, 2_300)]))) == 4_600
    window = watch.window()
    assert window is not None
    data = {"sha256": [input_file(ours)["sha256"]], "windows": {"EUR_USD": window.document()}}
    version = model(desk.folder / "models", 1, data=data)
    assert "learned from this file" in desk.run(version, ours, code=REFUSED)
    part = ticks(desk.folder / "EUR_USD-part.csv", 7, BARS)
    assert "embargoed" in desk.run(version, part, code=REFUSED)
    assert desk.registry.verdicts() == {}
    later = ticks(desk.folder / "EUR_USD-later.csv", 7, 2_800)
    document = desk.run(version, later)
    (stretch,) = document["ticks"]["stretches"]
    assert stretch["from"].startswith("1970-01-02T17:40:00")  # 2,300 bars, and 200 of embargo
    assert not [caveat for caveat in document["caveats"] if "in sample" in caveat]


def test_one_validator_at_a_time_and_the_owner_promotes(desk: Desk) -> None:
    """A second validator is told who is there; while the daemon owns the registry, `--promote` is refused at once."""
    with FileLock(desk.folder / "validator.lock", "validator", lambda: 0):
        assert "in use by validator" in desk.run(desk.winner, desk.rising, code=REFUSED)
    desk.registry.own()
    assert "in use by test" in desk.run(desk.winner, desk.rising, "--promote", code=REFUSED)
    assert desk.registry.verdicts() == {}
    assert desk.run(desk.winner, desk.rising)["gate"]["passed"]
    desk.registry.disown()


def test_a_model_that_answers_nan_is_rejected(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The verdict says so, without figures."""
    monkeypatch.setattr("strategy.muzero.MuZero._rehearse", lambda self: self._model.mean.__imul__(float("nan")))
    document = desk.run(desk.winner, desk.rising, "--promote")
    assert document["gate"]["reasons"] == ["an answer of the model was not a finite number"]
    assert (document["trades"], document["finite"]) == (0, False)
    assert desk.states()[desk.winner] is State.REJECTED


def test_a_full_disk_promotes_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The verdict comes before the promotion: where it can't be written, nothing is promoted."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "validation.json")

    monkeypatch.setattr("daemon.commands.validate.write_whole", full)
    assert "No space left" in desk.run(desk.winner, desk.rising, "--promote", code=FAILED)
    assert desk.registry.best() is None


@pytest.mark.parametrize("moment", ["verdict", "promotion"])
def test_killed_on_the_way_it_leaves_nothing_half_done(desk: Desk, moment: str) -> None:
    """`kill -9` before the verdict, and before the promotion: what is there is whole; work goes on."""
    place = {
        "verdict": "training.registry.Registry.write_verdict",
        "promotion": "training.registry.Registry.promote",
    }[moment]
    code = f"""
import os, signal, sys
from unittest.mock import patch
from daemon.cli import main
with patch("{place}", lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)):
    main(sys.argv[1:])
"""
    words = ["validate", desk.winner, str(desk.rising), "--promote", *desk.options]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    assert desk.registry.best() is None
    verdict = desk.registry.verdict(desk.winner)
    assert (verdict is not None) == (moment == "promotion")
    assert verdict is None or not verdict["promoted"]
    assert desk.run(desk.winner, desk.rising, "--promote")["promoted"]
    assert desk.registry.verify() == {}


def test_a_report_is_rebuilt_from_its_folder(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """`report` gives the same bytes again, no script, nothing from elsewhere; a damaged document is told."""
    document = desk.run(desk.winner, desk.rising)
    page = Path(document["report"])
    before = page.read_bytes()
    page.unlink()
    assert main(["report", str(page.parent), "--json"]) == DONE
    assert page.read_bytes() == before
    assert b"<script" not in before
    assert b"http" not in before.replace(b"http-equiv", b"")
    capsys.readouterr()
    (page.parent / "validation.json").write_text("{}")
    assert main(["report", str(page.parent)]) == REFUSED
    assert "is no validation" in capsys.readouterr().err


def test_a_person_sees_the_reasons(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """The terminal shows every strategy and why the gate is closed."""
    assert main(["validate", desk.loser, str(desk.rising), *desk.options]) == DONE
    shown = capsys.readouterr().out
    assert {"hold", "random", "ema-cross"} <= set(shown.split())
    assert "it may not earn" in shown


def test_ids_that_are_not_there_are_no_incumbent(desk: Desk) -> None:
    """Where BEST names a model that is gone, that is said instead of a comparison with nothing."""
    desk.registry.promote(desk.loser, "then lost")
    shutil.rmtree(desk.folder / "models" / desk.loser)
    assert "no manifest.json" in desk.run(desk.winner, desk.rising, code=REFUSED)
    with pytest.raises(BadInput):
        desk.registry.folders.find(desk.loser)
