"""The search tree: preallocated arrays, and the phases that change them (plant, expand, backup).

A node is a state or an afterstate; node 0 is the root, node i is the one that simulation i (from 1) created. An
edge out of a state is an action, out of an afterstate a market outcome; visits and value of an edge are its child's.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from strategy.network_layout import Float32s

Float64s = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

ROOT, UNVISITED = 0, -1
LOWEST = float(np.finfo(np.float32).min)
"""Logit of an illegal action: softmax makes it exactly 0."""

ALL_LEGAL, ONE_SIDE, REVERSIBLE = 0, 1, 2
"""Legality below the root: no mask; by the position's side; the same with direct reversals."""


class Rules(NamedTuple):
    """How to search. Build with `rules`, which fixes the types that the compiled phases expect.

    Attributes:
        stochastic: actions lead to afterstates, outcomes to states; else actions lead to states.
        gumbel: Gumbel MuZero (sequential halving at the root), else PUCT.
        simulations: model evaluations a search.
        depth_max: edges from the root, of both kinds.
        legality: ALL_LEGAL, ONE_SIDE or REVERSIBLE.
        discount: of a real step: on the edge into a state. An action's edge to an afterstate has reward 0, discount 1.
        epsilon: smallest range when values are rescaled.
        puct_init, puct_base: of the exploration constant.
        dirichlet_share: of the noise in the root's priors (PUCT).
        considered_max: actions that sequential halving starts with.
        value_scale, visits_init, rescale, mixed: the transform of completed action values (Gumbel).
    """

    stochastic: bool
    gumbel: bool
    simulations: int
    depth_max: int
    actions: int
    outcomes: int
    legality: int
    discount: float
    epsilon: float
    puct_init: float
    puct_base: float
    dirichlet_share: float
    considered_max: int
    value_scale: float
    visits_init: float
    rescale: bool
    mixed: bool


def rules(
    *,
    stochastic: bool = True,
    gumbel: bool = True,
    simulations: int = 25,
    depth_max: int | None = None,
    actions: int = 4,
    outcomes: int = 3,
    legality: int = ONE_SIDE,
    discount: float = 0.997,
    epsilon: float = 1e-8,
    puct_init: float = 1.25,
    puct_base: float = 19652.0,
    dirichlet_share: float = 0.0,
    considered_max: int = 16,
    value_scale: float = 0.1,
    visits_init: float = 50.0,
    rescale: bool = False,
    mixed: bool = True,
) -> Rules:
    """Rules with defaults for trading; `depth_max` None means no limit."""
    depth = simulations if depth_max is None else depth_max
    return Rules(
        bool(stochastic), bool(gumbel), int(simulations), int(depth), int(actions), int(outcomes), int(legality),
        float(discount), float(epsilon), float(puct_init), float(puct_base), float(dirichlet_share),
        int(considered_max), float(value_scale), float(visits_init), bool(rescale), bool(mixed),
    )  # fmt: skip


class Tree(NamedTuple):
    """B trees of N = simulations + 1 nodes with up to K edges each.

    Attributes:
        parent, edge: `[B, N] int64`, where a node hangs; -1 at the root and where no node was created.
        visits: `[B, N] int64`. value: `[B, N] float64`, running mean. raw: `[B, N] float64`, the model's estimate.
        reward, discount: `[B, N] float64`, of the edge into the node.
        after: `[B, N] bool`, afterstate. side: `[B, N] int64`, position held there (-1, 0, 1).
        child: `[B, N, K] int64`, UNVISITED where none.
        logits, prior: `[B, N, K] float64`, LOWEST and exactly 0 where illegal. legal: `[B, N, K] bool`.
        noise: `[B, K] float64`, Gumbel noise of the root's actions, scaled.
        broken: `[B] bool`, the model answered something that is not finite.
        scratch: `[B, 2, K] float64`.
    """

    parent: Ints
    edge: Ints
    visits: Ints
    value: Float64s
    raw: Float64s
    reward: Float64s
    discount: Float64s
    after: Bools
    side: Ints
    child: Ints
    logits: Float64s
    prior: Float64s
    legal: Bools
    noise: Float64s
    broken: Bools
    scratch: Float64s


def new_tree(rules: Rules, batch: int = 1) -> Tree:
    """Room for `batch` searches."""
    nodes, width = rules.simulations + 1, max(rules.actions, rules.outcomes)

    def per_node(dtype: type) -> Any:
        return np.zeros((batch, nodes), dtype)

    def per_edge(dtype: type) -> Any:
        return np.zeros((batch, nodes, width), dtype)

    integer, number = np.int64, np.float64
    return Tree(
        per_node(integer), per_node(integer), per_node(integer), per_node(number), per_node(number),
        per_node(number), per_node(number), per_node(np.bool_), per_node(integer), per_edge(integer),
        per_edge(number), per_edge(number), per_edge(np.bool_),
        np.zeros((batch, width)), np.zeros(batch, np.bool_), np.zeros((batch, 2, width)),
    )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def edges_of(tree: Tree, rules: Rules, b: int, node: int) -> int:
    """Edges out of a node."""
    return rules.outcomes if tree.after[b, node] else rules.actions


