"""Adapter for the search benchmark: our search with the benchmark's weights, from given hidden states.

    V/bin/python .../bench/search/run.py --net small --batch 1 --sims 25 --adapter benchmarks.search_adapter:make

run from the root of this repository, in an environment with jax, mctx, numpy and numba.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from strategy.network_layout import Network, Sizes, pack
from strategy.search import new_search
from strategy.search_tree import ALL_LEGAL, rules

Rows = npt.NDArray[np.float32]


def make(
    spec: dict[str, int], weights: dict[str, Any], batch: int, sims: int, num_actions: int, num_outcomes: int
) -> Callable[[Rows], npt.NDArray[np.int64]]:
    """`f(hidden [batch, H] float32) -> actions [batch]`: one complete stochastic PUCT search without noise."""
    search = new_search(
        network(spec, weights, num_actions, num_outcomes),
        rules(gumbel=False, simulations=sims, actions=num_actions, outcomes=num_outcomes, legality=ALL_LEGAL),
        batch,
    )

    def act(hidden: Rows) -> npt.NDArray[np.int64]:
        search.work.hidden[:] = hidden
        return search.run(observed=False).action

    return act


def network(spec: dict[str, int], weights: dict[str, Any], actions: int, outcomes: int) -> Network:
    """The benchmark's weights in our layout; its networks have no representation, so ours gets zeros."""
    sizes = Sizes(
        inputs=1, hidden=spec["H"], representation_blocks=0, afterstate_blocks=spec["nb_after"],
        outcome_blocks=spec["nb_out"], dynamics_blocks=spec["nb_dyn"], policy_blocks=spec["nb_pol"],
        value_blocks=spec["nb_val"], bins=spec["bins"], value_scale=0.1, actions=actions, outcomes=outcomes,
    )  # fmt: skip
    tensors: dict[str, Rows] = {}

    def linear(name: str, layer: tuple[Rows, Rows]) -> None:
        tensors[f"{name}.weight"], tensors[f"{name}.bias"] = layer[0].T, layer[1]

    def blocks(name: str, key: str) -> None:
        for i, block in enumerate(weights[key]):
            tensors[f"{name}.blocks.{i}.norm.weight"], tensors[f"{name}.blocks.{i}.norm.bias"] = block["g"], block["b"]
            linear(f"{name}.blocks.{i}.first", block["l1"])
            linear(f"{name}.blocks.{i}.second", block["l2"])

    linear("representation.input", (np.zeros((1, spec["H"]), np.float32), np.zeros(spec["H"], np.float32)))
    linear("afterstate.input", weights["after_in"])
    blocks("afterstate", "after")
    blocks("outcome", "out")
    linear("outcome.output", weights["out_o"])
    linear("dynamics.input", weights["dyn_in"])
    blocks("dynamics", "dyn")
    linear("dynamics.reward", weights["rew_o"])
    blocks("policy", "pol")
    linear("policy.output", weights["pol_o"])
    blocks("value", "val")
    linear("value.output", weights["val_o"])
    return pack(sizes, tensors)
