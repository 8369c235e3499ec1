"""The search phases against golden trees made with an independent search (format: the golden set's own README)."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from strategy.search_select import summarise
from strategy.search_tree import ALL_LEGAL, ROOT, Rules, Tree, new_tree, rules
from tests.strategy.tabular import Tables, search_tables

GIVEN = Path(__file__).parents[3] / "shared" / "golden" / "given"
FOLDER = Path(os.environ.get("GOLDEN_DIR", GIVEN))
ABSENT = "GOLDEN_DIR" not in os.environ and not GIVEN.is_dir() and os.environ.get("CI") != "true"
TOLERANCE = 1e-4


def _cases() -> list[Any]:
    sets = [json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))]
    return [pytest.param(one["policy"], case, id=case["id"]) for one in sets for case in one["cases"]]


CASES = _cases()


@pytest.mark.skipif(ABSENT, reason="the golden set is not beside this repository")
def test_golden_set_is_there() -> None:
    """An empty folder proves nothing, so it fails."""
    assert CASES, f"no golden cases in {FOLDER}"


@pytest.mark.parametrize(("policy", "case"), CASES)
def test_golden(policy: str, case: dict[str, Any]) -> None:
    """Every field of every case holds: integers exactly, floats to the golden set's tolerance."""
    ours = _rules(policy, case)
    tree = new_tree(ours)
    noise = case.get("root_gumbel", np.zeros(ours.actions))
    legal = np.array(case["invalid_actions"]) == 0
    search_tables(tree, ours, _tables(case["model"]), case["root_state"], legal, noise)
    visits, q, weights = np.zeros(ours.actions, np.int64), np.zeros(ours.actions), np.zeros(ours.actions)
    action = summarise(tree, ours, 0, visits, q, weights)

    found = {
        "visit_counts": visits.tolist(),
        "root_value": tree.nodes[0, ROOT]["value"],
        "qvalues": [None if np.isnan(x) else x for x in q],
        "action": action,
        "action_weights": weights,
        "tree": {
            "parent": tree.nodes["parent"][0],
            "action": _edges(tree, ours),
            "visits": tree.nodes["visits"][0],
            "value": _values(tree),
        },
    }
    _compare(found, case["expected"])


def _rules(policy: str, case: dict[str, Any]) -> Rules:
    params, model = case["params"], case["model"]
    chosen = {"puct_init": "pb_c_init", "puct_base": "pb_c_base"}
    if policy == "gumbel_muzero":
        chosen = {
            "considered_max": "max_num_considered_actions",
            "value_scale": "value_scale",
            "visits_init": "maxvisit_init",
            "rescale": "rescale_values",
            "mixed": "use_mixed_value",
        }
    return rules(
        stochastic=policy == "stochastic_muzero",
        gumbel=policy == "gumbel_muzero",
        simulations=params["num_simulations"],
        depth_max=params["max_depth"],
        actions=model["num_actions"],
        outcomes=model.get("num_chance", 1),
        legality=ALL_LEGAL,
        epsilon=params["epsilon"],
        **{ours: params[theirs] for ours, theirs in chosen.items()},
    )


def _tables(model: dict[str, Any]) -> Tables:
    names = Tables.__dataclass_fields__
    return Tables(**{key: model[key] for key in names if key in model})


def _edges(tree: Tree, ours: Rules) -> np.ndarray:
    """Edges numbered as the golden set does: out of an afterstate, outcome c is A + c."""
    parents = tree.nodes["parent"][0]
    shift = np.where((parents >= 0) & tree.nodes["after"][0, parents], ours.actions, 0)
    return tree.nodes["edge"][0] + shift


def _values(tree: Tree) -> np.ndarray:
    return np.where(tree.nodes["visits"][0] > 0, tree.nodes["value"][0], 0.0)


def _compare(found: Any, expected: Any, where: str = "expected") -> None:
    """Walk the expected document, so that a field that we don't know fails."""
    if isinstance(expected, dict):
        assert set(found) == set(expected), where
        for key, value in expected.items():
            _compare(found[key], value, f"{where}.{key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), where
        for k, value in enumerate(expected):
            _compare(found[k], value, f"{where}[{k}]")
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, abs=TOLERANCE, rel=0), where
    else:
        assert found == expected, where
