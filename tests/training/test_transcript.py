"""What is kept of a training: its passes, its verdict, the optimum where it is known, and where the time went."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from broker.errors import StorageFault
from broker.ticks.optimum import best_pips
from broker.ticks.synth import Plan as Market
from broker.ticks.synth import synth
from strategy.model import TRAINED
from tests.training.made_job import job_in
from training import transcript
from training.candidate import speeds
from training.job import TRANSCRIPT
from training.stopwatch import Stopwatch
from training.trainer import train


def test_a_transcript_is_kept(tmp_path: Path) -> None:
    """On a synthetic file: a pass after the other, the optimum of the held-out bars, and where all the time went."""
    market = Market("ou_easy", 2700, 1, 1)
    synth(market, tmp_path / "EUR_USD-ou.csv")
    job, ticking = job_in(tmp_path, steps=18), iter(range(0, 10**15, 10**9))
    document = train(replace(job, files=(str(tmp_path / "EUR_USD-ou.csv"),)), lambda: next(ticking), lambda _: None)
    told = json.loads((tmp_path / "training" / document["version"] / TRANSCRIPT).read_text())
    assert [one["step"] for one in told["passes"]] == [6, 12, 18]
    held = told["held_out"]["decisions"]
    best = best_pips(market, market.bars - 1 - held, market.bars - 1)
    assert best is not None
    assert told["optimum"]["pips_per_1000_bars"] == pytest.approx(best / held * 1000)
    assert told["optimum"]["searched_share"] == pytest.approx(document["held_out"]["pips"] / best * held / 1000)
    assert sum(told["times"].values()) == pytest.approx(document["seconds"])
    assert {"reading", "self-play", "targets", "learning", "held-out scores"} <= told["times"].keys()
    assert sum(one["count"] for one in told["calibration"]["bins"]) == 3 * held
    assert (document["status"] == TRAINED) == (told["verdict"]["z"] > told["verdict"]["threshold"])


def test_speeds_are_over_the_whole_run() -> None:
    """Steps over seconds, and none before any time has passed."""
    course = SimpleNamespace(played=640, learner=SimpleNamespace(steps=12))
    assert speeds(course, 4 * 10**9) == {  # type: ignore[arg-type]
        "selfplay_steps": 640, "selfplay_steps_per_s": 160.0, "learner_steps_per_s": 3.0,
    }  # fmt: skip
    assert speeds(course, 0)["learner_steps_per_s"] == 0.0  # type: ignore[arg-type]


def test_an_optimum_is_stated_only_for_bars_of_the_path() -> None:
    """A tape that is longer than what the plan leaves after the warm-up is not of this plan: no figure."""
    plan = Market("ou_easy", 1000, 1)
    assert transcript.held_out_optimum(plan, 512, 487) is not None
    assert transcript.held_out_optimum(plan, 512, 488) is None
    assert transcript.held_out_optimum(plan, 512, 0) is None


def test_all_the_time_is_accounted_for(tmp_path: Path) -> None:
    """What no part took is `other`; a transcript that can't be kept is a fault, and nothing is left of it."""
    assert transcript.times(Stopwatch(lambda: 0, {"learning": 3 * 10**9}), 5 * 10**9) == {"learning": 3.0, "other": 2.0}
    (tmp_path / "file").touch()
    with pytest.raises(StorageFault, match="transcript"):
        transcript.write(tmp_path / "file" / "x", {})
    transcript.write(tmp_path / "x", {"a": 1})
    assert [path.name for path in (tmp_path / "x").iterdir()] == [TRANSCRIPT]
