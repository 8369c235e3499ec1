"""The search phases against golden trees made with an independent search (format: the golden set's own README)."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from strategy.search_select import halving_schedule, select, summarise
from strategy.search_tree import ALL_LEGAL, ROOT, Rules, Tree, backup, expand, new_tree, plant, rules

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
    _search(tree, ours, case)
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
    gumbel = {
        "considered_max": params["max_num_considered_actions"],
        "value_scale": params["value_scale"],
        "visits_init": params["maxvisit_init"],
        "rescale": params["rescale_values"],
        "mixed": params["use_mixed_value"],
    } if policy == "gumbel_muzero" else {"puct_init": params["pb_c_init"], "puct_base": params["pb_c_base"]}  # fmt: skip
    return rules(
        stochastic=policy == "stochastic_muzero",
        gumbel=policy == "gumbel_muzero",
        simulations=params["num_simulations"],
        depth_max=params["max_depth"],
        actions=model["num_actions"],
        outcomes=model.get("num_chance", 1),
        legality=ALL_LEGAL,
        epsilon=params["epsilon"],
        **gumbel,
    )


def _search(tree: Tree, ours: Rules, case: dict[str, Any]) -> None:
    """The compiled phases, with the case's tables in the place of the networks."""
    model, root = case["model"], case["root_state"]
    at = np.zeros(ours.simulations + 1, np.int64)  # the table row of each node
    at[ROOT] = root
    legal = np.array(case["invalid_actions"]) == 0
    noise = np.array(case.get("root_gumbel", np.zeros(ours.actions)))
    plant(tree, ours, 0, 0, legal, _row(model["prior_logits"][root]), model["value"][root], noise)
    schedule = halving_schedule(ours)
    for t in range(ours.simulations):
        parent, edge = select(tree, ours, schedule, 0, t)
        here = at[parent]
        if ours.stochastic and not tree.nodes[0, parent]["after"]:
            row = model["afterstate"][here][edge]
            answer = _row(model["chance_logits"][row]), model["afterstate_value"][row], 0.0, 1.0
        else:
            row = model["next_state"][here][edge]
            answer = (
                _row(model["prior_logits"][row]),
                float(model["value"][row]),
                float(model["reward"][here][edge]),
                float(model["discount"][here][edge]),
            )
        node = expand(tree, ours, 0, t + 1, parent, edge, *answer)
        at[node] = row
        backup(tree, 0, node)


def _row(values: list[float]) -> np.ndarray:
    return np.array(values, np.float32)


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
