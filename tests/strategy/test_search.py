"""The search: held to a plain search over random tables, and its rules over random networks."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategy.network_layout import Network, Sizes, pack, parts
from strategy.search import Search, new_search
from strategy.search_select import halving_schedule, summarise
from strategy.search_tree import (
    ALL_LEGAL,
    ONE_SIDE,
    REVERSIBLE,
    ROOT,
    UNVISITED,
    Rules,
    is_legal,
    new_tree,
    rules,
    side_after,
)
from tests.strategy.tabular import PlainSearch, halving, random_tables, search_tables

SEEDS = st.integers(0, 2**32 - 1)
SIDES = st.sampled_from([-1, 0, 1])


def legal_at(side: int, reverse: bool) -> tuple[bool, bool, bool, bool]:
    """HOLD, BUY, SELL, CLOSE by the trading rules, written out."""
    return {
        (0, False): (True, True, True, False),
        (0, True): (True, True, True, False),
        (1, False): (True, False, False, True),
        (-1, False): (True, False, False, True),
        (1, True): (True, False, True, True),
        (-1, True): (True, True, False, True),
    }[side, reverse]


def random_network(seed: int, outcomes: int = 3, scale: float = 1.0) -> Network:
    """A small network with random weights."""
    r = np.random.default_rng(seed)
    sizes = Sizes(inputs=5, hidden=16, bins=21, outcomes=outcomes)
    tensors = {}
    for part in parts(sizes):
        bound = scale * max(part.inputs, 1) ** -0.5
        tensors[f"{part.name}.weight"] = r.uniform(-bound, bound, part.shape).astype(np.float32) + (not part.inputs)
        tensors[f"{part.name}.bias"] = r.uniform(-bound, bound, part.outputs).astype(np.float32)
    return pack(sizes, tensors)


def ask(search: Search, seed: int, sides: list[int], noise: float = 0.0) -> None:
    """Random observations from given sides."""
    r = np.random.default_rng(seed)
    search.work.features[:] = r.normal(size=search.work.features.shape)
    for b, side in enumerate(sides):
        search.roots.side[b] = side
        search.roots.legal[b] = legal_at(side, search.rules.legality == REVERSIBLE)
    search.roots.noise[:] = noise * r.gumbel(size=search.roots.noise.shape)


@settings(max_examples=120, deadline=None)
@given(
    seed=SEEDS, stochastic=st.booleans(), gumbel=st.booleans(), side=SIDES,
    legality=st.sampled_from([ALL_LEGAL, ONE_SIDE, REVERSIBLE]), depth_max=st.sampled_from([None, 1, 2, 3, 6]),
    simulations=st.integers(1, 40), outcomes=st.sampled_from([3, 5]), considered=st.integers(1, 6),
    rescale=st.booleans(), mixed=st.booleans(),
)  # fmt: skip
def test_phases_agree_with_a_plain_search(
    seed: int, stochastic: bool, gumbel: bool, side: int, legality: int, depth_max: int | None, simulations: int,
    outcomes: int, considered: int, rescale: bool, mixed: bool,
) -> None:  # fmt: skip
    """Every combination of tree, root policy, mask and depth limit searches as the written rules say."""
    ours = rules(
        stochastic=stochastic, gumbel=gumbel, simulations=simulations, depth_max=depth_max, outcomes=outcomes,
        legality=legality, discount=0.9, considered_max=considered, rescale=rescale, mixed=mixed,
    )  # fmt: skip
    tables = random_tables(seed, ours)
    legal = [True] * 4 if legality == ALL_LEGAL else legal_at(side, legality == REVERSIBLE)
    noise = np.random.default_rng(seed + 1).gumbel(size=4)
    tree = new_tree(ours)
    search_tables(tree, ours, tables, 0, legal, noise, side)
    plain = PlainSearch(ours, tables, 0, legal, noise, side)

    visits, q, policy = np.zeros(4, np.int64), np.zeros(4), np.zeros(4)
    action = summarise(tree, ours, 0, visits, q, policy)
    counts = [plain.root.count(k) for k in range(4)]
    assert visits.tolist() == counts
    assert tree.nodes["value"][0, ROOT] == pytest.approx(plain.root.value, abs=1e-9)
    assert q[visits > 0] == pytest.approx([plain.root.q(k) for k in range(4) if counts[k]], abs=1e-9)
    most = [k for k in range(4) if legal[k] and counts[k] == max(counts)]
    assert action == (plain.best_root(most) if gumbel else most[0])
    shares = plain.improved(plain.root) if gumbel else [n / simulations for n in counts]
    assert policy == pytest.approx(shares, abs=1e-9)


@given(considered=st.integers(0, 9), simulations=st.integers(1, 200))
def test_halving_schedule(considered: int, simulations: int) -> None:
    """The schedule of considered visits is the README's recipe for every number of actions."""
    schedule = halving_schedule(rules(actions=9, simulations=simulations))
    assert schedule[considered].tolist() == halving(considered, simulations)


