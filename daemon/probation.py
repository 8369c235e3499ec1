"""Probation: a model that has just begun to trade is watched, and one that loses goes.

The first trades of a model decide whether it stays: it is rolled back as soon as its drawdown exceeds a limit, or where
at the end its losses are more than luck. After that the watch goes on: once its recent trades are significantly
negative, it is retired, with or without a successor.
"""

import json
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path

import numpy as np

from broker.errors import BadInput, StorageFault
from daemon.whole import write_whole
from training.bootstrap import interval

WATCHED = 200
"""Trades that the watch looks back on."""
SEED = 20_240_501
"""Of the resamples: the same trades give the same answer."""


class Fate(StrEnum):
    """What becomes of the model that trades."""

    STAYS = ""
    PASSED = "passed"
    ROLLED_BACK = "rolled back"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class Terms:
    """How many trades probation lasts, the largest drawdown in it (pips), and the fewest trades for a retirement."""

    trades: int = 20
    drawdown_pips: float = 0.0
    fewest: int = 30


@dataclass(frozen=True, slots=True)
class Watch:
    """What is known of the model that trades.

    Attributes:
        version: of the model; "" where none is watched. pips: of its trades, the latest WATCHED.
        trades: how many there were. net, peak: of its curve of closed trades, pips.
        probation: whether it still lasts.
    """

    version: str = ""
    pips: tuple[float, ...] = ()
    trades: int = 0
    net: float = 0.0
    peak: float = 0.0
    probation: bool = False

    @classmethod
    def begin(cls, version: str, *, probation: bool = True) -> "Watch":
        """Of a model that has just begun to trade."""
        return cls(version, probation=probation)

    def traded(self, pips: float, terms: Terms) -> tuple["Watch", Fate, str]:
        """After one more trade: what is known then, what becomes of the model, and why."""
        net = self.net + pips
        seen = replace(
            self, pips=(*self.pips, pips)[-WATCHED:], trades=self.trades + 1, net=net, peak=max(self.peak, net)
        )
        fall = seen.peak - net
        if seen.probation and 0 < terms.drawdown_pips < fall:
            why = f"in probation it fell by {fall:.1f} pips, more than {terms.drawdown_pips:g}"
            return seen, Fate.ROLLED_BACK, why
        if seen.probation and seen.trades >= terms.trades:
            if seen.loses():
                return (
                    seen,
                    Fate.ROLLED_BACK,
                    f"in its first {seen.trades} trades it lost {-net:.1f} pips: more than bad luck",
                )
            return replace(seen, probation=False), Fate.PASSED, f"{seen.trades} trades, {net:+.1f} pips"
        if not seen.probation and seen.trades >= terms.fewest and seen.loses():
            last = len(seen.pips)
            return (
                seen,
                Fate.RETIRED,
                f"in its last {last} trades it lost {-sum(seen.pips):.1f} pips: more than bad luck",
            )
        return seen, Fate.STAYS, ""

    def loses(self) -> bool:
        """Whether the 95 % block-bootstrap interval of the mean trade lies below 0."""
        if sum(self.pips) >= 0.0:
            return False
        found = interval(np.array(self.pips), np.random.Generator(np.random.PCG64(SEED)))
        return found is not None and found[1] < 0.0


def read(path: Path) -> Watch:
    """What was known when the daemon ended.

    Raises:
        BadInput: the file is no such record. StorageFault: it can't be read.
    """
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return Watch(**kept | {"pips": tuple(map(float, kept["pips"]))})
    except FileNotFoundError:
        return Watch()
    except OSError as error:
        raise StorageFault(f"can't be read: {error.strerror}", where=str(path)) from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadInput("is no record of a probation", where=str(path), mend="remove it") from error


def write(path: Path, watch: Watch) -> None:
    """Keep what is known, whole or not at all.

    Raises:
        StorageFault: it can't be written.
    """
    try:
        write_whole(path, json.dumps(asdict(watch)))
    except OSError as error:
        raise StorageFault(f"can't be written: {error.strerror}", where=str(path)) from error