@njit(cache=True, nogil=True, error_model="numpy")
def side_after(side: int, action: int) -> int:
    """The position after an action: exact, the one part of the dynamics that needs no model."""
    if action == 0:
        return side
    if action == 1:
        return 1
    if action == 2:
        return -1
    return 0


@njit(cache=True, nogil=True, error_model="numpy")
def is_legal(legality: int, side: int, action: int) -> bool:
    """Whether an action is legal from a side (rules: Actions and position)."""
    if legality == ALL_LEGAL or action == 0:
        return True
    if action == 3:
        return side != 0
    wanted = 1 if action == 1 else -1
    return side == 0 or (legality == REVERSIBLE and side == -wanted)


@njit(cache=True, nogil=True, error_model="numpy")
def _estimate(tree: Tree, b: int, node: int, edges: int, logits: Float32s, value: float) -> None:
    """Take in the model's answer about a node whose legal edges are set."""
    total, top = value, LOWEST
    for k in range(edges):
        total += logits[k]
        tree.logits[b, node, k] = logits[k] if tree.legal[b, node, k] else LOWEST
        top = max(top, tree.logits[b, node, k])
    if not np.isfinite(total):
        tree.broken[b] = True
    weight = 0.0
    for k in range(edges):
        tree.prior[b, node, k] = np.exp(tree.logits[b, node, k] - top)
        weight += tree.prior[b, node, k]
    for k in range(edges):
        tree.prior[b, node, k] /= weight
    tree.raw[b, node] = value
    tree.value[b, node] = value
    tree.visits[b, node] += 1


@njit(cache=True, nogil=True, error_model="numpy")
def plant(
    tree: Tree, rules: Rules, b: int, side: int, legal: Bools, logits: Float32s, value: float, noise: Float64s
) -> None:
    """Start tree b anew.

    Args:
        side: position held or on its way.
        legal: `[A]`; at least one action.
        logits, value: the model's answer about the root.
        noise: `[A]`, Gumbel noise already scaled, or Dirichlet noise that sums to 1 over the legal actions.
    """
    tree.parent[b, :] = -1
    tree.edge[b, :] = -1
    tree.visits[b, :] = 0
    tree.broken[b] = False
    tree.child[b, ROOT, :] = UNVISITED
    tree.after[b, ROOT] = False
    tree.side[b, ROOT] = side
    for k in range(rules.actions):
        tree.legal[b, ROOT, k] = legal[k]
        tree.noise[b, k] = noise[k]
    _estimate(tree, b, ROOT, rules.actions, logits, value)
    share = rules.dirichlet_share
    if not rules.gumbel and share > 0.0:
        for k in range(rules.actions):
            if legal[k]:
                tree.prior[b, ROOT, k] = (1.0 - share) * tree.prior[b, ROOT, k] + share * noise[k]
                tree.logits[b, ROOT, k] = np.log(max(tree.prior[b, ROOT, k], 1e-300))


@njit(cache=True, nogil=True, error_model="numpy")
def expand(
    tree: Tree, rules: Rules, b: int, fresh: int, parent: int, edge: int,
    logits: Float32s, value: float, reward: float, discount: float,
) -> int:  # fmt: skip
    """Hang the evaluated edge's child into tree b, or take in a new estimate of the child that is there; the child.

    Args:
        fresh: node to use where there is no child yet (the simulation's number, from 1).
        logits: of the child's own edges (actions of a state, outcomes of an afterstate).
        reward, discount: of the edge; 0 and 1 into an afterstate.
    """
    node = tree.child[b, parent, edge]
    if node == UNVISITED:
        node = fresh
        tree.child[b, parent, edge] = node
        tree.parent[b, node], tree.edge[b, node] = parent, edge
        tree.child[b, node, :] = UNVISITED
        decides = not tree.after[b, parent]
        tree.after[b, node] = rules.stochastic and decides
        tree.side[b, node] = side_after(tree.side[b, parent], edge) if decides else tree.side[b, parent]
        for k in range(edges_of(tree, rules, b, node)):
            tree.legal[b, node, k] = tree.after[b, node] or is_legal(rules.legality, tree.side[b, node], k)
    tree.reward[b, node], tree.discount[b, node] = reward, discount
    if not np.isfinite(reward):
        tree.broken[b] = True
    _estimate(tree, b, node, edges_of(tree, rules, b, node), logits, value)
    return int(node)


@njit(cache=True, nogil=True, error_model="numpy")
def backup(tree: Tree, b: int, node: int) -> None:
    """Carry a leaf's value up to the root: `G = reward + discount * G`, each ancestor's value the mean of its Gs."""
    gain = tree.value[b, node]
    while node != ROOT:
        gain = tree.reward[b, node] + tree.discount[b, node] * gain
        node = tree.parent[b, node]
        visits = tree.visits[b, node]
        tree.value[b, node] = (tree.value[b, node] * visits + gain) / (visits + 1)
        tree.visits[b, node] = visits + 1
