"""Stochastic MuZero search with the networks: B trees in lock-step, one matrix product a layer for leaves of a kind.

A simulation of all trees is: select in each, evaluate all leaves together, expand and back up in each. One search
is a batch of one: the same code, and (see `network_tile`) the same bits.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit

from strategy.network import FIRST, advance, after, copy_row, policy, represent, value
from strategy.network_layout import Network, Work, workspace
from strategy.network_tile import Float32s
from strategy.search_select import halving_schedule, select, summarise
from strategy.search_tree import (
    ROOT,
    UNVISITED,
    Bools,
    Float64s,
    Ints,
    Rules,
    Tree,
    backup,
    expand,
    new_tree,
    plant,
)


class Roots(NamedTuple):
    """What is asked: the situation of each of the B searches.

    Attributes:
        side: `[B] int64`, position held or on its way. legal: `[B, A] bool`.
        noise: `[B, A] float64`: scaled Gumbel noise, or Dirichlet noise over the legal actions; zeros for none.
    """

    side: Ints
    legal: Bools
    noise: Float64s


class Results(NamedTuple):
    """What was found; each array is overwritten by the next search.

    Attributes:
        action: `[B] int64`, the searched action (`summarise`). best: `[B] int64`, the most probable of `policy`.
        visits: `[B, A] int64`. q: `[B, A] float64`, NaN where never visited.
        policy: `[B, A] float64`, the improved policy (Gumbel) or the shares of visits; 0 where illegal.
        value: `[B] float64`, of the root. outcome: `[B, C] float64`, probabilities after `best`.
    """

    action: Ints
    best: Ints
    visits: Ints
    q: Float64s
    policy: Float64s
    value: Float64s
    outcome: Float64s


class Leaves(NamedTuple):
    """Where each tree stopped in this simulation.

    Attributes:
        hidden: `[B, N, H] float32`, of every node. parent, edge: `[B] int64`, the edge to evaluate.
        row: `[B] int64`, its row of the workspace: afterstates first.
    """

    hidden: Float32s
    parent: Ints
    edge: Ints
    row: Ints


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _gather(tree: Tree, rules: Rules, schedule: Ints, leaves: Leaves, work: Work, t: int) -> int:
    """Walk every tree to its leaf and line the leaves up in the workspace; the number of afterstates."""
    batch = len(leaves.row)
    afterstates = 0
    for b in range(batch):
        leaves.parent[b], leaves.edge[b] = select(tree, rules, schedule, b, t)
        if not tree.nodes[b, leaves.parent[b]].after:
            leaves.row[b] = afterstates
            afterstates += 1
    states = afterstates
    for b in range(batch):
        if tree.nodes[b, leaves.parent[b]].after:
            leaves.row[b] = states
            states += 1
        copy_row(leaves.hidden[b, leaves.parent[b]], work.given[leaves.row[b]])
        work.code[leaves.row[b]] = leaves.edge[b]
    return afterstates


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _evaluate(network: Network, work: Work, afterstates: int, batch: int) -> None:
    """The networks' answers: rows before `afterstates` are afterstates, the others states."""
    if afterstates > 0:
        after(network, work, FIRST, afterstates)
    if afterstates < batch:
        advance(network, work, afterstates, batch)
        policy(network, work, afterstates, batch)
    value(network, work, FIRST, batch)


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _grow(tree: Tree, rules: Rules, leaves: Leaves, work: Work, t: int) -> None:
    """Hang the evaluated leaves into their trees and back them up."""
    for b in range(len(leaves.row)):
        row = leaves.row[b]
        into_state = tree.nodes[b, leaves.parent[b]].after
        reward = float(work.reward[row, 0]) if into_state else 0.0
        discount = rules.discount if into_state else 1.0
        node = expand(
            tree, rules, b, t + 1, leaves.parent[b], leaves.edge[b], work.logits[row], work.value[row], reward, discount
        )
        copy_row(work.hidden[row], leaves.hidden[b, node])
        backup(tree, b, node)


