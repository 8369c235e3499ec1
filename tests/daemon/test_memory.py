"""What of the config decides what comes of an input, and what a state must have been of to be taken up."""

from dataclasses import replace

import pytest

from broker.instruments import instrument
from daemon.config import Config
from daemon.memory import RULING, rules, shape

PAIRS = [instrument("EUR_USD")]


def test_rules_change_with_what_decides_and_with_nothing_else() -> None:
    """Another seed, bar or limit can't be folded with the records of before; another log or state folder can."""
    config = Config()
    known = rules(config, PAIRS)
    changes = {"seed": 7, "bar": "5s", "strategy": "hold", "risk": replace(config.risk, units=7)}
    for name, value in changes.items():
        assert name in RULING
        assert rules(replace(config, **{name: value}), PAIRS) != known
    assert rules(config, [*PAIRS, instrument("USD_JPY")]) != known
    for other in (
        replace(config, log=replace(config.log, level="debug")),
        replace(config, state=replace(config.state, dir="elsewhere")),
    ):
        assert rules(other, PAIRS) == known
    assert rules(Config(), [instrument("EUR_USD")]) == known


@pytest.mark.parametrize(("name", "value", "same"), [("seed", 7, True), ("bar", "5s", False), ("mode", "live", False)])
def test_a_state_is_taken_up_where_its_arrays_fit(name: str, value: object, same: bool) -> None:
    """Bars of another length, or another account, have nothing to go on from."""
    config = Config()
    assert (shape(replace(config, **{name: value}), PAIRS) == shape(config, PAIRS)) is same
