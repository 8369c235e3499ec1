"""Contestants play alone, by the session that trades; what they say is looked at."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from broker.types import Action
from daemon.contest import Contestant, baselines, perform, with_model
from daemon.foldtest import run_test
from daemon.models import Chosen
from daemon.unseen import Stretch
from strategy.baselines import Hold, Random
from strategy.model import load
from strategy.muzero import NotFinite
from strategy.plugin import Choice, Observation
from tests.daemon.made_validation import BARS, CONFIG, EUR_USD, WARMUP, made_quotes, model


def stretch(seed: int, bars: int = BARS) -> Stretch:
    """A stretch of a random walk."""
    quotes = made_quotes(seed, bars)
    return Stretch(EUR_USD, quotes, "1m", int(quotes.time[0]), int(quotes.time[-1]), False)


def test_a_play_is_that_of_a_test() -> None:
    """The same trades and bars as the study's test of one strategy; stretches follow one another from flat."""
    parts = [stretch(1), stretch(2, 400)]
    config = replace(CONFIG, strategy="random")
    tested = [run_test(part.quotes, EUR_USD, config, Random) for part in parts]
    play = perform(Contestant("random", "random", Random), parts, CONFIG).play
    assert play.trades.tolist() == [*tested[0].trades, *tested[1].trades]
    assert play.bars.tolist() == [*tested[0].bars, *tested[1].bars]
    assert play.in_market == sum(one.in_market for one in tested)
    assert play.decision_ms_p99 >= play.decision_ms > 0.0
    assert {who.name for who in baselines()} == {"hold", "random", "ema-cross", "mean-reversion"}


def test_what_a_model_says_of_the_market_is_kept(tmp_path: Path) -> None:
    """Probabilities for each decision but the last, whose outcome nobody knows; baselines say nothing."""
    key = model(tmp_path, 1)
    who = with_model(key, Chosen(tmp_path / key, load(tmp_path / key)))
    found = perform(who, [stretch(1)], CONFIG)
    assert found.said.shape == (BARS - WARMUP - 1, 3)
    assert np.allclose(found.said.sum(1), 1.0)
    assert found.calibration_error is not None
    assert 0.0 <= found.calibration_error <= 1.0
    assert perform(Contestant("hold", "hold", Hold), [stretch(1)], CONFIG).calibration_error is None


@pytest.mark.parametrize("answer", ["raises", "value", "outcome"])
def test_an_answer_that_is_no_number_ends_the_play(answer: str) -> None:
    """NaN and infinities in the evidence, or a strategy that finds them itself: not finite, and no figures."""

    class Broken(Hold):
        def decide(self, observation: Observation) -> Choice:
            if observation.seq < 5:
                return Choice(Action.HOLD)
            if answer == "raises":
                raise NotFinite("weights overflow")
            value, outcome = (float("nan"), None) if answer == "value" else (0.0, (float("inf"), 0.0, 0.0))
            return Choice(Action.HOLD, value=value, outcome=outcome)

    play = perform(Contestant("broken", "hold", Broken), [stretch(1)], CONFIG).play
    assert not play.finite
    assert (len(play.trades), len(play.bars)) == (0, 0)
