"""The Python API of a validation: any strategy as a contestant, judged on quotes in memory."""

from dataclasses import fields, replace
from functools import partial
from pathlib import Path

import pytest

from broker.errors import BadInput
from broker.types import Action
from daemon.config import Config
from daemon.config.sections import Validation
from daemon.contest import Contestant, baselines
from daemon.unseen import Stretch
from daemon.validation import again, bounds_of, chosen_version, examine_model
from daemon.verdict import CANDIDATE, INCUMBENT, Examination, document_of
from strategy.baselines import EmaCross, Hold, Random
from strategy.plugin import Choice, Context, Observation
from tests.daemon.made_validation import CONFIG, EUR_USD, WARMUP, made_quotes, model, rising
from training.gate import Bounds
from training.registry import Registry


class Waves(Hold):
    """In the market for ten bars, out of it for two: long, or short."""

    def __init__(self, context: Context, side: Action = Action.BUY) -> None:
        super().__init__(replace(context, settings={}))
        self._side, self._bars = side, 0

    def decide(self, observation: Observation) -> Choice:
        """By the count of bars alone."""
        self._bars += 1
        if observation.expected:
            return Choice(Action.CLOSE if self._bars % 12 == 10 else Action.HOLD)
        return Choice(self._side if self._bars % 12 == 0 else Action.HOLD)


LONG = Contestant("long", "hold", Waves)
SHORT = Contestant("short", "hold", partial(Waves, side=Action.SELL))
QUOTES = {"rising": rising(2), "random": made_quotes(3)}


def examined(who: Contestant, beside: Contestant | None, market: str, **more: object) -> Examination:
    """A validation on one of the markets."""
    quotes = QUOTES[market]
    part = Stretch(EUR_USD, quotes, "1m", int(quotes.time[0]), int(quotes.time[-1]), False)
    config = replace(CONFIG, validation=replace(CONFIG.validation, resamples=400))
    return examine_model(who, beside, [part], config, more.pop("tries", ()), time="t", **more)  # type: ignore[arg-type]


def test_who_earns_passes_beside_nothing_and_beside_who_loses() -> None:
    """On a market that rises the buyer passes; the seller doesn't, and as the incumbent it is found to lose."""
    alone = examined(LONG, None, "rising")
    assert alone.verdict.passed, alone.verdict.reasons
    assert alone.performances.keys() == {CANDIDATE}
    beside = examined(LONG, SHORT, "rising")
    assert beside.verdict.passed
    assert beside.incumbent_loses
    assert beside.performances.keys() == {CANDIDATE, INCUMBENT}
    turned = examined(SHORT, LONG, "rising")
    assert not turned.verdict.passed
    assert not turned.incumbent_loses


@pytest.mark.parametrize("factory", [Hold, Random, EmaCross, Waves])
def test_nothing_passes_where_nothing_can_be_earned(factory: type[Hold]) -> None:
    """On a random walk no rule passes, and none is better for a loser beside it."""
    who = Contestant("rule", "hold", lambda context: factory(replace(context, settings={})))
    for beside in (None, Contestant("random", "random", Random)):
        assert not examined(who, beside, "random").verdict.passed


def test_the_best_is_not_promoted_again_but_may_be_found_to_lose() -> None:
    """Validated against nothing, with a reason of its own; a loser is told."""
    good, bad = again(examined(LONG, None, "rising"), CONFIG), again(examined(SHORT, None, "rising"), CONFIG)
    assert good.verdict.reasons == ("it is the best one already",)
    assert (good.verdict.passed, good.incumbent_loses, bad.incumbent_loses) == (False, False, True)


def test_the_document_holds_everyone_and_every_play_is_told() -> None:
    """One entry a baseline, the same figures as alone; the meter moves once for each contestant."""
    told: list[int] = []
    found = examined(LONG, SHORT, "rising", others=baselines(), played=lambda: told.append(1))
    document = document_of("long", "short", found)
    assert len(told) == 6
    assert document["baselines"].keys() == {"hold", "random", "ema-cross", "mean-reversion"}
    assert document["baselines"]["hold"]["trades"] == 0
    assert document["incumbent_figures"]["net_pips"] < 0.0 < document["net_pips"]
    assert document["improvement_pips_per_1000_bars"] == pytest.approx(
        document["pips_per_1000_bars"] - document["incumbent_figures"]["pips_per_1000_bars"]
    )
    assert sum(part["bars"] for part in document["walk_forward"]) == len(QUOTES["rising"]) // 2 - WARMUP


def test_the_section_is_the_gate() -> None:
    """The config's keys and defaults are the gate's bounds."""
    assert bounds_of(Config()) == Bounds()
    assert {field.name for field in fields(Bounds)} <= {field.name for field in fields(Validation)}


def test_without_models_there_is_nothing_to_validate(tmp_path: Path) -> None:
    """An empty registry is told; a candidate that has its verdict is not chosen again."""
    registry = Registry(tmp_path, "test", lambda: 0)
    with pytest.raises(BadInput, match="no candidate waits for a verdict"):
        chosen_version(registry, None)
    key = model(tmp_path, 1)
    assert chosen_version(registry, None) == chosen_version(registry, key[:8]) == key
    registry.write_verdict(key, {"tries": []})
    with pytest.raises(BadInput, match="no model is best"):
        chosen_version(registry, None)
