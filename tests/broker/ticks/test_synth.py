"""Synthetic markets."""

import gzip
import hashlib
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from broker.errors import BadInput
from broker.ticks import open_ticks, stream
from broker.ticks.options import ReadOptions
from broker.ticks.synth import MARKETS, Plan, mid_path, plan_of, plan_path, quotes, synth


@pytest.mark.parametrize("market", MARKETS)
@pytest.mark.parametrize(("bars", "seed", "ticks"), [(300, 7, 6), (9000, 0, 6), (500, 3, 1)])
def test_quotes_are_those_of_the_reference(
    shared: Path, tmp_path: Path, market: str, bars: int, seed: int, ticks: int
) -> None:
    """The same market, bars, seed and ticks a bar give the reference generator's file, byte for byte."""
    spec = importlib.util.spec_from_file_location("reference_synth", shared / "synth" / "synth.py")
    assert spec is not None
    assert spec.loader is not None
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    reference.gen(market, str(tmp_path / "reference.csv.gz"), bars, seed, ticks)
    document = synth(Plan(market, bars, seed, ticks), tmp_path / "EUR_USD.csv.gz")
    assert document["ticks"] == bars * ticks
    assert gzip.open(tmp_path / "EUR_USD.csv.gz").read() == gzip.open(tmp_path / "reference.csv.gz").read()


def test_every_format_holds_the_same_quotes(tmp_path: Path) -> None:
    """A file is the same market whatever its ending, and the same bytes each time."""
    plan, found = Plan("regime", 200, 5), []
    for ending in (".csv", ".csv.zst", ".parquet", ".jsonl.gz"):
        for name in "ab":
            synth(plan, tmp_path / f"EUR_USD-{name}{ending}")
        first, second = (tmp_path / f"EUR_USD-{name}{ending}" for name in "ab")
        assert first.read_bytes() == second.read_bytes()
        (batch,) = stream([open_ticks(first)], ReadOptions())
        found.append((batch.time.tolist(), batch.bid.tolist(), batch.ask.tolist()))
    assert found[1:] == found[:-1]


def test_times_never_fall() -> None:
    """A quote drawn into a bar's last 60 ms does not come after the bar's last one (seed 0 has such bars)."""
    times = np.concatenate([rows.time for rows in quotes(Plan("mart", 9000, ticks_per_bar=10))])
    assert np.all(np.diff(times) >= 0)
    assert np.any(np.diff(times) == 0)


def test_yen_have_yens_prices(tmp_path: Path) -> None:
    """`--pip 0.01`: around 110, three decimals, the same path in pips."""
    synth(Plan("ou", 50, pip=0.01), tmp_path / "x.jsonl")
    file = open_ticks(tmp_path / "x.jsonl")
    assert file.instrument.name == "USD_JPY"
    yen = next(iter(file)).bid - 110_000
    synth(Plan("ou", 50), tmp_path / "EUR_USD.csv")
    assert np.array_equal(yen, next(iter(open_ticks(tmp_path / "EUR_USD.csv"))).bid - 110_000)


def test_scale_and_parameters(tmp_path: Path) -> None:
    """`--scale` multiplies moves and spread; `--param` has the last word."""
    for market in MARKETS:
        assert np.allclose(mid_path(Plan(market, 100, 1, scale=3.0)), 3 * mid_path(Plan(market, 100, 1)))
    rows = next(iter(quotes(Plan("mart", 100, 1, scale=2.0))))
    assert set((rows.mantissa[1] - rows.mantissa[0]).tolist()) == {20}
    rows = next(iter(quotes(Plan("mart", 100, 1, scale=2.0, params={"spread": 3.0}))))
    assert set((rows.mantissa[1] - rows.mantissa[0]).tolist()) == {30}


@pytest.mark.parametrize(
    "plan",
    [
        Plan("moon"), Plan("ou", 0), Plan("ou", ticks_per_bar=0), Plan("ou", seed=-1), Plan("ou", scale=0.0),
        Plan("ou", params={"speed": 1.0}), Plan("ou", params={"phi": 1.0}), Plan("ou", params={"sx": float("nan")}),
        Plan("mart", 2000, scale=1e5), Plan("ou", pip=float("nan")),
    ],
)  # fmt: skip
def test_plans_that_make_no_sense_are_refused(tmp_path: Path, plan: Plan) -> None:
    """Unknown markets and parameters, sizes out of range, a price below zero: nothing is written."""
    with pytest.raises(BadInput):
        synth(plan, tmp_path / "EUR_USD.csv")
    assert list(tmp_path.iterdir()) == []


def test_a_file_remembers_its_plan(tmp_path: Path) -> None:
    """The plan beside a file is that of its very bytes: other bytes, a damaged plan or none at all give none."""
    path, plan = tmp_path / "EUR_USD.csv.gz", Plan("ou", 50, 2, 3, scale=2.0, params={"spread": 1.5})
    synth(plan, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert plan_of(path, digest) == plan
    assert plan_of(path, "0" * 64) is None
    assert plan_of(tmp_path / "other.csv", digest) is None
    for damage in ("", "[]", "{}", plan_path(path).read_text().replace('"ou"', '"moon"')):
        plan_path(path).write_text(damage)
        assert plan_of(path, digest) is None
