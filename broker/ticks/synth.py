"""Synthetic tick files of markets whose best possible result is known.

Units are pips, one bar is a minute. The mid of `ou` markets is a fast mean-reverting part plus a slow random walk; of
`regime` a random walk with a hidden drift that switches its sign; of `mart` a random walk, where the best is not to
trade; `trap` reverts by less than the spread. A bar's quotes lie on a Brownian bridge that ends at the bar's mid, on a
grid of a tenth of a pip, with a fixed spread; there are no weekends. The same plan always gives the same quotes.

Beside a file lies its plan, as JSON with the file's SHA-256: so the best possible result of these very quotes can be
told later (`broker.ticks.optimum`). Without the plan, or with other bytes, the file is one like any other.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from broker.errors import BadInput
from broker.ticks.naming import pair_in
from broker.ticks.rows import QUOTE_COLUMNS, Rows
from broker.ticks.writing import RowWriter, Shape, complete_or_nothing, write_file
from broker.types import MINUTE, SECOND, Float64s

MARKETS: Mapping[str, Mapping[str, float]] = {
    "ou": {"phi": math.exp(-1 / 20), "sx": 1.85, "sm": 0.30, "spread": 1.0},
    "ou_easy": {"phi": math.exp(-1 / 8), "sx": 3.0, "sm": 0.20, "spread": 1.0},
    "regime": {"d": 0.5, "s": 1.0, "p": 0.02, "spread": 1.0},
    "mart": {"s": 1.2, "spread": 1.0},
    "trap": {"phi": math.exp(-1 / 20), "sx": 0.25, "sm": 1.0, "spread": 1.0},
}
"""Parameters by market: `phi` what a bar leaves of a deviation, `sx` its shocks, `sm` those of the slow part, `d`
drift, `s` noise, `p` probability of a switch."""

ENDING = ".plan.json"
START = int(datetime(2020, 1, 6, tzinfo=UTC).timestamp()) * SECOND
_SCALED = ("sx", "sm", "d", "s", "spread")
_BARS_AT_ONCE = 8192
_LAST = 0.999  # of the bar: when its last quote comes
_QUOTE_SEED = 10**6  # the quotes' generator is apart from the path's, so that a path does not depend on ticks_per_bar
_COARSE_PIP = 1e-3  # from here on a price is a yen's: three decimals, around 110


@dataclass(frozen=True, slots=True)
class Plan:
    """What to synthesise.

    Attributes:
        bars: minutes.
        pip: 0.0001, or 0.01 for a pair in yen.
        scale: multiplies volatility, drift and spread.
        params: a market's parameters (see MARKETS) to set, after scaling.
    """

    market: str
    bars: int = 20_000
    seed: int = 0
    ticks_per_bar: int = 6
    pip: float = 1e-4
    scale: float = 1.0
    params: Mapping[str, float] | None = None

    def parameters(self) -> dict[str, float]:
        """The market's parameters as they are used.

        Raises:
            BadInput: no such market or parameter, or a figure that makes no sense.
        """
        if self.market not in MARKETS:
            raise BadInput(f"no market {self.market!r}", mend=f"there are {', '.join(MARKETS)}")
        for flag, count in (("--bars", self.bars), ("--ticks-per-bar", self.ticks_per_bar)):
            if not 1 <= count <= 10**9:
                raise BadInput(f"{count} is out of range", where=flag, mend="give a positive number")
        if not (0 < self.scale < 1e6 and 1e-6 < self.pip < 10 and 0 <= self.seed < 1 << 63):
            raise BadInput("a scale, pip or seed that makes no sense", where="--scale, --pip, --seed")
        usual = MARKETS[self.market]
        values = {name: value * self.scale if name in _SCALED else value for name, value in usual.items()}
        for name, value in (self.params or {}).items():
            if name not in usual:
                raise BadInput(
                    f"{self.market} has no parameter {name!r}", where="--param", mend=f"it has {', '.join(usual)}"
                )
            limit = 1.0 if name in ("phi", "p") else 1e6
            if not 0 <= value < limit:
                raise BadInput(f"{name} has to be from 0 to below {limit:g}", where="--param")
            values[name] = value
        return values


@njit(cache=True, nogil=True, error_model="numpy")
def _revert(first: float, shocks: Float64s, phi: float) -> Float64s:
    path: Float64s = np.empty(len(shocks))
    path[0] = first
    for i in range(1, len(shocks)):
        path[i] = phi * path[i - 1] + shocks[i]
    return path


def mid_path(plan: Plan) -> Float64s:
    """Mid at the close of each bar `[bars + 1]`, pips from the start."""
    q, n, generator = plan.parameters(), plan.bars, np.random.default_rng(plan.seed)
    if "phi" in q:
        shocks = generator.normal(0, q["sx"], n + 1)
        first = generator.normal(0, q["sx"] / math.sqrt(1 - q["phi"] ** 2))
        path: Float64s = _revert(first, shocks, q["phi"]) + np.cumsum(np.append(0, generator.normal(0, q["sm"], n)))
        return path
    if "p" in q:
        switches = generator.random(n) < q["p"]
        drift = np.where(generator.random() < 0.5, 1, -1) * np.where(np.cumsum(switches) % 2, -1, 1)
        return np.append(0, np.cumsum(q["d"] * drift + generator.normal(0, q["s"], n)))
    return np.append(0, np.cumsum(generator.normal(0, q["s"], n)))


def quotes(plan: Plan) -> Iterator[Rows]:
    """The quotes, a block of bars at once.

    Raises:
        BadInput: a figure of the plan makes no sense, or the price would fall to zero.
    """
    mid, k, half = mid_path(plan), plan.ticks_per_bar, plan.parameters()["spread"] / 2
    offsets, bridges = (np.random.default_rng(plan.seed + _QUOTE_SEED) for _ in range(2))
    bridges.bit_generator.advance(plan.bars * k)  # type: ignore[attr-defined]  # past the offsets, one draw each
    noise, share = np.std(np.diff(mid)) / math.sqrt(k), np.arange(1, k + 1) / k
    base, decimals = (110.0, 3) if plan.pip >= _COARSE_PIP else (1.1, 5)
    step = max(_BARS_AT_ONCE * 6 // k, 1)
    for start in range(0, plan.bars, step):
        count = min(step, plan.bars - start)
        offset = np.minimum(np.sort(offsets.random((count, k)), 1), _LAST)  # so that times never fall
        offset[:, -1] = _LAST
        walk = np.cumsum(bridges.normal(0, noise, (count, k)), 1)
        opening, closing = mid[start : start + count, None], mid[start + 1 : start + count + 1, None]
        pips = opening * (1 - share) + closing * share + (walk - walk[:, -1:] * share)
        minutes = np.arange(start, start + count)[:, None]
        milliseconds = ((minutes + offset) * 60_000).astype(np.int64).ravel()
        grid = np.round(pips.ravel() * 10) / 10
        points = np.stack([_points(base + (grid + side) * plan.pip, decimals) for side in (-half, half)])
        if points.min() <= 0:
            raise BadInput(
                "the price falls to zero on the way", where="--bars, --scale", mend="make one of them smaller"
            )
        first = start * k + 1
        lines = np.arange(first, first + count * k)
        yield Rows(START + milliseconds * (MINUTE // 60_000), lines, points, np.full(points.shape, decimals, np.uint8))


def _points(prices: Float64s, decimals: int) -> Any:
    """Prices as decimal text would round them: exactly, also where a float lies close to a half."""
    scaled = prices * 10**decimals
    points = np.rint(scaled)
    for i in np.flatnonzero(np.abs(scaled - np.floor(scaled) - 0.5) < 1e-3):
        points[i] = round(float(f"{prices[i]:.{decimals}f}") * 10**decimals)
    return points.astype(np.int64)


def synth(plan: Plan, out: str | Path) -> dict[str, Any]:
    """Write a market's quotes to `out`, in the format of its ending, and its plan; the same plan gives the same bytes.

    Returns:
        `market, instrument, ticks, bars, seed, out`.

    Raises:
        BadInput, StorageFault: as `Plan.parameters` and writing do.
    """
    plan.parameters()
    path = Path(out)
    instrument = pair_in(path.name) or ("USD_JPY" if plan.pip >= _COARSE_PIP else "EUR_USD")

    def write(writer: RowWriter) -> None:
        for rows in quotes(plan):
            writer.write(rows)

    write_file(path, Shape(instrument, QUOTE_COLUMNS, 3), write)
    with path.open("rb") as file, complete_or_nothing(plan_path(path)) as part:
        known = {**asdict(plan), "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
        part.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    ticks = plan.bars * plan.ticks_per_bar
    return {
        "market": plan.market,
        "instrument": instrument,
        "ticks": ticks,
        "bars": plan.bars,
        "seed": plan.seed,
        "out": str(path),
    }


def plan_path(path: Path) -> Path:
    """Where the plan of a tick file lies: beside it."""
    return path.with_name(path.name + ENDING)


def plan_of(path: Path, sha256: str) -> Plan | None:
    """The plan that made a tick file; None where there is none, or it is of other bytes.

    Args:
        sha256: of the file as it lies on the disk, lowercase hex.
    """
    try:
        known = json.loads(plan_path(path).read_bytes())
        if known.pop("sha256") != sha256:
            return None
        plan = Plan(**known)
        plan.parameters()
    except (OSError, ValueError, TypeError, KeyError, AttributeError, BadInput):
        return None
    return plan