@njit(cache=True, nogil=True, error_model="numpy")
def _outcomes(network: Network, work: Work, tree: Tree, leaves: Leaves, b: int, action: int, out: Float64s) -> None:
    """Probabilities of the market's outcomes after a root action, evaluated now if the search never took it."""
    child = tree.edges[b, ROOT, action].child
    if child != UNVISITED:
        for k in range(network.outcomes):
            out[k] = tree.edges[b, child, k].prior
        return
    copy_row(leaves.hidden[b, ROOT], work.given[0])
    work.code[0] = action
    after(network, work, FIRST, FIRST + 1)
    top, total = work.logits[0, 0], 0.0
    for k in range(network.outcomes):
        top = max(top, work.logits[0, k])
    for k in range(network.outcomes):
        out[k] = np.exp(float(work.logits[0, k] - top))
        total += out[k]
    for k in range(network.outcomes):
        out[k] /= total


@njit(cache=True, nogil=True, error_model="numpy")
def run(
    network: Network, work: Work, rules: Rules, schedule: Ints, tree: Tree, leaves: Leaves, roots: Roots,
    results: Results, observed: bool,
) -> None:  # fmt: skip
    """Search all trees from `work.features`, or, where not `observed`, from the states in `work.hidden`."""
    batch = len(roots.side)
    if observed:
        represent(network, work, batch)
    policy(network, work, FIRST, batch)
    value(network, work, FIRST, batch)
    for b in range(batch):
        copy_row(work.hidden[b], leaves.hidden[b, ROOT])
        plant(tree, rules, b, roots.side[b], roots.legal[b], work.logits[b], work.value[b], roots.noise[b])
    for t in range(rules.simulations):
        afterstates = _gather(tree, rules, schedule, leaves, work, t)
        _evaluate(network, work, afterstates, batch)
        _grow(tree, rules, leaves, work, t)
    for b in range(batch):
        results.action[b] = summarise(tree, rules, b, results.visits[b], results.q[b], results.policy[b])
        results.best[b] = np.argmax(results.policy[b])
        results.value[b] = tree.nodes[b, ROOT].value
        _outcomes(network, work, tree, leaves, b, results.best[b], results.outcome[b])


@dataclass(frozen=True, slots=True)
class Search:
    """Room for B searches with one network: fill `work.features` and `roots`, call `run`, read `results`."""

    network: Network
    rules: Rules
    work: Work
    tree: Tree
    roots: Roots
    results: Results
    schedule: Ints
    leaves: Leaves

    def run(self, *, observed: bool = True) -> Results:
        """Search.

        Args:
            observed: start from `work.features`; else from the states in `work.hidden`.

        Returns:
            `results`, overwritten. `tree.nodes[b, ROOT].broken` tells that a network's answer was not finite.
        """
        run(
            self.network, self.work, self.rules, self.schedule, self.tree, self.leaves, self.roots, self.results,
            observed,
        )  # fmt: skip
        return self.results


def new_search(network: Network, rules: Rules, batch: int = 1) -> Search:
    """Room for `batch` searches in lock-step.

    Raises:
        ValueError: the rules' actions or outcomes are not the network's, or the tree has no chance nodes.
    """
    if not rules.stochastic or (rules.actions, rules.outcomes) != (network.actions, network.outcomes):
        raise ValueError("the network searches a stochastic tree of its own actions and outcomes")
    actions, width = rules.actions, (batch, rules.actions)
    roots = Roots(np.zeros(batch, np.int64), np.ones((batch, actions), np.bool_), np.zeros(width))
    results = Results(
        np.zeros(batch, np.int64), np.zeros(batch, np.int64), np.zeros(width, np.int64), np.zeros(width),
        np.zeros(width), np.zeros(batch), np.zeros((batch, rules.outcomes)),
    )  # fmt: skip
    leaves = Leaves(
        np.zeros((batch, rules.simulations + 1, network.hidden), np.float32),
        np.zeros(batch, np.int64), np.zeros(batch, np.int64), np.zeros(batch, np.int64),
    )  # fmt: skip
    return Search(
        network, rules, workspace(network, batch), new_tree(rules, batch), roots, results,
        halving_schedule(rules), leaves,
    )  # fmt: skip
