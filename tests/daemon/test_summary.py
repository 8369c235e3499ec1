"""The figures of a run against plain formulas of their own."""

import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.types import MINUTE, Fill, Trade
from daemon.runfolder import RunFolder
from daemon.summary import Costs, Drawdown, Latency, Run, caveats, max_drawdown, pnl_by_currency, trade_figures
from tests.daemon.made_run import EUR_USD, START, summary_of, trade

PROMISED = (
    "ticks dropped skipped_lines bars decisions orders trades wins losses win_rate expectancy_pips avg_pnl_pips "
    "quality_score net_pips profit_factor max_drawdown_pips max_drawdown_mtm_pips decision_ms ticks_per_s seconds "
    "model strategy seed out decision_log_sha256 source"
).split()

pip_lists = st.lists(st.integers(-5000, 5000).map(lambda tenth: tenth / 10), max_size=60)


def exact(values: list[float]) -> Fraction:
    return sum(map(Fraction, values), Fraction(0))


@given(pip_lists.filter(bool))
def test_figures_are_those_of_the_rules(pips: list[float]) -> None:
    """rules: Best model; a trade above 0 pips is a win, every other a loss. Checked in exact fractions."""
    figures = trade_figures(pips)
    wins, losses = [value for value in pips if value > 0], [value for value in pips if value <= 0]
    rate = Fraction(len(wins), len(pips))
    won = exact(wins) / len(wins) if wins else Fraction(0)
    lost = -exact(losses) / len(losses) if losses else Fraction(0)
    expectancy, average = rate * won - (1 - rate) * lost, exact(pips) / len(pips)
    score = expectancy * 5 + average / 2 + rate * min(len(pips), 10) * 2 + min(Fraction(len(pips), 10), Fraction(1))
    assert (figures["wins"], figures["losses"], figures["trades"]) == (len(wins), len(losses), len(pips))
    assert figures["win_rate"] == pytest.approx(float(rate), abs=1e-12)
    assert figures["expectancy_pips"] == pytest.approx(float(expectancy), abs=1e-9)
    assert figures["avg_pnl_pips"] == pytest.approx(float(average), abs=1e-9)
    assert figures["net_pips"] == pytest.approx(float(exact(pips)), abs=1e-9)
    assert figures["quality_score"] == pytest.approx(float(score), abs=1e-9)
    if exact(losses) == 0:
        assert figures["profit_factor"] is None
    else:
        assert figures["profit_factor"] == pytest.approx(float(exact(wins) / -exact(losses)), rel=1e-12)


@given(pip_lists)
def test_drawdown_is_the_deepest_fall_between_any_two_points(pips: list[float]) -> None:
    """Positive, on the closed-trade curve that starts at 0: every pair of points compared."""
    curve = [exact(pips[:count]) for count in range(len(pips) + 1)]
    deepest = max((early - late for place, early in enumerate(curve) for late in curve[place:]), default=Fraction(0))
    assert max_drawdown(pips) == pytest.approx(float(deepest), abs=1e-9)


def test_drawdown_does_not_gather_roundings() -> None:
    """A hundred thousand tenths of a pip lost are ten thousand pips, to 1e-9."""
    assert max_drawdown([-0.1] * 100_000) == pytest.approx(10_000.0, abs=1e-9)


def test_zero_trades_are_zeros_but_for_the_score() -> None:
    """Figures over zero trades are 0, the profit factor null, the score -1000 (rules: Best model)."""
    figures = trade_figures([])
    assert figures.pop("quality_score") == -1000.0
    assert figures.pop("profit_factor") is None
    assert set(figures.values()) == {0}


def test_the_summary_has_every_promised_key(tmp_path_factory: pytest.TempPathFactory) -> None:
    """interface: replay's keys, in a document that strict JSON can hold, with and without trades."""
    for trades in ((), (trade(1.0), trade(-2.0))):
        with RunFolder.create(tmp_path_factory.mktemp("run")) as folder:
            summary = summary_of(folder, trades, 10)
        assert set(PROMISED) <= set(summary)
        assert set(summary["decision_ms"]) == {"p50", "p99", "max"}
        assert json.loads(json.dumps(summary, allow_nan=False)) == summary
        assert summary["ticks_per_s"] == summary["ticks"] / summary["seconds"]


