"""The gate: which candidates may trade. A pure function of what the validator found.

It asks two things of the same ticks: does the candidate earn, and does it earn more than what trades now. Each must
hold for its own 95 % interval, and together with everything that was tried since the last promotion (White's reality
check). Of those that pass, the quality score ranks.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from broker.types import Float64s
from training.bootstrap import interval
from training.realitycheck import cells_of


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is asked for.

    Attributes:
        min_trades: completed ones. significance: largest p-value of the reality check.
        max_drawdown_share: most of the net pips that the drawdown of one resample in twenty may exceed.
        max_drawdown_pips: the same in pips; 0 = off. max_decision_ms: of the median decision.
    """

    min_trades: int = 30
    significance: float = 0.01
    max_drawdown_share: float = 1.0
    max_drawdown_pips: float = 0.0
    max_decision_ms: float = 50.0


@dataclass(frozen=True, slots=True)
class Scores:
    """What the validator found.

    Attributes:
        abstains: its manifest keeps it out of the market. finite: no answer was NaN or infinite.
        trades: completed. expectancy_low: lower end of the 95 % interval, pips a trade; None: too few trades.
        improvement_low: of pips per 1000 bars over the incumbent, or over `hold`; None: too few bars.
        p_earns, p_improves: of the reality check over `tried` candidates, this one among them.
        net_pips, drawdown_pips: of the whole, and the drawdown that one resample in twenty exceeds.
        decision_ms: the median: a busy machine delays some decisions, a slow model delays all.
    """

    abstains: bool
    finite: bool
    trades: int
    expectancy_low: float | None
    improvement_low: float | None
    p_earns: float
    p_improves: float
    tried: int
    net_pips: float
    drawdown_pips: float
    decision_ms: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether it may trade; the reasons why not."""

    passed: bool
    reasons: tuple[str, ...]


def judge(scores: Scores, bounds: Bounds) -> Verdict:
    """Whether a candidate may be promoted.

    >>> good = Scores(False, True, 99, 0.4, 9.0, 0.001, 0.002, 1, 120.0, 40.0, 0.3)
    >>> judge(good, Bounds())
    Verdict(passed=True, reasons=())
    >>> judge(good, Bounds(min_trades=100)).reasons
    ('99 trades are fewer than 100',)
    """
    if not scores.finite:
        return Verdict(False, ("an answer of the model was not a finite number",))
    if scores.abstains:
        return Verdict(False, ("it abstains from trading",))
    reasons = tuple(_reasons(scores, bounds))
    return Verdict(not reasons, reasons)


def _reasons(scores: Scores, bounds: Bounds) -> Iterator[str]:
    """Every bound that isn't kept; a figure that is no number keeps none."""
    tried = f"over {scores.tried} tried since the last promotion"
    fall, share = f"one drawdown in twenty exceeds {scores.drawdown_pips:.1f} pips", bounds.max_drawdown_share
    if not scores.trades >= bounds.min_trades:
        yield f"{scores.trades} trades are fewer than {bounds.min_trades}"
    if not _above_zero(scores.expectancy_low):
        yield f"it may not earn: the 95 % interval of its expectancy begins at {_pips(scores.expectancy_low)} a trade"
    if not _above_zero(scores.improvement_low):
        low = _pips(scores.improvement_low)
        yield f"it may be no better than what trades now: the 95 % interval of that begins at {low} per 1000 bars"
    if not scores.p_earns <= bounds.significance:
        yield f"that it earns may be luck: p = {scores.p_earns:.3g} {tried}"
    if not scores.p_improves <= bounds.significance:
        yield f"that it is better may be luck: p = {scores.p_improves:.3g} {tried}"
    if not scores.drawdown_pips <= share * scores.net_pips:
        yield f"{fall}, more than {share:g} of its {scores.net_pips:.1f} net pips"
    if bounds.max_drawdown_pips and not scores.drawdown_pips <= bounds.max_drawdown_pips:
        yield f"{fall}, more than {bounds.max_drawdown_pips:g}"
    if not scores.decision_ms <= bounds.max_decision_ms:
        yield f"a decision takes {scores.decision_ms:.1f} ms, longer than {bounds.max_decision_ms:g}"


def _above_zero(value: float | None) -> bool:
    return value is not None and value > 0.0


def _pips(value: float | None) -> str:
    return "an unknown figure" if value is None else f"{value:.3g} pips"


def loses(bars: Float64s, generator: np.random.Generator) -> bool:
    """Whether what trades is significantly negative: the 95 % interval of its pips a bar ends below 0.

    Args:
        bars: `[n] float64` pips of every bar, in the market or not, live or out of sample. generator: consumed.

    >>> loses(np.full(300, -1.0), np.random.default_rng(0)), loses(np.zeros(300), np.random.default_rng(0))
    (True, False)
    """
    found = interval(cells_of(bars), generator)
    return found is not None and found[1] < 0.0