@pytest.mark.parametrize(("side", "reverse"), list(product((-1, 0, 1), (False, True))))
def test_legality_is_the_trading_rules(side: int, reverse: bool) -> None:
    """Flat: HOLD, BUY, SELL; in a position: HOLD, CLOSE, and the opposite side only where reversals are allowed."""
    legality = REVERSIBLE if reverse else ONE_SIDE
    assert tuple(is_legal(legality, side, action) for action in range(4)) == legal_at(side, reverse)
    assert [side_after(side, action) for action in range(4)] == [side, 1, -1, 0]


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, side=SIDES, reverse=st.booleans(), gumbel=st.booleans(), outcomes=st.sampled_from([3, 5, 7]))
def test_illegal_actions_are_never_taken_anywhere(
    seed: int, side: int, reverse: bool, gumbel: bool, outcomes: int
) -> None:
    """Nowhere in the tree has an illegal edge a child; its prior and policy are exactly 0; sides follow the actions."""
    ours = rules(gumbel=gumbel, simulations=24, outcomes=outcomes, legality=REVERSIBLE if reverse else ONE_SIDE)
    search = new_search(random_network(seed, outcomes, scale=4.0), ours)
    ask(search, seed, [side], noise=3.0)
    found = search.run()
    nodes, edges = search.tree.nodes[0], search.tree.edges[0]
    for i, node in enumerate(nodes):
        above = nodes[node["parent"]]
        if i and above["after"]:
            assert node["side"] == above["side"]
            assert 0 <= node["edge"] < outcomes
        elif i:
            assert node["side"] == side_after(above["side"], node["edge"])
            assert legal_at(above["side"], reverse)[node["edge"]]
        if not node["after"]:
            wrong = ~np.array(legal_at(node["side"], reverse))
            assert (edges["child"][i, :4][wrong] == UNVISITED).all()
            assert (edges["prior"][i, :4][wrong] == 0.0).all()
            assert edges["prior"][i, :4].sum() == pytest.approx(1.0, abs=1e-12)
    legal = np.array(legal_at(side, reverse))
    assert (found.policy[0][~legal] == 0.0).all()
    assert found.policy[0].sum() == pytest.approx(1.0, abs=1e-12)
    assert found.visits[0].sum() == ours.simulations
    assert (found.visits[0][~legal] == 0).all()
    assert np.isnan(found.q[0][found.visits[0] == 0]).all()
    assert legal[found.best[0]]
    assert legal[found.action[0]]


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, gumbel=st.booleans(), depth_max=st.sampled_from([None, 1, 2, 5]))
def test_one_discount_per_real_step(seed: int, gumbel: bool, depth_max: int | None) -> None:
    """An action's edge has reward 0 and discount 1; the market's step is discounted once; depth counts both."""
    ours = rules(gumbel=gumbel, simulations=30, discount=0.9, depth_max=depth_max)
    search = new_search(random_network(seed), ours)
    ask(search, seed, [0])
    search.run()
    nodes = search.tree.nodes[0]
    for i in range(1, len(nodes)):
        if nodes["parent"][i] < 0:
            assert nodes["visits"][i] == 0
            continue
        assert nodes["after"][i] != nodes["after"][nodes["parent"][i]]
        if nodes["after"][i]:
            assert (nodes["reward"][i], nodes["discount"][i]) == (0.0, 1.0)
        else:
            assert nodes["discount"][i] == 0.9
        depth, at = 0, i
        while at:
            depth, at = depth + 1, nodes["parent"][at]
        assert depth <= (depth_max or 30)


