"""Models that are tables: the compiled phases driven by them, and a plain search to hold the phases to."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from strategy.search_select import halving_schedule, select
from strategy.search_tree import ALL_LEGAL, REVERSIBLE, ROOT, Rules, Tree, backup, expand, plant


@dataclass(frozen=True)
class Tables:
    """`[S, A]` or, in a stochastic model, `[S, A]` afterstates and `[X, C]` steps; as in the golden set."""

    prior_logits: Any
    value: Any
    next_state: Any
    reward: Any
    discount: Any
    afterstate: Any = None
    afterstate_value: Any = None
    chance_logits: Any = None

    def answer(self, row: int, edge: int, after: bool, stochastic: bool) -> tuple[int, tuple[Any, float, float, float]]:
        """The child's row, and its logits, value, and the edge's reward and discount."""
        if stochastic and not after:
            below = self.afterstate[row][edge]
            return below, (self.chance_logits[below], float(self.afterstate_value[below]), 0.0, 1.0)
        below = self.next_state[row][edge]
        step = float(self.reward[row][edge]), float(self.discount[row][edge])
        return below, (self.prior_logits[below], float(self.value[below]), *step)


def random_tables(seed: int, rules: Rules, states: int = 9) -> Tables:
    """Tables of random numbers, some steps terminal."""
    r = np.random.default_rng(seed)
    x, edges = (states, rules.outcomes) if rules.stochastic else (states, rules.actions)
    discount = np.where(r.random((x, edges)) < 0.1, 0.0, rules.discount)
    return Tables(
        r.normal(size=(states, rules.actions)), r.normal(size=states),
        r.integers(0, states, (x, edges)), r.normal(size=(x, edges)), discount,
        r.integers(0, x, (states, rules.actions)), r.normal(size=x), r.normal(size=(x, rules.outcomes)),
    )  # fmt: skip


def search_tables(
    tree: Tree, rules: Rules, tables: Tables, root: int, legal: Any, noise: Any, side: int = 0, b: int = 0
) -> None:
    """The compiled phases, with tables in the place of the networks."""
    at = np.zeros(rules.simulations + 1, np.int64)
    at[ROOT] = root
    logits = np.asarray(tables.prior_logits[root], np.float32)
    plant(tree, rules, b, side, np.asarray(legal, bool), logits, float(tables.value[root]), np.asarray(noise, float))
    schedule = halving_schedule(rules)
    for t in range(rules.simulations):
        parent, edge = select(tree, rules, schedule, b, t)
        after = bool(tree.nodes["after"][b, parent])
        row, (logits, value, reward, discount) = tables.answer(at[parent], edge, after, rules.stochastic)
        node = expand(tree, rules, b, t + 1, parent, edge, np.asarray(logits, np.float32), value, reward, discount)
        at[node] = row
        backup(tree, b, node)


@dataclass
class Node:
    """A node of the plain search."""

    row: int
    after: bool
    side: int
    visits: int = 0
    value: float = 0.0
    raw: float = 0.0
    reward: float = 0.0
    discount: float = 1.0
    logits: list[float] = field(default_factory=list)
    legal: list[bool] = field(default_factory=list)
    children: dict[int, "Node"] = field(default_factory=dict)

    def estimate(self, logits: Any, value: float) -> None:
        """Take in the model's answer."""
        self.logits = [float(np.float32(x)) for x in logits]
        self.raw = self.value = value
        self.visits += 1

    @property
    def prior(self) -> list[float]:
        """Softmax over the legal edges."""
        top = max(x for x, ok in zip(self.logits, self.legal, strict=True) if ok)
        weights = [math.exp(x - top) if ok else 0.0 for x, ok in zip(self.logits, self.legal, strict=True)]
        return [w / sum(weights) for w in weights]

    def count(self, edge: int) -> int:
        """Visits of an edge."""
        return self.children[edge].visits if edge in self.children else 0

    def q(self, edge: int) -> float:
        """Value of a visited edge."""
        child = self.children[edge]
        return child.reward + child.discount * child.value


