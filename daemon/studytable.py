"""The rows of a study: figures with their intervals, for programs, for people and for a page."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from broker.types import Float64s
from daemon.foldtest import Result
from strategy.model import ABSTAINS, Model
from training.bootstrap import interval
from training.ranking import standing

CANDIDATE, WILLING = "muzero", "muzero-willing"
"""The candidate as it decides, and the same one where it would abstain."""


def row(name: str, bar: str, strategy: str, parts: Sequence[Result], folds: Any, seed: int) -> dict[str, Any]:
    """A set's figures for a strategy, its folds joined.

    Args:
        folds: what `fold_row` said of each. seed: of the bootstrap.
    """
    whole = Result.joined(parts)
    trades, bars = whole.trades, whole.bars
    ranked = standing(trades.tolist())
    quiet = [fold for fold in folds if fold["status"] == ABSTAINS] if strategy == CANDIDATE else []
    return {
        "set": name,
        "bar": bar,
        "strategy": strategy,
        "bars": len(bars),
        "trades": len(trades),
        "pips_per_trade": ranked.avg_pips if len(trades) else None,
        "pips_per_trade_ci95": _interval(trades, seed),
        "pips_per_1000_bars": float(bars.mean() * 1000.0) if len(bars) else 0.0,
        "pips_per_1000_bars_ci95": _interval(bars * 1000.0, seed),
        "in_market": whole.in_market / max(len(bars), 1),
        "win_rate": ranked.win_rate if len(trades) else None,
        "quality_score": ranked.quality_score,
        "folds": len(parts),
        "abstained": len(quiet),
        "rightly_abstained": sum(fold["made_to_trade_pips_per_1000_bars"] <= 0.0 for fold in quiet),
    }


def fold_row(model: Model, played: Result, willing: Result) -> dict[str, Any]:
    """What a fold's candidate is, was seen to earn on held-out data while training, and earned in the test."""
    metrics = model.manifest.get("metrics") or {}
    held = metrics.get("held_out") or {}
    return {
        "model": model.name,
        "status": model.status,
        "looks": metrics.get("looks"),
        "held_out_pips_per_1000_bars": held.get("pips"),
        "held_out_z": held.get("z"),
        "test_bars": len(played.bars),
        "trades": len(played.trades),
        "pips_per_1000_bars": _per_1000(played),
        "made_to_trade_trades": len(willing.trades),
        "made_to_trade_pips_per_1000_bars": _per_1000(willing),
    }


def _per_1000(tested: Result) -> float:
    return float(tested.bars.mean() * 1000.0) if len(tested.bars) else 0.0


def _interval(values: Float64s, seed: int) -> list[float] | None:
    found = interval(values, np.random.default_rng(seed))
    return None if found is None else list(found)


def for_people(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """The rows with each interval beside its figure, everything as short text.

    >>> for_people([row("x", "1m", "hold", [Result(np.empty(0), np.zeros(20), 0)], [], 1)])[0]["pips/1000 bars"]
    '+0.0 [+0.0, +0.0]'
    """
    return [
        {
            "set": found["set"],
            "bar": found["bar"],
            "strategy": found["strategy"],
            "bars": f"{found['bars']:,}",
            "trades": f"{found['trades']:,}",
            "pips/trade": _with_interval(found["pips_per_trade"], found["pips_per_trade_ci95"], 2),
            "pips/1000 bars": _with_interval(found["pips_per_1000_bars"], found["pips_per_1000_bars_ci95"], 1),
            "in market": f"{found['in_market']:.0%}",
            "wins": "-" if found["win_rate"] is None else f"{found['win_rate']:.0%}",
            "score": f"{found['quality_score']:.1f}",
            "abstained": f"{found['abstained']} of {found['folds']}" if found["strategy"] == CANDIDATE else "",
        }
        for found in rows
    ]


def tables(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[dict[str, str]]]:
    """A table for each set, narrow enough for a terminal."""
    shown: dict[str, list[dict[str, str]]] = {}
    for found, line in zip(rows, for_people(rows), strict=True):
        title = f"{found['set']}, {found['bar']}, {found['bars']:,} bars tested"
        shown.setdefault(title, []).append({key: line[key] for key in line if key not in HEADING})
    return shown


HEADING = {"set", "bar", "bars", "score"}


def _with_interval(figure: float | None, ends: Sequence[float] | None, decimals: int) -> str:
    if figure is None:
        return "-"
    text = f"{figure:+.{decimals}f}"
    return f"{text} [{ends[0]:+.{decimals}f}, {ends[1]:+.{decimals}f}]" if ends else text


def markdown(rows: Sequence[Mapping[str, str]]) -> str:
    """A table of rows that have the same keys.

    >>> print(markdown([{"a": "1", "b": "x"}]))
    | a | b |
    |---|---|
    | 1 | x |
    """
    columns = list(rows[0]) if rows else []
    lines = [columns, *([found[column] for column in columns] for found in rows)]
    table = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([table[0], "|" + "---|" * len(columns), *table[1:]])
