"""What the best policy earns on a synthetic market: exact average-reward dynamic programming on what prices tell.

A policy that sees prices only needs one figure, the statistic. On a mean-reverting market it is the estimate of the
fast part (the Kalman filter in its steady state), on `regime` the log-odds that the drift points up (the filter of a
two-state hidden Markov chain). Both follow a Markov chain of their own, which is cut into cells; relative value
iteration over cell and position held gives the policy (Puterman, Markov Decision Processes, 8.5). A decision at the
close of bar t takes a target position -1, 0 or 1, which earns `position * change - spread / 2 * |change of position|`.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from broker.ticks.synth import Plan, mid_path
from broker.types import Float64s

Int64s = npt.NDArray[np.int64]

CELLS = 401
POSITIONS = (-1, 0, 1)
REACH = 5.0
"""Standard deviations of the statistic of a mean-reverting market that the cells span."""
PRECISION_PIPS = 1e-9
"""Of the gain of a bar, at which the iteration ends."""
ITERATIONS_MOST = 100_000


@dataclass(frozen=True, slots=True)
class Chain:
    """A market's statistic, cut into cells.

    Attributes:
        edges: `[n - 1] float64` between the cells. move: `[n] float64`, pips that the next bar is expected to bring.
        transition: `[n, n] float64`, rows sum to 1.
    """

    edges: Float64s
    move: Float64s
    transition: Float64s


def best_pips(plan: Plan, first: int, last: int) -> float | None:
    """Pips that the optimal policy earns on the plan's own path with its decisions at bar closes `first` to `last`.

    Args:
        first: counted from 0, the path's start; decision t knows the mids up to t and earns the move to t + 1.
        last: not included; at most the plan's bars.

    Returns:
        Pips of all these bars, from flat to flat; None where a parameter is 0, which the statistic does not cover.

    Raises:
        BadInput: the plan makes no sense.
    """
    figures = plan.parameters()
    if any(value == 0.0 for name, value in figures.items() if name != "spread"):
        return None
    assert 0 <= first <= last <= plan.bars
    mid, half_spread = mid_path(plan), figures["spread"] / 2
    if first == last or not {"phi", "p"} & figures.keys():
        return 0.0  # a random walk: nothing is to be had
    reverts = "phi" in figures
    chain = _reverting(figures) if reverts else _switching(figures)
    seen = _estimate(mid, figures["phi"], _gain(figures)[0]) if reverts else _log_odds(mid, figures)
    cells = np.searchsorted(chain.edges, seen)
    return float(_follow(mid, cells, policy(chain, half_spread), half_spread, first, last))


def policy(chain: Chain, half_spread: float) -> Int64s:
    """`[3, n]` index into POSITIONS of the best target, by position held and cell."""
    held = np.array(POSITIONS, np.float64)
    cost = half_spread * np.abs(held[:, None] - held[None, :])
    value = choices = np.zeros((len(POSITIONS), len(chain.move)))
    for _ in range(ITERATIONS_MOST):
        worth = held[:, None] * chain.move + value @ chain.transition.T
        choices = worth[None] - cost[:, :, None]
        better = choices.max(1)
        gain = better - value
        if gain.max() - gain.min() < PRECISION_PIPS:
            break
        value = better - better[1, len(chain.move) // 2]
    best: Int64s = choices.argmax(1)
    return best


def _gain(figures: dict[str, float]) -> tuple[float, float]:
    """Steady gain of the filter for the fast part, and the deviation of its innovations, pips.

    The mid is the sum of both parts and seen exactly, so their errors are opposite and one variance v says all. It is
    the positive root of `(1 - phi)^2 v^2 + sm^2 (1 - phi^2) v - sx^2 sm^2 = 0`.
    """
    phi, fast, slow = figures["phi"], figures["sx"] ** 2, figures["sm"] ** 2
    a, b = (1 - phi) ** 2, slow * (1 - phi**2)
    variance = (math.sqrt(b * b + 4 * a * fast * slow) - b) / (2 * a)
    innovation = a * variance + fast + slow
    return (fast - phi * (1 - phi) * variance) / innovation, math.sqrt(innovation)


def _reverting(figures: dict[str, float]) -> Chain:
    """The estimate x' = phi x + noise."""
    phi, (gain, innovation) = figures["phi"], _gain(figures)
    noise = gain * innovation
    reach = REACH * noise / math.sqrt(1 - phi**2)
    cells = np.linspace(-reach, reach, CELLS)
    edges = (cells[1:] + cells[:-1]) / 2
    below = _normal((edges[None, :] - phi * cells[:, None]) / noise)
    return Chain(edges, (phi - 1) * cells, _between(below))


