"""The search tree: preallocated arrays, and the phases that change them (plant, expand, backup).

A node is a state or an afterstate; node 0 is the root, node i is the one that simulation i (from 1) created. An
edge out of a state is an action, out of an afterstate a market outcome; visits and value of an edge are its child's.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from strategy.network_tile import Float32s

Float64s = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

ROOT: int = np.int64(0)  # type: ignore[assignment]
"""A numpy integer: a literal would compile every phase once more."""
UNVISITED = -1
LOWEST = float(np.finfo(np.float32).min)
"""Logit of an illegal action: softmax makes it exactly 0."""
TINY = float(np.finfo(np.float32).tiny)

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


NODE = np.dtype(
    [
        ("parent", np.int64), ("edge", np.int64), ("visits", np.int64), ("side", np.int64),
        ("value", np.float64), ("raw", np.float64), ("reward", np.float64), ("discount", np.float64),
        ("after", np.bool_), ("broken", np.bool_),
    ],
    align=True,
)  # fmt: skip
"""A node.

    parent, edge: where it hangs; -1 at the root and where no node was created.
    visits; value: running mean; raw: the model's estimate.
    side: position held there (-1, 0, 1).
    reward, discount: of the edge into it.
    after: it is an afterstate.
    broken: at the root: the model answered something that is not finite, somewhere in the tree.
"""

EDGE = np.dtype(
    [
        ("child", np.int64), ("logit", np.float64), ("prior", np.float64), ("noise", np.float64),
        ("score", np.float64), ("legal", np.bool_),
    ],
    align=True,
)  # fmt: skip
"""An edge out of a node.

    child: UNVISITED where none.
    logit, prior: LOWEST and exactly 0 where illegal.
    noise: Gumbel noise, scaled (of the root's actions).
    score: scratch of the selection.
"""


class Tree(NamedTuple):
    """B trees of N = simulations + 1 nodes with up to K edges each.

    Attributes:
        nodes: `[B, N]` NODE.
        edges: `[B, N, K]` EDGE.
    """

    nodes: npt.NDArray[Any]
    edges: npt.NDArray[Any]


def new_tree(rules: Rules, batch: int = 1) -> Tree:
    """Room for `batch` searches."""
    nodes, width = rules.simulations + 1, max(rules.actions, rules.outcomes)
    return Tree(np.zeros((batch, nodes), NODE), np.zeros((batch, nodes, width), EDGE))


@njit(cache=True, nogil=True, error_model="numpy")
def edges_of(tree: Tree, rules: Rules, b: int, node: int) -> int:
    """Edges out of a node."""
    return rules.outcomes if tree.nodes[b, node].after else rules.actions


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
def _estimate(tree: Tree, b: int, at: int, edges: int, logits: Float32s, value: float) -> None:
    """Take in the model's answer about a node whose legal edges are set."""
    total, top = value, LOWEST
    for k in range(edges):
        edge = tree.edges[b, at, k]
        total += logits[k]
        edge.logit = logits[k] if edge.legal else LOWEST
        top = max(top, edge.logit)
    if not np.isfinite(total):
        tree.nodes[b, ROOT].broken = True
    weight = 0.0
    for k in range(edges):
        edge = tree.edges[b, at, k]
        edge.prior = np.exp(edge.logit - top)
        weight += edge.prior
    for k in range(edges):
        tree.edges[b, at, k].prior /= weight
    node = tree.nodes[b, at]
    node.raw = value
    node.value = value
    node.visits += 1


@njit(cache=True, nogil=True, error_model="numpy")
def _blank(tree: Tree, b: int, at: int) -> None:
    """Take a node's edges out of an earlier search."""
    for k in range(tree.edges.shape[2]):
        edge = tree.edges[b, at, k]
        edge.child = UNVISITED
        edge.noise = 0.0


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
    for at in range(tree.nodes.shape[1]):
        node = tree.nodes[b, at]
        node.parent, node.edge, node.visits = -1, -1, 0
    root = tree.nodes[b, ROOT]
    root.after, root.broken, root.side = False, False, side
    _blank(tree, b, ROOT)
    for k in range(rules.actions):
        edge = tree.edges[b, ROOT, k]
        edge.legal, edge.noise = legal[k], noise[k]
    _estimate(tree, b, ROOT, rules.actions, logits, value)
    share = rules.dirichlet_share
    if not rules.gumbel and share > 0.0:
        for k in range(rules.actions):
            edge = tree.edges[b, ROOT, k]
            if edge.legal:
                edge.prior = (1.0 - share) * edge.prior + share * noise[k]
                edge.logit = np.log(max(edge.prior, TINY))


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
    at = int(tree.edges[b, parent, edge].child)
    if at == UNVISITED:
        at = fresh
        tree.edges[b, parent, edge].child = at
        _attach(tree, rules, b, at, parent, edge)
    node = tree.nodes[b, at]
    node.reward, node.discount = reward, discount
    if not np.isfinite(reward):
        tree.nodes[b, ROOT].broken = True
    _estimate(tree, b, at, edges_of(tree, rules, b, at), logits, value)
    return at


@njit(cache=True, nogil=True, error_model="numpy")
def _attach(tree: Tree, rules: Rules, b: int, at: int, parent: int, edge: int) -> None:
    """A new node below an edge: its kind, its side, its legal edges."""
    above, node = tree.nodes[b, parent], tree.nodes[b, at]
    node.parent, node.edge = parent, edge
    node.after = rules.stochastic and not above.after
    node.side = above.side if above.after else side_after(above.side, edge)
    _blank(tree, b, at)
    for k in range(edges_of(tree, rules, b, at)):
        tree.edges[b, at, k].legal = node.after or is_legal(rules.legality, node.side, k)


@njit(cache=True, nogil=True, error_model="numpy")
def backup(tree: Tree, b: int, at: int) -> None:
    """Carry a leaf's value up to the root: `G = reward + discount * G`, each ancestor's value the mean of its Gs."""
    gain = tree.nodes[b, at].value
    while at != ROOT:
        below = tree.nodes[b, at]
        gain = below.reward + below.discount * gain
        at = below.parent
        node = tree.nodes[b, at]
        node.value = (node.value * node.visits + gain) / (node.visits + 1)
        node.visits += 1
