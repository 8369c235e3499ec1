"""One decision explained: what was known, what the search found, what was chosen, and what came of it."""

import csv
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from broker.errors import BadInput
from daemon.report.recording import Recording, TradeRow, read_recording
from daemon.runfiles import ORDERS

ACTIONS = ("HOLD", "BUY", "SELL", "CLOSE")
SIDES = {-1: "short", 0: "flat", 1: "long"}
MEANINGS = {
    "illegal": "the action is not open to a position of this side",
    "daily_loss": "the day's loss reached [risk] max_daily_loss",
    "drawdown": "the loss from the peak of equity reached [risk] max_drawdown",
    "weekend": "the week is about to end ([risk] flatten_before_weekend)",
    "hours": "it was outside of [risk] hours",
    "news": "news were due ([risk] news_file)",
    "stale": "the last quote was older than [risk] max_quote_age_s",
    "spread": "the spread was wider than [risk] max_spread_pips",
    "size": "the size came to less than one unit",
    "no_rate": "no rate is known into the account's currency, and a limit is set in it",
    "exposure": "all positions together would be worth more than [risk] max_exposure",
    "order_rate": "[risk] max_orders_per_minute was reached",
}
"""What a veto's name means."""


def explain(folder: Path, seq: int) -> dict[str, Any]:
    """The document of `micro-trader explain`.

    Raises:
        BadInput: the folder holds no finished run, or the run no such decision.
    """
    run = read_recording(folder)
    decision, until = _found(run, seq)
    return {
        **{key: decision[key] for key in ("seq", "time", "instrument", "bid", "ask", "model")},
        "held": SIDES[decision["position"]],
        "action": decision["action"],
        "wanted": SIDES[decision["target"]],
        "why": _why(decision),
        "value": decision["value"],
        "outcome": dict(zip(("up", "neutral", "down"), decision["outcome"] or (), strict=False)) or None,
        "search": _evidence(decision),
        "orders": _orders(folder, decision),
        "trades": [_trade(trade) for trade in run.trades if _concerns(trade, decision, until)],
    }


def _found(run: Recording, seq: int) -> tuple[dict[str, Any], float]:
    """The decision, and the time (ns) of the next one on its instrument."""
    decision: dict[str, Any] | None = None
    for seen in run.decisions():
        if decision is not None and seen["instrument"] == decision["instrument"]:
            return decision, seen["ns"]
        if seen["seq"] == seq:
            decision = seen
    if decision is None:
        known = f"the run has {run.summary['decisions']}, counted from 0"
        raise BadInput(f"there is no decision {seq}", where=str(run.folder), mend=known)
    return decision, math.inf


def _why(decision: Mapping[str, Any]) -> str:
    action, veto = decision["action"], decision["veto"]
    if veto:
        return f"{action} was vetoed ({veto}): {MEANINGS[veto]}" if veto in MEANINGS else f"{action} was vetoed: {veto}"
    if decision["policy"] is None:
        return "the strategy does not search: it says no more than its action"
    share = decision["policy"][ACTIONS.index(action)]
    return f"{action} has {share:.1%} of the improved policy: the prior, weighed with what the search found"


def _evidence(decision: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row for each action; none without search."""
    if decision["policy"] is None:
        return []
    columns = ("legal", "policy", "visits", "q")
    return [
        {"action": action} | {name: decision[name][place] for name in columns} for place, action in enumerate(ACTIONS)
    ]


def _orders(folder: Path, decision: Mapping[str, Any]) -> list[dict[str, str]]:
    """The orders that left at the decision."""
    try:
        with (folder / ORDERS).open(encoding="utf-8", newline="") as rows:
            same = ("time", "instrument")
            return [row for row in csv.DictReader(rows) if all(row[key] == decision[key] for key in same)]
    except (OSError, KeyError) as error:
        raise BadInput("can't be read", where=str(folder / ORDERS)) from error


def _concerns(trade: TradeRow, decision: Mapping[str, Any], until: float) -> bool:
    """Whether the trade was open at the decision, or was opened by an order of it."""
    open_then = trade.open_time < until and trade.close_time >= decision["ns"]
    return trade.instrument == decision["instrument"] and open_then


def _trade(trade: TradeRow) -> dict[str, Any]:
    return {
        "side": SIDES[trade.side],
        "units": trade.units,
        "open_price": trade.open_price,
        "close_price": trade.close_price,
        "pips": trade.pips,
        "bars": trade.bars,
        "exit_reason": trade.exit_reason,
    }
