"""What was tried is kept with the verdicts, and counts until something is promoted."""

import json
from pathlib import Path

import numpy as np

from tests.training.test_registry import made_model
from training.registry import Registry
from training.tries import Try, tries_of, tries_since_promotion, without

BARS = np.random.default_rng(1).normal(size=4000)


def made(model: str, time: str, stretch: str = "s") -> Try:
    """A try over an incumbent."""
    return Try.made(model, time, stretch, BARS, BARS[::-1])


def keep(registry: Registry, *tries: Try) -> None:
    """Write a verdict with these tries."""
    registry.write_verdict(tries[0].model, {"tries": [tried.document() for tried in tries]})


def test_a_try_comes_back_from_its_verdict() -> None:
    """Through JSON and back the same series; where nothing was the incumbent, they are one."""
    tried = made("m", "2020")
    (back,) = tries_of("m", json.loads(json.dumps({"tries": [tried.document()]})))
    assert back.document() == tried.document()
    assert abs(tried.earned.sum() - BARS.sum()) < 1e-3
    assert abs(tried.improved.sum()) < 1e-3
    alone = Try.made("m", "2020", "s", BARS, np.zeros(len(BARS)))
    assert alone.document()["improved"] is None
    earned, improved = tries_of("m", {"tries": [alone.document()]})[0].series()
    assert np.array_equal(earned.cells, improved.cells)
    assert tries_of("m", None) == ()


def test_tries_count_from_the_last_promotion_on(tmp_path: Path) -> None:
    """Those of every model, also of one that is gone; a rollback or a rejection starts nothing anew."""
    clock = iter(range(10**18, 2 * 10**18, 10**9))
    registry = Registry(tmp_path, "test", lambda: next(clock))
    keys = [registry.folders.add(made_model(number)) for number in range(3)]
    keep(registry, made(keys[0], "2001-01-01"), made(keys[0], "2001-02-01", "t"))
    assert [tried.stretch for tried in tries_since_promotion(registry)] == ["s", "t"]
    registry.promote(keys[0], "best so far")
    assert tries_since_promotion(registry) == ()
    keep(registry, made(keys[1], "2002-01-01"))
    keep(registry, made("f" * 16, "2003-01-01"))
    registry.reject(keys[2], "bad")
    assert {tried.model for tried in tries_since_promotion(registry)} == {keys[1], "f" * 16}
    registry.retire("lost")
    assert len(tries_since_promotion(registry)) == 2


def test_the_same_ticks_are_tried_once() -> None:
    """A repetition replaces its try; another model, or other ticks, is one more."""
    tries = (made("m", "1"), made("m", "1", "t"), made("n", "1"))
    left = without(tries, made("m", "2"))
    assert [(tried.model, tried.stretch) for tried in left] == [("m", "t"), ("n", "s")]
