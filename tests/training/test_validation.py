"""What a validation finds, from plays that are known."""

import json
from typing import Any

import numpy as np
import pytest

from training.bootstrap import interval
from training.gate import Bounds, judge
from training.ranking import standing
from training.tries import Try
from training.validation import Findings, Play, examine, figures_of, per_1000_bars, walk_forward

BARS = 20_000


def made(edge: float, seed: int = 1, trades: int = 400) -> Play:
    """A play of so many pips per 1000 bars, each trade a run of bars."""
    bars = np.random.default_rng(seed).normal(edge / 1000.0, 1.0, BARS)
    return Play(np.array([part.sum() for part in np.array_split(bars, trades)]), bars, BARS, 0.3)


def found(play: Play, incumbent: Play | None = None, tries: tuple[Try, ...] = (), **more: Any) -> Findings:
    """The findings of a model named `m`."""
    return examine("m", play, incumbent, tries, stretch="s", time="t", seed=3, resamples=500, **more)


def test_figures_are_those_of_the_rules() -> None:
    """Expectancy, win rate and score by the ranking, the interval by the block bootstrap; JSON holds no NaN."""
    play = made(20.0)
    document = figures_of(play, 3).document()
    ranked = standing(play.trades.tolist())
    assert document["expectancy_pips"] == ranked.expectancy
    assert document["quality_score"] == ranked.quality_score
    assert document["win_rate"] == ranked.win_rate
    assert document["net_pips"] == pytest.approx(play.bars.sum())
    assert document["pips_per_1000_bars"] == pytest.approx(play.bars.mean() * 1000.0)
    low, high = document["expectancy_ci95"]
    assert low < document["expectancy_pips"] < high
    idle = figures_of(Play(np.empty(0), np.empty(0), 0), 3).document()
    assert idle["expectancy_ci95"] == idle["pips_per_1000_bars_ci95"] == [None, None]
    assert json.dumps(idle, allow_nan=False)


def test_the_interval_covers_the_truth_of_dependent_bars() -> None:
    """A moving average of shocks: about 95 of 100 intervals hold the true mean, and cells agree with single bars."""
    held = 0
    for seed in range(150):
        shocks = np.random.default_rng(seed).normal(size=6_020)
        bars = np.convolve(shocks, np.full(20, 0.2), "valid")[:6_000] + 0.05
        low, high = per_1000_bars(bars, 1) or (0.0, 0.0)
        held += low <= 50.0 <= high
    assert 0.88 <= held / 150 <= 1.0
    plain = made(0.0).bars
    by_cells, by_bars = per_1000_bars(plain, 1), interval(plain * 1000.0, np.random.default_rng(1), resamples=500)
    assert by_cells == pytest.approx(by_bars, abs=2.5)


def test_an_edge_passes_and_none_does_not() -> None:
    """A true edge passes, luck and a loss don't, and nothing passes that abstains or answers NaN."""
    assert judge(found(made(60.0)).scores, Bounds()).passed
    assert not judge(found(made(0.0)).scores, Bounds()).passed
    assert not judge(found(made(-60.0)).scores, Bounds()).passed
    idle = found(Play(np.empty(0), np.zeros(BARS), 0), abstains=True)
    assert not judge(idle.scores, Bounds()).passed
    assert idle.tried is None
    broken = found(Play(np.empty(0), np.empty(0), 0, finite=False), made(0.0))
    assert judge(broken.scores, Bounds()).reasons == ("an answer of the model was not a finite number",)
    assert broken.tried is None


def test_the_incumbent_is_the_measure() -> None:
    """What earns does not pass beside what earns as much; beside a loser, earning is still asked for."""
    good, better, lucky = made(60.0), made(60.0, seed=2), made(0.0, seed=4)
    assert not judge(found(good, better).scores, Bounds()).passed
    assert not judge(found(good, good).scores, Bounds()).passed
    beside_a_loser = found(lucky, made(-500.0, seed=5))
    assert beside_a_loser.improvement > 400.0
    assert beside_a_loser.scores.p_improves < 0.01
    assert not judge(beside_a_loser.scores, Bounds()).passed
    with pytest.raises(ValueError, match="20000 bars beside 10"):
        found(good, Play(np.empty(0), np.zeros(10), 0))


def test_tries_are_paid_for_but_not_twice() -> None:
    """Other tries raise the p-value; the same model on the same ticks again doesn't."""
    play = made(25.0)
    alone = found(play)
    assert alone.tried is not None
    others = tuple(Try.made(f"o{n}", "t", f"s{n}", made(0.0, seed=50 + n).bars, np.zeros(BARS)) for n in range(40))
    many = found(play, tries=others)
    assert (many.scores.tried, alone.scores.tried) == (41, 1)
    assert many.scores.p_earns > alone.scores.p_earns
    assert found(play, tries=(alone.tried,)).scores == alone.scores


def test_parts_add_up() -> None:
    """The parts over time hold every bar once."""
    bars = made(10.0).bars[:1003]
    parts = walk_forward(bars)
    assert sum(part["bars"] for part in parts) == 1003
    assert sum(part["net_pips"] for part in parts) == pytest.approx(bars.sum())
