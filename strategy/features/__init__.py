"""What a strategy sees: incremental feature sets, volatility and market outcomes, one implementation for every mode."""

from strategy.features.kernel import EDGE20, MICRO15, NONE, new_state, observe, on_close
from strategy.features.market import (
    BARS,
    CHANGE,
    CLOSE,
    DOWN,
    HEAD,
    NEUTRAL,
    OUTCOME_BARS,
    OUTCOME_S,
    SIGMA,
    SPREAD,
    UP,
    outcome_label,
)
from strategy.features.sets import BUILT_IN, FeaturePlugin, FeatureSet, get, names

__all__ = [
    "BARS",
    "BUILT_IN",
    "CHANGE",
    "CLOSE",
    "DOWN",
    "EDGE20",
    "HEAD",
    "MICRO15",
    "NEUTRAL",
    "NONE",
    "OUTCOME_BARS",
    "OUTCOME_S",
    "SIGMA",
    "SPREAD",
    "UP",
    "FeaturePlugin",
    "FeatureSet",
    "get",
    "names",
    "new_state",
    "observe",
    "on_close",
    "outcome_label",
]
