"""The fault plane: what goes wrong, how often, by a seed.

A fault is a probability per request or line, or a number of next times (`next`). Requests and lines draw in the order
in which they come, so a seed and a sequence of requests give the same faults.
"""

import json
from collections.abc import Mapping
from random import Random
from typing import Any

from broker.errors import BadInput

CHANCES = {
    "lost": "a write is done, but the connection breaks instead of an answer",
    "unsent": "the connection breaks before a write is done",
    "late": "an answer comes `late_s` seconds after the deed",
    "garbled": "an answer ends in the middle of its JSON, as if whole",
    "limited": "429 with Retry-After, nothing done",
    "unavailable": "503 or 504 with JSON, nothing done",
    "html": "502 with a page of HTML, nothing done",
    "duplicate": "a stream's line comes twice",
    "half_line": "a stream ends in the middle of a line",
    "stall_pricing": "a pricing stream goes silent and stays open",
    "stall_transactions": "a transaction stream goes silent and stays open",
    "cut_pricing": "a pricing stream ends",
    "cut_transactions": "a transaction stream ends",
    "backwards": "a price's time is `backwards_s` seconds too early",
    "refuse": "new connections are refused for `refuse_s` seconds from now (drawn at each request)",
}
"""Faults by chance: name and what happens."""

VALUES = {"late_s": 2.0, "read_lag_s": 0.0, "backwards_s": 1.0, "refuse_s": 2.0, "revoked": 0.0}
"""Sizes and standing faults: `read_lag_s` is how long reads miss a new order or trade; `revoked` refuses the token."""


class Faults:
    """The faults in force.

    >>> faults = Faults.parse("seed=7,lost=1.0")
    >>> faults.hits("lost"), faults.hits("late")
    (True, False)
    """

    def __init__(self, settings: Mapping[str, Any] | None = None) -> None:
        self._chances: dict[str, float] = {}
        self._values: dict[str, float] = dict(VALUES)
        self._next: dict[str, int] = {}
        self._seed = 0
        self._random = Random(0)
        self.change(settings or {})

    @classmethod
    def parse(cls, text: str) -> "Faults":
        """From `name=value,...` or a JSON object.

        Raises:
            BadInput: no such fault, or a value out of range.
        """
        try:
            if text.lstrip().startswith("{"):
                return cls(json.loads(text))
            pairs = (pair.split("=", 1) for pair in text.split(",") if pair)
            return cls({name.strip(): float(value) for name, value in pairs})
        except ValueError as error:
            raise BadInput(f"no faults: {error}", where="--faults", mend="like seed=7,lost=0.1,late=0.2") from None

    def change(self, settings: Mapping[str, Any]) -> None:
        """Set faults; those not named stay. `clear` (true) drops all before; `seed` starts the draw anew.

        Raises:
            ValueError: an unknown name or a value out of range; then nothing changes.
        """
        chances, values, following = dict(self._chances), dict(self._values), dict(self._next)
        if settings.get("clear"):
            chances, values, following = {}, dict(VALUES), {}
        for name, value in settings.items():
            if name in ("clear", "seed", "next"):
                continue
            if isinstance(value, bool):
                value = float(value)
            if not isinstance(value, int | float) or not 0 <= value <= (1 if name in CHANCES else 1e6):
                raise ValueError(f"{value!r} is no value of {name}")
            if name not in CHANCES and name not in VALUES:
                raise ValueError(f"no fault {name!r}")
            (chances if name in CHANCES else values)[name] = float(value)
        for name, count in settings.get("next", {}).items():
            if name not in CHANCES or not isinstance(count, int) or count < 0:
                raise ValueError(f"no {count!r} next {name!r}")
            following[name] = count
        if "seed" in settings:
            self._seed = int(settings["seed"])
            self._random = Random(self._seed)
        self._chances, self._values, self._next = chances, values, following

    def hits(self, name: str) -> bool:
        """Whether this fault happens now."""
        if self._next.get(name, 0) > 0:
            self._next[name] -= 1
            return True
        chance = self._chances.get(name, 0.0)
        return chance > 0 and self._random.random() < chance

    def pick(self, choices: tuple[int, ...]) -> int:
        """One of these, drawn by the seed."""
        return self._random.choice(choices)

    def value(self, name: str) -> float:
        """A size or standing fault."""
        return self._values[name]

    def shown(self) -> dict[str, Any]:
        """All that is set."""
        following = {name: count for name, count in self._next.items() if count}
        return {"seed": self._seed, **self._values, **self._chances, "next": following}