class PlainSearch:
    """Stochastic and deterministic, PUCT and Gumbel search in a plain recursive form (golden set's README)."""

    def __init__(self, rules: Rules, tables: Tables, root: int, legal: Any, noise: Any, side: int) -> None:
        self.rules, self.tables, self.noise = rules, tables, list(noise)
        self.root = Node(root, False, side, legal=list(legal))
        self.root.estimate(tables.prior_logits[root], float(tables.value[root]))
        for t in range(rules.simulations):
            self.simulate(self.root, 1, t)

    def simulate(self, node: Node, depth: int, t: int) -> float:
        """One simulation below a node; the gain seen from it."""
        rules = self.rules
        edge = self.choose(node, t)
        known = edge in node.children
        if known and depth < rules.depth_max:
            gain = self.simulate(node.children[edge], depth + 1, t)
        else:
            row, answer = self.tables.answer(node.row, edge, node.after, rules.stochastic)
            if not known:
                node.children[edge] = self.hang(node, edge, row)
            child = node.children[edge]
            child.reward, child.discount = answer[2:]
            child.estimate(*answer[:2])
            gain = child.value
        child = node.children[edge]
        gain = child.reward + child.discount * gain
        node.value = (node.value * node.visits + gain) / (node.visits + 1)
        node.visits += 1
        return gain

    def hang(self, node: Node, edge: int, row: int) -> Node:
        """A new child: the side and its legal actions follow the trading rules."""
        side = node.side if node.after else {0: node.side, 1: 1, 2: -1, 3: 0}.get(edge, 0)
        after = self.rules.stochastic and not node.after
        if after or self.rules.legality == ALL_LEGAL:
            legal = [True] * (self.rules.outcomes if after else self.rules.actions)
        elif side == 0:
            legal = [True, True, True, False]
        else:
            turn = self.rules.legality == REVERSIBLE
            legal = [True, turn and side < 0, turn and side > 0, True]
        return Node(row, after, side, legal=legal)

    def choose(self, node: Node, t: int) -> int:
        """The edge to follow."""
        edges = [k for k, ok in enumerate(node.legal) if ok]
        prior = node.prior
        if node.after:
            return max(edges, key=lambda k: prior[k] / (node.count(k) + 1))
        if not self.rules.gumbel:
            return max(edges, key=lambda k: self.puct(node, prior, k))
        if node is self.root:
            wanted = halving(min(self.rules.considered_max, len(edges)), self.rules.simulations)[t]
            return self.best_root([k for k in edges if node.count(k) == wanted])
        policy, total = self.improved(node), sum(node.count(k) for k in edges)
        return max(edges, key=lambda k: policy[k] - node.count(k) / (1 + total))

    def puct(self, node: Node, prior: list[float], k: int) -> float:
        """MuZero's score."""
        r, n = self.rules, node.visits
        seen = [node.value, *(node.q(a) for a in node.children)]
        low, high = min(seen), max(seen)
        scaled = (node.q(k) - low) / max(high - low, r.epsilon) if k in node.children else 0.0
        rate = r.puct_init + math.log((n + r.puct_base + 1) / r.puct_base)
        return scaled + math.sqrt(n) * rate * prior[k] / (node.count(k) + 1)

    def completed(self, node: Node) -> list[float]:
        """Transformed values, unvisited ones completed."""
        r, prior, kids = self.rules, node.prior, node.children
        counts = [node.count(k) for k in range(r.actions)]
        filler = node.raw
        if r.mixed and kids:
            mean = sum(prior[k] * node.q(k) for k in kids) / sum(prior[k] for k in kids)
            filler = (node.raw + sum(counts) * mean) / (1 + sum(counts))
        values = [node.q(k) if k in kids else filler for k in range(r.actions)]
        if r.rescale:
            low, span = min(values), max(max(values) - min(values), r.epsilon)
            values = [(v - low) / span for v in values]
        return [(r.visits_init + max(counts)) * r.value_scale * v for v in values]

    def improved(self, node: Node) -> list[float]:
        """softmax(logits + transformed values) over the legal actions."""
        sums = [x + v for x, v in zip(node.logits, self.completed(node), strict=True)]
        top = max(s for s, ok in zip(sums, node.legal, strict=True) if ok)
        weights = [math.exp(s - top) if ok else 0.0 for s, ok in zip(sums, node.legal, strict=True)]
        return [w / sum(weights) for w in weights]

    def best_root(self, edges: list[int]) -> int:
        """Gumbel's choice among root actions."""
        values, root = self.completed(self.root), self.root
        return max(edges, key=lambda k: self.noise[k] + root.logits[k] + values[k])


def halving(considered: int, simulations: int) -> list[int]:
    """Sequential halving, from the README's words."""
    if considered <= 1:
        return list(range(simulations))
    visits, out, k = [0] * considered, list[int](), considered
    while len(out) < simulations:
        for _ in range(max(1, math.floor(simulations / (math.ceil(math.log2(considered)) * k)))):
            out += visits[:k]
            visits[:k] = [v + 1 for v in visits[:k]]
        k = max(2, k // 2)
    return out[:simulations]