def _switching(figures: dict[str, float]) -> Chain:
    """Log-odds that the drift of the next bar is up; a bar's move shifts them by `2 d move / s^2`, a switch damps them.

    The shift is monotone in the move, so a cell's probability is that of an interval of moves: a difference of normal
    distribution functions for either drift.
    """
    d, s, p = figures["d"], figures["s"], figures["p"]
    limit = math.log((1 - p) / p)
    cells = np.linspace(-limit, limit, CELLS + 2)[1:-1]
    edges = (cells[1:] + cells[:-1]) / 2
    before_switch = np.log((_share(edges) - p) / (1 - p - _share(edges)))
    moves = (before_switch[None, :] - cells[:, None]) * s**2 / (2 * d)
    up = _share(cells)
    below = up[:, None] * _normal((moves - d) / s) + (1 - up)[:, None] * _normal((moves + d) / s)
    return Chain(edges, d * (2 * up - 1), _between(below))


def _between(below: Float64s) -> Float64s:
    """Probabilities of cells `[n, n]` from those of lying below their edges `[n, n - 1]`."""
    ends = np.ones((len(below), 1))
    found: Float64s = np.diff(np.hstack([0 * ends, below, ends]), axis=1)
    return found


def _share(log_odds: Float64s) -> Float64s:
    return np.asarray(1 / (1 + np.exp(-log_odds)), np.float64)


def _normal(x: Float64s) -> Float64s:
    """Standard normal distribution function."""
    flat = [0.5 * math.erfc(-value / math.sqrt(2)) for value in x.ravel().tolist()]
    return np.array(flat, np.float64).reshape(x.shape)


@njit(cache=True, nogil=True, error_model="numpy")
def _estimate(mid: Float64s, phi: float, gain: float) -> Float64s:
    """Estimate of the fast part at every mid; it begins at 0."""
    found: Float64s = np.zeros(len(mid))
    for t in range(1, len(mid)):
        before = found[t - 1]
        found[t] = phi * before + gain * (mid[t] - mid[t - 1] - (phi - 1) * before)
    return found


def _log_odds(mid: Float64s, figures: dict[str, float]) -> Float64s:
    """Log-odds that the drift is up at every mid; they begin at 0."""
    d, s, p = figures["d"], figures["s"], figures["p"]
    return _filtered(np.diff(mid) * (2 * d / s**2), p)


@njit(cache=True, nogil=True, error_model="numpy")
def _filtered(evidence: Float64s, p: float) -> Float64s:
    found: Float64s = np.zeros(len(evidence) + 1)
    for t in range(len(evidence)):
        odds = math.exp(min(max(found[t] + evidence[t], -50.0), 50.0))
        found[t + 1] = math.log((odds * (1 - p) + p) / (odds * p + 1 - p))
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def _follow(mid: Float64s, cells: Int64s, best: Int64s, half_spread: float, first: int, last: int) -> float:
    """Pips of a policy, closed at the end."""
    position, pips = 1, 0.0
    for t in range(first, last):
        target = best[position, cells[t]]
        pips += (target - 1) * (mid[t + 1] - mid[t]) - half_spread * abs(target - position)
        position = target
    return pips - half_spread * abs(position - 1)
