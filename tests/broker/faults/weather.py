"""What may go wrong next: orders to the emulator's control plane, drawn from a seed."""

from random import Random
from typing import Any

Json = dict[str, Any]
ANSWERS = ("lost", "lost", "unsent", "late", "garbled", "limited", "unavailable", "html")
LINES = ("duplicate", "half_line", "backwards", "cut_pricing", "cut_transactions")
SILENCES = ("stall_pricing", "stall_transactions")
CALM: tuple[str, Json] = ("faults", {"clear": True})


def gust(dice: Random, unit: float = 1.0) -> tuple[str, Json]:
    """The operation of the control plane, and its body.

    Args:
        unit: what a second is scaled to.
    """
    match dice.randrange(13):
        case 0 | 1 | 2:
            late = dice.choice([1.0, 4.0, 14.0]) * unit
            return "faults", {"next": {dice.choice(ANSWERS): dice.randrange(1, 4)}, "late_s": late}
        case 3:
            spell = {name: dice.uniform(0.05, 0.4) for name in dice.sample(ANSWERS[1:], 3)}
            return "faults", {"clear": True, **spell, "late_s": dice.uniform(0.5, 12.0) * unit}
        case 4 | 5:
            return "faults", {"next": {dice.choice(LINES): dice.randrange(1, 3)}, "backwards_s": 3.0 * unit}
        case 6:
            return "faults", {"next": {dice.choice(SILENCES): 1}}
        case 7:
            return "faults", {"read_lag_s": dice.choice([0.0, 0.5, 3.0]) * unit}
        case 8:
            return "faults", {"next": {"refuse": 1}, "refuse_s": dice.uniform(1.0, 8.0) * unit}
        case 9:
            return "faults", {"revoked": dice.choice([0.0, 1.0])}
        case 10:
            return "halt", {"instrument": "EUR_USD", "halted": dice.choice([True, False, False])}
    return CALM
