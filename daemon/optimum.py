"""What a run earned beside what the best policy would have, where the market is a synthetic one that is known."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from broker.ticks.optimum import best_pips
from broker.ticks.synth import Plan, plan_of

MARKET_BAR = "1m"
"""The step of a synthetic market, and so of its optimal policy's decisions."""
LEAST = 1.0
"""Pips per 1000 bars below which there is nothing to take a share of."""


def known_plan(files: Sequence[Path], inputs: Sequence[Mapping[str, Any]], bar: str) -> Plan | None:
    """The market that a run's one tick file holds, if its best possible result can be told.

    Args:
        inputs: of the files, in the same order, with their `sha256`.
    """
    if len(files) != 1 or bar != MARKET_BAR:
        return None
    return plan_of(files[0], inputs[0]["sha256"])


def optimum_document(plan: Plan | None, decisions: int, net_pips: float) -> dict[str, Any] | None:
    """The summary's `optimum`: pips of the optimal policy over the same decisions, and the share that was earned.

    The last bar of a file never closes, so its decisions are those at the last closes but one. `share` is null where
    the optimum is next to nothing.

    Args:
        decisions: how many the run made. net_pips: what it earned with them.
    """
    if plan is None or decisions == 0:
        return None
    pips = best_pips(plan, plan.bars - decisions, plan.bars)
    if pips is None:
        return None
    per_1000 = pips / decisions * 1000.0
    return {
        "market": plan.market,
        "pips": pips,
        "pips_per_1000_bars": per_1000,
        "share": net_pips / pips if per_1000 >= LEAST else None,
    }