def test_the_curve_follows_the_clock(tmp_path: Path) -> None:
    """Of two instruments the one whose quotes end first may be booked last: the drawdown goes by time."""
    won, lost, late = trade(5.0, START), trade(-3.0, START + 9 * MINUTE), trade(-4.0, START + MINUTE)
    with RunFolder.create(tmp_path) as folder:
        assert summary_of(folder, (lost, won, late), 10)["max_drawdown_pips"] == 7.0


@given(st.lists(st.tuples(st.sampled_from(["USD", "JPY"]), st.decimals(-1000, 1000, places=5)), max_size=20))
def test_money_is_summed_exactly_in_each_currency(amounts: list[tuple[str, Decimal]]) -> None:
    """No currency is added to another, and no rounding gathers."""
    values = trade(0.0)
    fields = {name: getattr(values, name) for name in values.__slots__}
    trades = [Trade(**(fields | {"currency": currency, "pnl": amount})) for currency, amount in amounts]
    expected = {
        currency: float(sum((Fraction(amount) for other, amount in amounts if other == currency), Fraction(0)))
        for currency in {currency for currency, _ in amounts}
    }
    assert pnl_by_currency(trades) == expected


@given(st.lists(st.integers(1_000, 10**10), min_size=1, max_size=300))
def test_latency_quantiles_are_true_to_one_percent(durations: list[int]) -> None:
    """p50 and p99 are within 1 % of a duration of that rank; the maximum is exact."""
    latency = Latency()
    for duration in durations:
        latency.add(duration)
    document = latency.document()
    assert document["max"] == max(durations) / 1e6
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        rank = np.quantile(durations, share, method="inverted_cdf") / 1e6
        assert document[name] == pytest.approx(rank, rel=0.0101)


def test_latency_without_a_decision_is_zero() -> None:
    """A replay that never left the warm-up still has figures."""
    assert Latency().document() == {"p50": 0.0, "p99": 0.0, "max": 0.0}


def test_costs_explain_the_way_from_gross_to_net() -> None:
    """Bought at 138013 with the quote at 138000/138010 and sold at 138095 with it at 138100/138120: 1.5 pips of spread
    (half of each), 0.8 of slippage; the mid moved 10.5 pips, 8.2 are left."""
    costs = Costs()
    costs.fill(Fill("a", START, "EUR_USD", 1000, 138013, 138000, 138010, "entry"), EUR_USD)
    costs.fill(Fill("b", START, "EUR_USD", -1000, 138095, 138100, 138120, "close"), EUR_USD)
    document = costs.document(net_pips=8.2)
    assert document["spread_pips"] == pytest.approx(1.5)
    assert document["slippage_pips"] == pytest.approx(0.8)
    assert document["gross_pips"] == pytest.approx((138110 - 138005) / 10)


def test_a_reversal_pays_for_both_its_trades() -> None:
    """One order of twice the size closes one trade and opens the next: half a spread each."""
    costs = Costs()
    costs.fill(Fill("a", START, "EUR_USD", -2000, 138000, 138000, 138010, "reverse"), EUR_USD, trades=2)
    assert costs.spread_pips == pytest.approx(1.0)


@given(st.lists(st.floats(-1e6, 1e6), max_size=40))
def test_drawdown_never_shrinks(levels: list[float]) -> None:
    """The largest fall so far grows or stays, and is never negative."""
    fall = Drawdown()
    seen = [fall.update(level) for level in levels]
    assert seen == sorted(seen)
    assert all(value >= 0 for value in seen)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"synthetic": True}, "Synthetic"),
        ({"untrained": True}, "Untrained"),
        ({"in_sample": True}, "In-sample"),
        ({"in_sample": None}, "not known"),
        ({"source": "bars"}, "bars"),
        ({"learned_market": "regime"}, "no real quotes"),
    ],
)
def test_what_the_numbers_are_not_is_said(flags: dict[str, object], words: str) -> None:
    """Each flag has its sentence, and a clean run has none."""
    plain = {"source": "quotes", "in_sample": False}
    made = [
        list(caveats(Run("muzero", "m", 0, "out", instruments=(), bar="1m", **(plain | extra)), 1000, 1000))  # type: ignore[arg-type]
        for extra in ({}, flags)
    ]
    assert made[0] == []
    assert len(made[1]) == 1
    assert words in made[1][0]


def test_few_trades_and_no_decisions_are_said() -> None:
    """Chance is named where it rules, and so is a run that never decided."""
    run = Run("hold", "hold", 0, "out", "quotes", (), "1m", in_sample=False)
    assert "Few trades (3)" in next(caveats(run, 10, 3))
    assert "warm-up" in next(caveats(run, 0, 0))
