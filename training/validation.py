"""What a validation finds: figures of a candidate, of what trades now, and of both on the same bars."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from broker.types import Float64s
from training.bootstrap import interval
from training.drawdown import Drawdowns, drawdowns
from training.gate import Scores
from training.ranking import Standing, standing
from training.realitycheck import cells_of, p_value
from training.tries import Try, without

Interval = tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Play:
    """What came of one strategy over a stretch of ticks.

    Attributes:
        trades: `[trades] float64` pips of each, in order of their close.
        bars: `[bars] float64` pips that each bar from the first decision on added, closed and open.
        in_market: bars that began with a position.
        decision_ms, decision_ms_p99: half, and 99 %, of the decisions were faster.
        finite: it answered nothing but finite numbers; else the rest is empty.
    """

    trades: Float64s
    bars: Float64s
    in_market: int
    decision_ms: float = 0.0
    decision_ms_p99: float = 0.0
    finite: bool = True


@dataclass(frozen=True, slots=True)
class Figures:
    """One strategy in figures; intervals cover 95 %, pips per 1000 bars."""

    standing: Standing
    expectancy_ci95: Interval
    net_pips: float
    per_1000_bars: float
    per_1000_bars_ci95: Interval
    in_market: float

    def document(self) -> dict[str, Any]:
        """By the names of the interface; an interval of too little is `[null, null]`."""
        found = self.standing
        return {
            "trades": found.trades,
            "expectancy_pips": found.expectancy,
            "expectancy_ci95": list(self.expectancy_ci95 or (None, None)),
            "win_rate": found.win_rate,
            "net_pips": self.net_pips,
            "quality_score": found.quality_score,
            "avg_win_pips": found.avg_win,
            "avg_loss_pips": found.avg_loss,
            "pips_per_1000_bars": self.per_1000_bars,
            "pips_per_1000_bars_ci95": list(self.per_1000_bars_ci95 or (None, None)),
            "in_market": self.in_market,
        }


@dataclass(frozen=True, slots=True)
class Findings:
    """A candidate beside what trades now.

    Attributes:
        figures: the candidate's. improvement, improvement_ci95: pips per 1000 bars over the incumbent, bar by bar.
        drawdown: of the candidate. scores: what the gate judges.
        tried: this try, None where there is nothing to keep: the model abstains or failed.
    """

    figures: Figures
    improvement: float
    improvement_ci95: Interval
    drawdown: Drawdowns
    scores: Scores
    tried: Try | None


def figures_of(play: Play, seed: int) -> Figures:
    """Figures and intervals.

    >>> figures_of(Play(np.empty(0), np.zeros(20), 0), 1).standing.quality_score
    -1000.0
    """
    bars = play.bars
    return Figures(
        standing(play.trades.tolist()),
        interval(play.trades, np.random.default_rng(seed)),
        float(play.trades.sum()),
        float(bars.mean() * 1000.0) if len(bars) else 0.0,
        per_1000_bars(bars, seed),
        play.in_market / max(len(bars), 1),
    )


def per_1000_bars(bars: Float64s, seed: int) -> Interval:
    """The 95 % interval of the mean, from sums over cells of neighbours; None: too few of them."""
    cells = cells_of(bars)
    found = interval(cells * (1000.0 * len(cells) / max(len(bars), 1)), np.random.default_rng(seed))
    return found if len(bars) else None


def examine(
    model: str,
    play: Play,
    incumbent: Play | None,
    tries: Sequence[Try],
    *,
    stretch: str,
    time: str,
    seed: int,
    resamples: int = 2000,
    abstains: bool = False,
) -> Findings:
    """Weigh a candidate against what trades now.

    Args:
        model: its id. play, incumbent: on the same bars; None: nothing trades now, which is `hold`.
        tries: what was tried since the last promotion; an earlier try of the same model on the same ticks is replaced.
        stretch: names the ticks. time: of the validation, RFC 3339. seed: of every resample.
        abstains: its manifest keeps it out of the market.

    Raises:
        ValueError: the two were not played on the same bars.
    """
    beside = np.zeros(len(play.bars)) if incumbent is None or not play.finite else incumbent.bars
    if len(beside) != len(play.bars):
        raise ValueError(f"{len(play.bars)} bars beside {len(beside)} of the incumbent")
    figures, more = figures_of(play, seed), play.bars - beside
    improvement = per_1000_bars(more, seed)
    falls = drawdowns(play.bars, np.random.default_rng(seed)) if len(play.bars) else Drawdowns(0.0, 0.0, 0.0)
    mine = Try.made(model, time, stretch, play.bars, beside)
    others = without(tries, mine)
    p_earns, p_improves = (
        p_value(own, rest, seed, resamples)
        for own, rest in zip(mine.series(), _columns([tried.series() for tried in others]), strict=True)
    )
    scores = Scores(
        abstains=abstains,
        finite=play.finite,
        trades=figures.standing.trades,
        expectancy_low=figures.expectancy_ci95[0] if figures.expectancy_ci95 else None,
        improvement_low=improvement[0] if improvement else None,
        p_earns=p_earns,
        p_improves=p_improves,
        tried=len(others) + 1,
        net_pips=figures.net_pips,
        drawdown_pips=falls.p95,
        decision_ms=play.decision_ms,
    )
    kept = None if abstains or not play.finite else mine
    return Findings(figures, float(more.mean() * 1000.0) if len(more) else 0.0, improvement, falls, scores, kept)


def _columns(pairs: Sequence[tuple[Any, Any]]) -> tuple[list[Any], list[Any]]:
    return [first for first, _ in pairs], [second for _, second in pairs]


def walk_forward(bars: Float64s, parts: int = 4) -> list[Mapping[str, Any]]:
    """The stretch in `parts` of equal length, in order: how even the result is over time.

    >>> walk_forward(np.array([1.0, 1.0, -1.0, 0.0]), 2)
    [{'bars': 2, 'net_pips': 2.0}, {'bars': 2, 'net_pips': -1.0}]
    """
    return [{"bars": len(part), "net_pips": float(part.sum())} for part in np.array_split(bars, parts) if len(part)]
