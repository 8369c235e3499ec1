"""The MuZero strategy: legal, reproducible, and honest about what it is."""

import dataclasses
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.errors import BadInput
from broker.types import Action, Bar, Instrument
from strategy import features
from strategy.model import ABSTAINS, load
from strategy.muzero import MuZero, NotFinite
from strategy.plugin import Choice, Context, Observation, Strategy
from strategy.search import new_search
from strategy.search_tree import ROOT, rules
from training.export import export, sizes_for, untrained, write_folder
from training.networks import Networks

EUR_USD = Instrument("EUR_USD", -4, 5, Decimal("0.02"))
BAR = Bar(0, 60, 2.0, 2.0, 2.0, 2.0, 1.0, 1, 2, 5)
SIZES = {"hidden": 16, "bins": 11, "channels": 16}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model of edge20 with a normaliser that isn't the identity."""
    made = tmp_path_factory.mktemp("model")
    networks = Networks(sizes_for("edge20", **SIZES), 5)
    size = features.get("edge20").size
    files = export(networks, "edge20", seed=5, mean=np.full(size, 0.5), deviation=np.full(size, 2.0), discount=0.9)
    write_folder(made, files)
    return made


def strategy(folder: Path, seed: int = 0, **settings: Any) -> MuZero:
    """The strategy as a session builds it."""
    return MuZero(Context(EUR_USD, np.random.SeedSequence(seed), folder, settings))


def observation(seed: int, side: int = 0, *, inputs: int = 26, reverse: bool = False) -> Observation:
    """A random situation."""
    legal = (True, side == 0 or (reverse and side < 0), side == 0 or (reverse and side > 0), side != 0)
    row = np.random.default_rng(seed).normal(size=inputs)
    return Observation(
        seq=seed, time=0, instrument=EUR_USD, bar=BAR, bid=1, ask=2, position=side, expected=side, legal=legal,
        features=row, sigma=1.0, spread=1.0, open_pips=0.0, bars_held=0,
    )  # fmt: skip


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10**6), side=st.sampled_from([-1, 0, 1]), root=st.sampled_from(["gumbel", "muzero"]),
    reverse=st.booleans(), simulations=st.integers(1, 30), noise=st.booleans(),
)  # fmt: skip
def test_choices_are_legal_and_evident(
    folder: Path, seed: int, side: int, root: str, reverse: bool, simulations: int, noise: bool
) -> None:
    """The action is the most probable of a policy that sums to 1 over the legal actions; the evidence adds up."""
    extra = {"gumbel_scale": 1.0, "dirichlet_share": 0.3} if noise else {}
    decider = strategy(folder, root=root, allow_reverse=reverse, simulations=simulations, **extra)
    seen = observation(seed, side, reverse=reverse)
    choice = decider.decide(seen)
    assert choice.policy is not None
    assert choice.visits is not None
    assert choice.q is not None
    assert choice.outcome is not None
    assert choice.policy[choice.action] == max(choice.policy)
    assert sum(choice.policy) == pytest.approx(1.0, abs=1e-12)
    assert sum(choice.visits) == simulations
    assert sum(choice.outcome) == pytest.approx(1.0, abs=1e-12)
    assert [q is None for q in choice.q] == [n == 0 for n in choice.visits]
    for legal, share, visits in zip(seen.legal, choice.policy, choice.visits, strict=True):
        assert legal or (share == 0.0 and visits == 0)


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), side=st.sampled_from([-1, 0, 1]), noise=st.booleans())
def test_without_simulations_the_network_plays_alone(folder: Path, seed: int, side: int, noise: bool) -> None:
    """0 simulations: the network's own policy over the legal actions, its own value, and nothing visited."""
    model, seen = load(folder), observation(seed, side)
    assert seen.features is not None
    kernels = new_search(model.network(), rules(simulations=1))
    kernels.work.features[0] = (seen.features - model.mean) / model.deviation
    kernels.roots.side[0], kernels.roots.legal[0] = side, seen.legal
    kernels.run()
    priors = kernels.tree.edges[0, ROOT]["prior"]
    choice = strategy(folder, simulations=0, gumbel_scale=float(noise)).decide(seen)
    assert choice.policy == pytest.approx(priors.tolist(), abs=1e-12)
    assert choice.value == pytest.approx(float(kernels.tree.nodes[0, ROOT]["raw"]), abs=1e-12)
    assert (choice.visits, choice.q) == ((0,) * 4, (None,) * 4)
    assert choice.outcome is not None
    assert sum(choice.outcome) == pytest.approx(1.0, abs=1e-12)