def test_terminal_step_ends_the_gain() -> None:
    """What lies behind a discount of 0 never reaches the root: the value of that action is the reward alone."""
    ours = rules(stochastic=False, gumbel=False, simulations=20, actions=2, outcomes=1, legality=ALL_LEGAL)
    tables = random_tables(3, ours, states=2)
    tables.next_state[:], tables.discount[:], tables.reward[:] = 1, 0.0, [[0.25, -0.5], [7.0, 9.0]]
    tree = new_tree(ours)
    search_tables(tree, ours, tables, 0, [True, True], [0.0, 0.0])
    visits, q, policy = np.zeros(2, np.int64), np.zeros(2), np.zeros(2)
    summarise(tree, ours, 0, visits, q, policy)
    assert q.tolist() == [0.25, -0.5]


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, gumbel=st.booleans(), sides=st.lists(SIDES, min_size=2, max_size=9))
def test_batch_is_single(seed: int, gumbel: bool, sides: list[int]) -> None:
    """Searches in lock-step visit what each visits alone, and values have the same bits."""
    network, ours = random_network(seed), rules(gumbel=gumbel, simulations=16)
    together = new_search(network, ours, len(sides))
    ask(together, seed, sides, noise=1.0)
    all_found = together.run()
    alone = new_search(network, ours)
    for b, side in enumerate(sides):
        alone.work.features[0] = together.work.features[b]
        alone.roots.side[0], alone.roots.legal[0] = side, together.roots.legal[b]
        alone.roots.noise[0] = together.roots.noise[b]
        for name, one in alone.run()._asdict().items():
            np.testing.assert_array_equal(one[0], getattr(all_found, name)[b], err_msg=name)


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, other=SEEDS, side=SIDES)
def test_search_forgets_the_one_before(seed: int, other: int, side: int) -> None:
    """The same question has the same answer, whatever was asked of the same room before."""
    search = new_search(random_network(seed), rules(simulations=12))
    answers: list[Any] = []
    for question in (seed, other, seed):
        ask(search, question, [side], noise=1.0)
        answers.append({name: array.copy() for name, array in search.run()._asdict().items()})
    for name, array in answers[0].items():
        np.testing.assert_array_equal(array, answers[2][name], err_msg=name)


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, share=st.floats(0.05, 1.0))
def test_dirichlet_noise_mixes_into_the_root_alone(seed: int, share: float) -> None:
    """Root priors are (1 - share) prior + share noise over the legal actions; below the root nothing changes."""
    network = random_network(seed)
    plain = new_search(network, rules(gumbel=False, simulations=8))
    noisy = new_search(network, rules(gumbel=False, simulations=8, dirichlet_share=share))
    for search in (plain, noisy):
        ask(search, seed, [0])
        search.roots.noise[0] = [0.7, 0.1, 0.2, 0.0]
        search.run()
    before, after = (search.tree.edges["prior"][0, ROOT] for search in (plain, noisy))
    assert after == pytest.approx((1 - share) * before + share * np.array([0.7, 0.1, 0.2, 0.0]), abs=1e-12)


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, side=SIDES, simulations=st.sampled_from([1, 2, 8]))
def test_outcome_is_the_distribution_after_the_choice(seed: int, side: int, simulations: int) -> None:
    """Outcome probabilities are those of the chosen action's afterstate, also where the search never went there."""
    network = random_network(seed)
    few = new_search(network, rules(simulations=simulations))
    many = new_search(network, rules(simulations=64, gumbel=False, puct_init=50.0))
    for search in (few, many):
        ask(search, seed, [side])
        search.run()
    child = many.tree.edges["child"][0, ROOT, few.results.best[0]]
    assert child != UNVISITED
    assert few.results.outcome[0] == pytest.approx(many.tree.edges["prior"][0, child, :3], abs=1e-6)
    assert few.results.outcome[0].sum() == pytest.approx(1.0, abs=1e-12)


def test_a_network_that_breaks_is_told() -> None:
    """A number that is not finite anywhere in the tree marks the root; choices stay legal."""
    network = random_network(1)
    network.weights[network.value_at :] = np.inf
    search = new_search(network, rules(simulations=8))
    ask(search, 1, [1])
    found = search.run()
    assert search.tree.nodes["broken"][0, ROOT]
    assert (found.visits[0][[1, 2]] == 0).all()


def test_rules_must_fit_the_network() -> None:
    """A deterministic tree or other outcomes than the network's are a programmer's error."""
    wrong: list[Rules] = [rules(stochastic=False), rules(outcomes=5)]
    for one in wrong:
        with pytest.raises(ValueError, match="network"):
            new_search(random_network(0), one)
