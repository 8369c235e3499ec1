"""How models are ranked: by expectancy, not by Sharpe (rules: Best model)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

NO_TRADES = -1000.0


@dataclass(frozen=True, slots=True)
class Standing:
    """A validation's completed trades in figures.

    Attributes:
        avg_win, avg_loss, avg_pips, expectancy: pips; avg_loss is positive.
        quality_score: what ranks.
    """

    trades: int
    win_rate: float
    avg_win: float
    avg_loss: float
    avg_pips: float
    expectancy: float
    quality_score: float


def standing(pips: Sequence[float]) -> Standing:
    """Figures of completed trades, in pips each; a trade with pips > 0 is a win, every other a loss.

    >>> standing([3.0, -1.0]).quality_score
    7.7
    >>> standing([]).quality_score
    -1000.0
    """
    if not pips:
        return Standing(0, 0.0, 0.0, 0.0, 0.0, 0.0, NO_TRADES)
    trades = len(pips)
    wins = [pip for pip in pips if pip > 0.0]
    losses = [-pip for pip in pips if pip <= 0.0]
    win_rate, mean = len(wins) / trades, math.fsum(pips) / trades
    avg_win = math.fsum(wins) / len(wins) if wins else 0.0
    avg_loss = math.fsum(losses) / len(losses) if losses else 0.0
    expectancy = win_rate * avg_win - (1.0 - win_rate) * avg_loss
    score = expectancy * 5.0 + mean * 0.5 + win_rate * min(trades, 10) * 2.0 + min(trades * 0.1, 1.0)
    return Standing(trades, win_rate, avg_win, avg_loss, mean, expectancy, score)
