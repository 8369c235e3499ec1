"""The best possible result of a synthetic market, against the reference's."""

import importlib.util
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from broker.ticks.optimum import best_pips
from broker.ticks.synth import MARKETS, Plan, mid_path

BARS = 20_000


@pytest.fixture(scope="module")
def reference(shared: Path) -> ModuleType:
    """The generator and scorer that results are compared by."""
    spec = importlib.util.spec_from_file_location("reference_synth", shared / "synth" / "synth.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def scored(reference: ModuleType, market: str, seed: int, figures: dict[str, float]) -> float:
    """Pips of the reference's optimal policy on the market's path."""
    kept = reference.P[market]
    reference.P[market] = {**kept, **figures}
    try:
        mid, _ = reference.path(market, BARS, seed)
        _, grid, best = reference.dp(market)
        actions = reference.act(grid, best, reference.features(market, mid)[0])
        return float(reference.evaluate(mid, actions, reference.P[market]["spread"])[3].sum())
    finally:
        reference.P[market] = kept


@pytest.mark.parametrize("market", MARKETS)
@pytest.mark.parametrize("scale", [1.0, 10.0])
def test_the_optimum_is_the_references(reference: ModuleType, market: str, scale: float) -> None:
    """Another filter and another discretisation earn the same on the same path, to 2 in 1000."""
    plan = Plan(market, BARS, 3, scale=scale)
    assert best_pips(plan, 0, BARS) == pytest.approx(scored(reference, market, 3, plan.parameters()), rel=2e-3)


def test_other_parameters_have_their_own_optimum(reference: ModuleType) -> None:
    """A market with parameters of its own is solved as that market."""
    for market, params in (("ou", {"phi": 0.9, "sm": 0.5, "spread": 1.4}), ("regime", {"p": 0.01, "d": 0.3})):
        plan = Plan(market, BARS, 4, params=params)
        assert best_pips(plan, 0, BARS) == pytest.approx(scored(reference, market, 4, plan.parameters()), rel=2e-3)


def test_stretches_add_up_to_the_path() -> None:
    """From flat to flat, stretches earn together what the whole path does, but for going in and out at the seams."""
    plan = Plan("ou_easy", 4000, 5)
    cuts = [0, 1000, 2500, 4000]
    parts = [best_pips(plan, first, last) for first, last in pairwise(cuts)]
    assert sum(filter(None, parts)) == pytest.approx(best_pips(plan, 0, 4000), abs=8.0)
    assert best_pips(plan, 100, 100) == 0.0


def test_the_spread_is_paid() -> None:
    """The dearer the market, the less there is to earn; a random walk never pays."""
    earned = [best_pips(Plan("regime", 5000, 1, params={"spread": spread}), 0, 5000) or 0.0 for spread in (0.0, 1, 4)]
    assert earned == sorted(earned, reverse=True)
    assert earned[0] < np.abs(np.diff(mid_path(Plan("regime", 5000, 1)))).sum()
    assert best_pips(Plan("mart", 5000, 1), 0, 5000) == 0.0


def test_what_the_statistic_does_not_cover_is_not_told() -> None:
    """Without noise or without a slow part the filters have no steady state: no figure rather than a wrong one."""
    assert best_pips(Plan("ou", 100, params={"sm": 0.0}), 0, 100) is None
    assert best_pips(Plan("regime", 100, params={"s": 0.0}), 0, 100) is None
