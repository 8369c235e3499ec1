"""Choosing edges: PUCT, Gumbel with sequential halving, and the market's outcomes.

Formulas: Schrittwieser et al. 2020 (MuZero), Danihelka et al. 2022 (Gumbel MuZero), Antonoglou et al. 2022
(Stochastic MuZero), as the reference search `mctx` computes them.
"""

import numpy as np
from numba import njit

from strategy.search_tree import ROOT, TINY, UNVISITED, Float64s, Ints, Rules, Tree

WORST = -1e9
"""Floor of a considered root action's score, so that it stays above every action that is not considered."""


def halving_schedule(rules: Rules) -> Ints:
    """Sequential halving: `[actions + 1, simulations] int64`, the visits that an action must have to be looked at.

    Row m is for m considered actions: at simulation t only root edges with `schedule[m, t]` visits compete.
    """
    schedule = np.zeros((rules.actions + 1, rules.simulations), np.int64)
    for m in range(rules.actions + 1):
        schedule[m] = _considered_visits(m, rules.simulations)
    return schedule


def _considered_visits(considered: int, simulations: int) -> list[int]:
    """One row of the schedule.

    >>> _considered_visits(4, 8)
    [0, 0, 0, 0, 1, 1, 2, 2]
    """
    if considered <= 1:
        return list(range(simulations))
    rounds = (considered - 1).bit_length()
    visits, sequence, left = [0] * considered, list[int](), considered
    while len(sequence) < simulations:
        for _ in range(max(1, simulations // (rounds * left))):
            sequence += visits[:left]
            visits[:left] = [v + 1 for v in visits[:left]]
        left = max(2, left // 2)
    return sequence[:simulations]


@njit(cache=True, nogil=True, error_model="numpy")
def select(tree: Tree, rules: Rules, schedule: Ints, b: int, t: int) -> tuple[int, int]:
    """Walk tree b at simulation t (from 0) to the edge to evaluate: its parent and its number."""
    node = ROOT
    for depth in range(1, rules.depth_max + 1):
        if tree.nodes[b, node].after:
            edge = _likeliest_outcome(tree, rules, b, node)
        elif not rules.gumbel:
            edge = _puct(tree, rules, b, node)
        elif node == ROOT:
            edge = _halving(tree, rules, schedule, b, t)
        else:
            edge = _gumbel_interior(tree, rules, b, node)
        child = tree.edges[b, node, edge].child
        if child == UNVISITED or depth == rules.depth_max:
            return node, edge
        node = child
    return node, 0


@njit(cache=True, nogil=True, error_model="numpy")
def edge_visits(tree: Tree, b: int, node: int, edge: int) -> int:
    """Visits of an edge."""
    child = tree.edges[b, node, edge].child
    return 0 if child == UNVISITED else int(tree.nodes[b, child].visits)


@njit(cache=True, nogil=True, error_model="numpy")
def edge_value(tree: Tree, b: int, node: int, edge: int) -> float:
    """Value of a visited edge: reward + discount * value of the child."""
    child = tree.edges[b, node, edge].child
    return float(tree.nodes[b, child].reward + tree.nodes[b, child].discount * tree.nodes[b, child].value)


@njit(cache=True, nogil=True, error_model="numpy")
def _likeliest_outcome(tree: Tree, rules: Rules, b: int, node: int) -> int:
    """The outcome most behind its probability: deterministic, and visits follow the probabilities."""
    best, best_score = 0, -np.inf
    for k in range(rules.outcomes):
        score = tree.edges[b, node, k].prior / (edge_visits(tree, b, node, k) + 1)
        if score > best_score:
            best, best_score = k, score
    return best


@njit(cache=True, nogil=True, error_model="numpy")
def _puct(tree: Tree, rules: Rules, b: int, node: int) -> int:
    """MuZero's PUCT over the legal actions, values rescaled by the node's and its children's range."""
    low = high = tree.nodes[b, node].value
    for k in range(rules.actions):
        if tree.edges[b, node, k].child != UNVISITED:
            q = edge_value(tree, b, node, k)
            low, high = min(low, q), max(high, q)
    span = max(high - low, rules.epsilon)
    visits = tree.nodes[b, node].visits
    rate = np.sqrt(visits) * (rules.puct_init + np.log((visits + rules.puct_base + 1.0) / rules.puct_base))
    best, best_score = -1, -np.inf
    for k in range(rules.actions):
        if tree.edges[b, node, k].legal:
            score = rate * tree.edges[b, node, k].prior / (edge_visits(tree, b, node, k) + 1)
            if tree.edges[b, node, k].child != UNVISITED:
                score += (edge_value(tree, b, node, k) - low) / span
            if best < 0 or score > best_score:
                best, best_score = k, score
    return best


@njit(cache=True, nogil=True, error_model="numpy")
def _complete_values(tree: Tree, rules: Rules, b: int, node: int) -> None:
    """Transformed values of all actions, unvisited ones completed by the mixed value, into the edges' scores."""
    total, most, weight, weighted = 0, 0, 0.0, 0.0
    for k in range(rules.actions):
        visits = edge_visits(tree, b, node, k)
        if visits > 0:
            total, most = total + visits, max(most, visits)
            prior = max(tree.edges[b, node, k].prior, TINY)
            weight += prior
            weighted += prior * edge_value(tree, b, node, k)
    raw = tree.nodes[b, node].raw
    filler = (raw + total * (weighted / weight)) / (1 + total) if rules.mixed and total > 0 else raw
    low, high = np.inf, -np.inf
    for k in range(rules.actions):
        edge = tree.edges[b, node, k]
        edge.score = edge_value(tree, b, node, k) if edge.child != UNVISITED else filler
        low, high = min(low, edge.score), max(high, edge.score)
    span = max(high - low, rules.epsilon)
    scale = (rules.visits_init + most) * rules.value_scale
    for k in range(rules.actions):
        edge = tree.edges[b, node, k]
        edge.score = scale * ((edge.score - low) / span if rules.rescale else edge.score)


@njit(cache=True, nogil=True, error_model="numpy")
def improve_policy(tree: Tree, rules: Rules, b: int, node: int) -> None:
    """softmax(logits + transformed completed values) into the edges' scores: exactly 0 where illegal."""
    _complete_values(tree, rules, b, node)
    top = -np.inf
    for k in range(rules.actions):
        edge = tree.edges[b, node, k]
        edge.score += edge.logit
        if edge.legal:
            top = max(top, edge.score)
    weight = 0.0
    for k in range(rules.actions):
        edge = tree.edges[b, node, k]
        edge.score = np.exp(edge.score - top) if edge.legal else 0.0
        weight += edge.score
    for k in range(rules.actions):
        tree.edges[b, node, k].score /= weight


@njit(cache=True, nogil=True, error_model="numpy")
def _gumbel_interior(tree: Tree, rules: Rules, b: int, node: int) -> int:
    """The action whose share of visits is most behind the improved policy."""
    improve_policy(tree, rules, b, node)
    total = 0
    for k in range(rules.actions):
        total += edge_visits(tree, b, node, k)
    best, best_score = -1, -np.inf
    for k in range(rules.actions):
        edge = tree.edges[b, node, k]
        score = edge.score - edge_visits(tree, b, node, k) / (1.0 + total)
        if edge.legal and (best < 0 or score > best_score):
            best, best_score = k, score
    return best


@njit(cache=True, nogil=True, error_model="numpy")
def _halving(tree: Tree, rules: Rules, schedule: Ints, b: int, t: int) -> int:
    """The root action of simulation t: the best among those with the scheduled number of visits."""
    legal = 0
    for k in range(rules.actions):
        legal += tree.edges[b, ROOT, k].legal
    return best_with_visits(tree, rules, b, schedule[min(rules.considered_max, legal), t])


@njit(cache=True, nogil=True, error_model="numpy")
def best_with_visits(tree: Tree, rules: Rules, b: int, visits: int) -> int:
    """The legal root action with the largest `noise + logit + transformed value` among those with so many visits."""
    _complete_values(tree, rules, b, ROOT)
    top = -np.inf
    for k in range(rules.actions):
        top = max(top, tree.edges[b, ROOT, k].logit)
    best, best_score = -1, -np.inf
    for k in range(rules.actions):
        edge = tree.edges[b, ROOT, k]
        if edge.legal:
            score = -np.inf
            if edge_visits(tree, b, ROOT, k) == visits:
                score = max(WORST, edge.noise + (edge.logit - top) + edge.score)
            if best < 0 or score > best_score:
                best, best_score = k, score
    return best


@njit(cache=True, nogil=True, error_model="numpy")
def summarise(tree: Tree, rules: Rules, b: int, visits: Ints, q: Float64s, policy: Float64s) -> int:
    """What tree b found at its root.

    Args:
        visits, q, policy: `[A]`, filled: visits; values, NaN where never visited; the improved policy (Gumbel) or the
            shares of visits (PUCT).

    Returns:
        The searched action: with most visits; among equals by Gumbel's score, else the first.
    """
    total, most, first = 0, -1, 0
    for k in range(rules.actions):
        visits[k] = edge_visits(tree, b, ROOT, k)
        q[k] = edge_value(tree, b, ROOT, k) if visits[k] > 0 else np.nan
        total += visits[k]
        if tree.edges[b, ROOT, k].legal and visits[k] > most:
            most, first = visits[k], k
    if rules.gumbel:
        improve_policy(tree, rules, b, ROOT)
        for k in range(rules.actions):
            policy[k] = tree.edges[b, ROOT, k].score
        return best_with_visits(tree, rules, b, visits[first])
    for k in range(rules.actions):
        policy[k] = visits[k] / total
    return first
