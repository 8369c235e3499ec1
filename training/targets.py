"""What each action was worth on a recorded path, from every position: our orders do not move the price.

One path answers all actions from all positions, so returns need no sampling over actions: they are expectations over
the policy, backwards along the path, with TD(lambda) against the values of the target network (Sutton and Barto,
Reinforcement Learning, 2nd ed., 12.8: tree backup; here with the exact policy on every branch).

Positions are counted 0 short, 1 flat, 2 long; actions as in the rules: HOLD, BUY, SELL, CLOSE.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from broker.types import Float64s
from strategy.search_tree import ONE_SIDE, REVERSIBLE, is_legal, side_after

POSITIONS = 3
FLAT = 1
ACTIONS = 4

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

NEXT: Ints = np.array([[side_after(p - 1, a) + 1 for a in range(ACTIONS)] for p in range(POSITIONS)])
"""`[3, 4]` position after an action."""


def legal_table(allow_reverse: bool) -> Bools:
    """`[3, 4]`: which actions are legal from a position.

    >>> legal_table(False).astype(int).tolist()
    [[1, 0, 0, 1], [1, 1, 1, 0], [1, 0, 0, 1]]
    """
    legality = REVERSIBLE if allow_reverse else ONE_SIDE
    return np.array([[is_legal(legality, p - 1, a) for a in range(ACTIONS)] for p in range(POSITIONS)])


class Prices(NamedTuple):
    """The part of a path that rewards need.

    Attributes:
        change: `[n] float64`, pips that the mid moves until the next decision.
        half_spread: `[n] float64`, pips: what a unit of position change costs.
        sigma: `[n] float64`, pips: the market's deviation at the decision; rewards are counted in it.
    """

    change: Float64s
    half_spread: Float64s
    sigma: Float64s


class Returns(NamedTuple):
    """Targets of a path, in sigma.

    Attributes:
        action: `[n, 3, 4] float64`, return of an action from a position, its reward included.
        state: `[n, 3] float64`, expected over the policy.
    """

    action: Float64s
    state: Float64s


@njit(cache=True, nogil=True, error_model="numpy")
def reward(prices: Prices, t: int, position: int, following: int) -> float:
    """Of bar t -> t + 1 in sigma, for going from `position` to `following` at t: the move less half spreads paid.

    >>> one = np.ones(1)
    >>> reward(Prices(2 * one, 0.5 * one, one), 0, FLAT, 2)
    1.5
    """
    earned = (following - FLAT) * prices.change[t] - prices.half_spread[t] * abs(following - position)
    return float(earned / prices.sigma[t])


@njit(cache=True, nogil=True, error_model="numpy")
def returns(prices: Prices, policy: Float64s, value: Float64s, discount: float, decay: float) -> Returns:
    """TD(lambda) returns of every action from every position.

    Args:
        policy: `[n, 3, 4]`, probabilities that the returns are expected over.
        value: `[n + 1, 3]`, estimates to bootstrap from; the last row is of the situation after the path.
        discount: gamma of a bar; the search's backup uses the same.
        decay: lambda; 1 is the plain return of the path.
    """
    n = len(prices.change)
    action, state = np.empty((n, POSITIONS, ACTIONS)), np.empty((n, POSITIONS))
    ahead = value[n].copy()
    for t in range(n - 1, -1, -1):
        for position in range(POSITIONS):
            expected = 0.0
            for a in range(ACTIONS):
                following = NEXT[position, a]
                gain = reward(prices, t, position, following) + discount * ahead[following]
                action[t, position, a] = gain
                expected += policy[t, position, a] * gain
            state[t, position] = expected
        for position in range(POSITIONS):
            ahead[position] = (1.0 - decay) * value[t, position] + decay * state[t, position]
    return Returns(action, state)


@njit(cache=True, nogil=True, error_model="numpy")
def walk(prices: Prices, choice: Ints) -> tuple[Float64s, Ints]:
    """What always taking the chosen action earns, from flat.

    Args:
        choice: `[n, 3]`, the action from each position.

    Returns:
        `[n] float64` pips of each bar, and `[n] int64` positions held after each decision (-1, 0, 1).
    """
    n = len(choice)
    pips, held = np.empty(n), np.empty(n, np.int64)
    position = FLAT
    for t in range(n):
        following = NEXT[position, choice[t, position]]
        pips[t] = reward(prices, t, position, following) * prices.sigma[t]
        position = following
        held[t] = position - FLAT
    return pips, held