def decisions(decider: MuZero, count: int = 12) -> list[Choice]:
    """A run of decisions."""
    return [decider.decide(observation(k, k % 3 - 1)) for k in range(count)]


@pytest.mark.parametrize("noise", [{}, {"gumbel_scale": 1.0}, {"root": "muzero", "dirichlet_share": 0.5}])
def test_the_seed_decides(folder: Path, noise: dict[str, Any]) -> None:
    """Two strategies of one seed decide alike in all they report; without noise the seed changes nothing."""
    first = decisions(strategy(folder, 1, **noise))
    assert first == decisions(strategy(folder, 1, **noise))
    assert (first == decisions(strategy(folder, 2, **noise))) == (not noise)


def test_the_normaliser_is_applied(folder: Path, tmp_path: Path) -> None:
    """A row and its normalised form mean the same to models with and without the normaliser."""
    networks = Networks(sizes_for("edge20", **SIZES), 5)
    write_folder(tmp_path, export(networks, "edge20", seed=5, discount=0.9))
    raw = observation(3)
    assert raw.features is not None
    scaled = dataclasses.replace(raw, features=(raw.features - 0.5) / 2.0)
    assert strategy(folder).decide(raw) == strategy(tmp_path).decide(scaled)


@pytest.mark.parametrize(("outcomes", "feature_set"), [(3, "micro15"), (5, "edge20"), (7, "edge20")])
def test_every_kind_of_model_decides(tmp_path: Path, outcomes: int, feature_set: str) -> None:
    """A window of bars and finer outcomes are a matter of the model alone."""
    write_folder(tmp_path, untrained(feature_set, 1, outcomes=outcomes, **SIZES))
    decider = strategy(tmp_path)
    assert isinstance(decider, Strategy)
    assert decider.feature_set == feature_set
    assert decider.model == load(tmp_path).name
    assert decider.model.startswith("untrained-")
    choice = decider.decide(observation(1, 1, inputs=features.get(feature_set).size))
    assert choice.outcome is not None
    assert len(choice.outcome) == outcomes


@pytest.mark.parametrize(("side", "action"), [(0, Action.HOLD), (1, Action.CLOSE), (-1, Action.CLOSE)])
def test_a_model_that_abstains_stays_flat(tmp_path: Path, side: int, action: Action) -> None:
    """It leaves what is open and opens nothing."""
    write_folder(tmp_path, export(Networks(sizes_for("edge20", **SIZES), 1), "edge20", seed=1, status=ABSTAINS))
    assert strategy(tmp_path).decide(observation(1, side)).action == action


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_what_is_not_finite_stops(folder: Path, odd: float) -> None:
    """A decision on NaN is no decision: the daemon rolls back."""
    seen = observation(1)
    assert seen.features is not None
    seen.features[4] = odd
    with pytest.raises(NotFinite, match="decision 1"):
        strategy(folder).decide(seen)
    with pytest.raises(NotFinite):
        strategy(folder).decide(dataclasses.replace(seen, features=None))


@pytest.mark.parametrize(
    "wrong",
    [
        {"root": "alpha"},
        {"simulations": -1},
        {"root": "muzero", "simulations": 0},
        {"sims": 5},
        {"dirichlet_share": 2.0},
        {"gumbel_scale": -1.0},
    ],
)
def test_wrong_settings_are_refused(folder: Path, wrong: dict[str, Any]) -> None:
    """A setting that is unknown or out of range is named."""
    with pytest.raises(BadInput):
        strategy(folder, **wrong)


def test_a_model_is_needed() -> None:
    """No model, no decisions."""
    with pytest.raises(BadInput, match="needs a model"):
        MuZero(Context(EUR_USD, np.random.SeedSequence(0)))


def test_search_rules_of_the_manifest(tmp_path: Path) -> None:
    """The manifest's search rules are used, and unknown ones refused."""
    networks = Networks(sizes_for("edge20", **SIZES), 5)
    sharp, odd = tmp_path / "sharp", tmp_path / "odd"
    write_folder(sharp, export(networks, "edge20", seed=5, search={"value_scale": 10.0}))
    write_folder(odd, export(networks, "edge20", seed=5, search={"no_such": 1}))
    policy = strategy(sharp).decide(observation(2)).policy
    assert policy is not None
    assert max(policy) > 0.99
    with pytest.raises(BadInput, match="search rules"):
        strategy(odd)
