"""Markets to walk, the kernel folded over them, and the shared figures by their plain formulas.

The references know prices as integers of half points and compute in extended precision: they share no code and no
rounding with the kernels.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest

from broker.types import MINUTE, Float64s, Int64s
from strategy.features import FeatureSet, new_state, observe, on_close

Exact = npt.NDArray[np.longdouble]


@dataclass(frozen=True, slots=True)
class Walk:
    """Bars `[n]`: mid closes in half points, spreads in pips, ends in ns; and the points of a pip."""

    halves: Int64s
    spread: Float64s
    end: Int64s
    points_per_pip: int

    @property
    def close_pips(self) -> Float64s:
        """As the bar kernel hands them over."""
        return self.halves / (2.0 * self.points_per_pip)


@dataclass(frozen=True, slots=True)
class Figures:
    """The shared figures at each close, pips, by the rules' formulas."""

    close: Exact
    change: Exact
    sigma: Exact
    outcome_s: Exact
    spread: Exact


def _steps(market: str, generator: np.random.Generator, bars: int) -> Int64s:
    steps = generator.normal(0.0, 15.0, bars)
    if market == "constant":
        steps[:] = 0.0
    elif market == "ramp":
        steps[:] = 2.0
    elif market == "calm":
        steps = generator.integers(-1, 2, bars) * (generator.random(bars) < 0.1)
    elif market == "spikes":
        spikes = np.where(generator.random(bars) < 0.03, generator.normal(0.0, 1e5, bars), 0.0)
        steps += spikes - np.append(0.0, spikes[:-1])
    elif market == "gaps":
        steps += np.where(generator.random(bars) < 0.02, generator.normal(0.0, 3e3, bars), 0.0)
    return np.rint(steps).astype(np.int64)


# start in half points, points per pip
SCALES = {"euro": (277_352, 10), "yen": (310_000, 10), "gold": (4_000_000, 10), "fine": (27_735_200, 1000)}
SCALES |= {"coarse": (27_735, 1), "huge": (10**11, 10)}


def make_walk(market: str, scale: str, seed: int, bars: int) -> Walk:
    """A market's bars: mostly a minute apart, with gaps over hours and week-ends."""
    generator = np.random.default_rng(seed)
    start, points_per_pip = SCALES[scale]
    minutes = 1 + np.where(generator.random(bars) < 0.05, generator.integers(0, 3000, bars), 0)
    return Walk(
        halves=start + np.cumsum(_steps(market, generator, bars)),
        spread=generator.exponential(1.5, bars) * (generator.random(bars) < 0.9),
        end=(generator.integers(0, 33_000_000) + np.cumsum(minutes)) * MINUTE,
        points_per_pip=points_per_pip,
    )


def fold_walk(walk: Walk, features: FeatureSet) -> tuple[Float64s, Float64s]:
    """The state's head and the row (flat) after each bar: `[n, state]` and `[n, size]`."""
    state = new_state(features.kind)
    states, rows = np.empty((len(walk.end), len(state))), np.empty((len(walk.end), features.size))
    for i, (close, spread, end) in enumerate(zip(walk.close_pips, walk.spread, walk.end, strict=True)):
        on_close(features.kind, state, close, spread, 1.0 / walk.points_per_pip, end)
        observe(features.kind, state, rows[i], 0, 1.0, 2.0, 3.0, 4.0, 5)
        states[i] = state
    return states, rows


def plain_ema(values: Exact, period: int) -> Exact:
    """EMA with alpha = 2/(n+1), started at the first value."""
    alpha = np.longdouble(2) / (period + 1)
    out = values.copy()
    for i in range(1, len(values)):
        out[i] = alpha * values[i] + (1 - alpha) * out[i - 1]
    return out


def plain_figures(walk: Walk) -> Figures:
    """Every shared figure of the rules, batch."""
    point = np.longdouble(1) / walk.points_per_pip
    close = walk.halves * point / 2
    change = np.diff(walk.halves) * point / 2
    root = np.sqrt(plain_ema(change**2, 512)) if len(change) else change
    outcome_s = [change[max(0, t - 20) : t].std() if t else np.longdouble(0) for t in range(len(close))]
    return Figures(
        close=close,
        change=np.append(np.longdouble(0), change),
        sigma=np.maximum(np.append(np.longdouble(0), root), point / 10),
        outcome_s=np.array(outcome_s, np.longdouble),
        spread=np.maximum(walk.spread.astype(np.longdouble), point),
    )


@pytest.fixture(scope="session")
def walk() -> Callable[[str, str, int, int], Walk]:
    """Makes a market's bars."""
    return make_walk


@pytest.fixture(scope="session")
def fold() -> Callable[[Walk, FeatureSet], tuple[Float64s, Float64s]]:
    """Folds the kernels over a market's bars."""
    return fold_walk


@pytest.fixture(scope="session")
def figures() -> Callable[[Walk], Figures]:
    """The shared figures by their plain formulas."""
    return plain_figures


@pytest.fixture(scope="session")
def ema() -> Callable[[Exact, int], Exact]:
    """The plain exponential average."""
    return plain_ema


@pytest.fixture(scope="session")
def agree() -> Callable[[Float64s, Exact | Float64s], None]:
    """Holds two arrays together within 1e-9, relative where a figure is large."""

    def hold(got: Float64s, want: Exact | Float64s) -> None:
        error = np.abs(got - want) / np.maximum(1.0, np.abs(want))
        assert error.max() <= 1e-9, f"off by {error.max()} at {np.unravel_index(error.argmax(), error.shape)}"

    return hold
