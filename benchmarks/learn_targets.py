"""Targets taken away: the recipe without what only a recorded market offers, for the ablations.

A path that our orders do not move answers every action from every position, and as often as wanted. `seldom` asks it
less often; `as_played` asks it only for what one run of the policy did, as a learner in a game has to.
"""

from collections.abc import Callable
from itertools import count

import numpy as np
import torch
from numba import njit

from broker.types import Float64s
from training.learner import Learner, represent
from training.lessons import Lessons, softmax
from training.targets import ACTIONS, FLAT, NEXT, POSITIONS, Ints, Prices, reward

Prepare = Callable[[Learner], None]


def seldom(lessons: Lessons, every: int) -> Prepare:
    """Targets are made before every so manieth pass only, from the first on."""
    passes, prepare = count(), lessons.prepare

    def prepared(learner: Learner) -> None:
        if next(passes) % every == 0:
            prepare(learner)

    return prepared


def as_played(lessons: Lessons, seed: int, partners: bool) -> Prepare:
    """Before each pass the policy runs along each tape once; only where it was, what it did has a target of the path.

    All else is its own target: what the averaged networks think. With `partners`, every step of a trade has the whole
    trade's reward as its return (equal partners); else it is the TD(lambda) return of what was done.
    """
    generator, prepare = np.random.Generator(np.random.PCG64(seed)), lessons.prepare

    def prepared(learner: Learner) -> None:
        prepare(learner)
        first = 0
        for tape in lessons.tapes:
            _play(lessons, learner, tape.prices, first, generator.random(len(tape)), partners)
            first += len(tape)

    return prepared


def _play(lessons: Lessons, learner: Learner, prices: Prices, first: int, drawn: Float64s, partners: bool) -> None:
    recipe, n = learner.recipe, len(drawn)
    logits, state = lessons.look(learner, first, first + n)
    position, action = wander(softmax(logits), drawn)
    if partners:
        gain = trades(prices, position, action)
    else:
        gain = lambda_returns(prices, np.vstack([state, state[-1:]]), position, action, recipe.discount, recipe.trace)
    bar, own = np.arange(n), afterstates(lessons, learner, first, first + n)
    told = np.repeat(state[..., None], ACTIONS, axis=-1)
    told[bar, position, action] = gain
    state[bar, position] = gain
    own[bar, position, action] = gain
    span = slice(first, first + n)
    lessons._policy[span] = softmax(logits + recipe.beta * told)
    lessons._state_value[span], lessons._action_value[span] = state, own


def afterstates(lessons: Lessons, learner: Learner, first: int, last: int) -> Float64s:
    """`[n, P, A]`: what the averaged networks think of each action."""
    nets, found = learner.average, np.empty((last - first, POSITIONS, ACTIONS))
    with torch.no_grad():
        hidden = represent(nets, lessons.inputs(np.arange(first, last)))
        for a in range(ACTIONS):
            after = nets.afterstate(hidden, torch.full(hidden.shape[:-1], a))
            found[..., a] = nets.expected_value(nets.value(after)).numpy()
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def wander(policy: Float64s, drawn: Float64s) -> tuple[Ints, Ints]:
    """`[n]` positions and actions of one run from flat; `drawn` `[n]` in [0, 1) picks the actions."""
    n, at = len(drawn), FLAT
    position, action = np.empty(n, np.int64), np.empty(n, np.int64)
    for t in range(n):
        below, a = policy[t, at, 0], 0
        while a < ACTIONS - 1 and below <= drawn[t]:
            a += 1
            below += policy[t, at, a]
        position[t], action[t] = at, a
        at = NEXT[at, a]
    return position, action


@njit(cache=True, nogil=True, error_model="numpy")
def lambda_returns(
    prices: Prices, value: Float64s, position: Ints, action: Ints, discount: float, decay: float
) -> Float64s:
    """`[n]` TD(lambda) returns of what was done; `value` `[n + 1, P]`."""
    n = len(action)
    gain, ahead = np.empty(n), value[n, NEXT[position[n - 1], action[n - 1]]]
    for t in range(n - 1, -1, -1):
        gain[t] = reward(prices, t, position[t], NEXT[position[t], action[t]]) + discount * ahead
        ahead = (1.0 - decay) * value[t, position[t]] + decay * gain[t]
    return gain


@njit(cache=True, nogil=True, error_model="numpy")
def trades(prices: Prices, position: Ints, action: Ints) -> Float64s:
    """`[n]`: for each step of a trade, its entry and its close included, what the trade earned; flat steps 0."""
    n, first, total = len(action), 0, 0.0
    gain = np.zeros(n)
    for t in range(n):
        following = NEXT[position[t], action[t]]
        if position[t] == FLAT:
            first, total = t, 0.0
        total += reward(prices, t, position[t], following)
        if position[t] != FLAT and following == FLAT:
            gain[first : t + 1] = total
    return gain
