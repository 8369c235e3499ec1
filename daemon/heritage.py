"""What outlives a change of instruments, bars or strategy: the operator's word, and what the account won and lost.

States are trees as `Desk.memory` tells them. Of the one before, the new one takes what is not of a lane's bars: flags,
the peak of equity, the day's loss, the limit that was hit, balance, rates, orders of the last minute; and of each
instrument that is still traded the position and the orders in flight. Bars, features and strategies begin anew, and so
does the clock: the features warm up from candles as before a first start.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

Tree = Mapping[str, Any]
OPERATOR = "operator"
CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Heritage:
    """A state for the new desk, and the profit at which paper positions of instruments no longer traded were closed."""

    desk: Tree
    closed: Mapping[str, float]


def inherited(fresh: Tree, known: Tree, kept: Sequence[str], *, same_account: bool, wired: bool) -> Heritage:
    """A fresh desk's state with what outlives the change.

    Args:
        fresh: of the desk as made. known: of the desk before.
        kept: instruments of both, quoted alike.
        same_account: the money is the same; else only the operator's word is taken.
        wired: orders go to an account: it holds what is not traded any more, at the value last marked.
    """
    session, before = fresh["session"], known["session"]
    taken = {name: before[name] for name in ("reducing", "halted")}
    if not same_account:
        risk = {**session["risk"], "barred": _operator(before)}
        return Heritage({**fresh, "state": known["state"], "session": {**session, **taken, "risk": risk}}, {})
    closed = {} if wired else _closed(before, kept)
    profit = sum(closed.values())
    marks = {name: mark for name, mark in before["risk"]["open"].items() if name not in closed}
    risk = {**before["risk"], "barred": _operator(before), "open": marks, "balance": before["risk"]["balance"] + profit}
    lanes = {
        name: _lane(lane, before["lanes"][name]) if name in kept else lane for name, lane in session["lanes"].items()
    }
    taken |= {"risk": risk, "rates": before["rates"], "lanes": lanes}
    if not wired:
        taken["broker"] = _broker(before["broker"], kept, profit)
    return Heritage({**fresh, "state": known["state"], "session": {**session, **taken}}, closed)


def _operator(before: Tree) -> list[Any]:
    """What the operator has barred; others say again what they have to say."""
    return [row for row in before["risk"]["barred"] if row[0] == OPERATOR]


def _closed(before: Tree, kept: Sequence[str]) -> dict[str, float]:
    """Open profit, as last marked, of the positions in instruments that nobody quotes any more."""
    marks = before["risk"]["open"]
    held = (name for name, lane in before["lanes"].items() if lane["position"] and name not in kept)
    return {name: marks[name][0] if name in marks else 0.0 for name in held}


def _lane(fresh: Tree, known: Tree) -> Tree:
    """Its position and orders, and the quote that prevails until the next one; the bar itself is empty."""
    bar = fresh["bar"].copy()
    for name in ("time", "bid", "ask"):
        bar[name] = known["bar"][name]
    return {**fresh, **{name: known[name] for name in ("guard", "orders", "position")}, "bar": bar, "strategy": None}


def _broker(known: Tree, kept: Sequence[str], profit: float) -> Tree:
    """The paper account's money and positions."""
    purse, books = known["purse"], known["books"]
    balance = Decimal(purse["balance"]) + Decimal(profit).quantize(CENT)
    held = {name: purse["held"][name] for name in kept}
    return {"purse": {"balance": str(balance), "held": held}, "books": {name: books[name] for name in kept}}
