"""The window shows what happened, as it happened, and its drifts are those of plain formulas."""

import json
import math
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from broker.bars import BarSize
from broker.ledger import Ledger
from broker.oanda import Beat, Price
from broker.types import MINUTE, Action, Bar, Fill, Order
from daemon.web import Hub, Metrics, Query
from daemon.web.metrics import TABLE
from daemon.window import Window
from strategy.baselines import Hold
from strategy.features import CHANGE, OUTCOME_S
from strategy.lane import Lane
from strategy.plugin import Choice, Context
from tests.daemon.made_run import EUR_USD, observation, searched, trade


@pytest.fixture
def lane() -> Lane:
    """A lane that stands still."""
    strategy = Hold(Context(EUR_USD, np.random.SeedSequence(1)))
    return Lane(EUR_USD, BarSize(clock=True, size=MINUTE), None, strategy, Ledger(EUR_USD))


def told(hub: Hub) -> list[tuple[str, Any]]:
    """What listeners were told."""
    events = [message.decode().splitlines() for _, message in hub._history]
    return [(kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for _, kind, data, *_ in events]


def opened(window: Window) -> Window:
    """A window that tells."""
    window.told = True
    return window


def bar(seq: int) -> Bar:
    """The bar before a decision."""
    return observation(seq).bar


def test_what_is_told_is_what_happened(lane: Lane) -> None:
    """Decisions and trades: the latest first, as many as asked for, each told once."""
    hub = Hub()
    window = opened(Window([lane], hub, Metrics()))
    for seq in range(5):
        window.decided(observation(seq), searched(), 1, "spread" if seq == 3 else None, "m")
        window.traded(trade(float(seq)), Fill("", 0, "EUR_USD", -1, 1, 1, 2, "stop"))
    assert [row["seq"] for row in window.decisions(Query(3))] == [4, 3, 2]
    assert window.decisions(Query(10, "USD_JPY")) == []
    assert [row["pips"] for row in window.trades(Query(2, "EUR_USD"))] == [4.0, 3.0]
    assert window.net_pips == 10.0
    assert [kind for kind, _ in told(hub)] == ["decision", "trade"] * 5
    assert told(hub)[6][1]["veto"] == "spread"


def test_equity_is_what_was_closed_and_what_is_open(lane: Lane) -> None:
    """Each bar has the pips of all trades before it and of the open position at its end; the latest bar comes first."""
    hub = Hub()
    window = opened(Window([lane], hub, Metrics()))
    window.barred(EUR_USD, bar(0), 2.5)
    window.traded(trade(4.0), Fill("", 0, "EUR_USD", -1, 1, 1, 2, "stop"))
    window.barred(EUR_USD, bar(1), 0.0)
    window.barred(EUR_USD, bar(2), -1.0)
    rows = window.bars(Query(2))
    assert [row["equity_pips"] for row in rows] == [3.0, 4.0]
    assert window.bars(Query(3))[2]["equity_pips"] == 2.5
    assert window.bars(Query(9, "USD_JPY")) == []
    assert [document for kind, document in told(hub) if kind == "bar"] == window.bars(Query(3))[::-1]


def test_a_fill_is_compared_with_the_quote_decided_on(lane: Lane) -> None:
    """Two points above the ask that was shown are 0.2 pips worse; counted once."""
    metrics = Metrics()
    window = opened(Window([lane], Hub(), metrics))
    window.decided(observation(0, 138000, 138010), searched(Action.BUY), 1, None, "m")
    order = Order("mt-1", 0, "EUR_USD", 1000, 0, 0, "entry", 1, "m")
    window.ordered(order, Fill("mt-1", 1, "EUR_USD", 1000, 138012, 138001, 138012, "entry"))
    text = metrics.exposition().decode()
    assert 'micro_trader_fill_difference_pips_bucket{le="0.1"} 0.0' in text
    assert 'micro_trader_fill_difference_pips_bucket{le="0.2"} 1.0' in text
    assert 'micro_trader_orders_total{outcome="filled"} 1.0' in text


def test_model_drift_is_the_log_loss(lane: Lane) -> None:
    """Of what was said before the bar, about what it then did."""
    window = opened(Window([lane], Hub(), Metrics()))
    said = [((0.7, 0.2, 0.1), 5.0, 0), ((0.7, 0.2, 0.1), -5.0, 2), ((0.1, 0.9, 0.0), 0.1, 1)]
    assert math.isnan(window.model_drift())
    for seq, (chances, change, _) in enumerate(said):
        lane.state[OUTCOME_S] = 1.0
        window.decided(observation(seq), replace(searched(), outcome=chances), 0, None, "m")
        lane.state[CHANGE] = change
        window.barred(EUR_USD, bar(seq + 1), 0.0)
        window.barred(EUR_USD, bar(seq + 2), 0.0)
    assert window.model_drift() == pytest.approx(np.mean([-math.log(chances[label]) for chances, _, label in said]))


def test_feature_drift_is_in_deviations(lane: Lane) -> None:
    """The mean of the rows since, less that of training, over its deviation: the largest counts."""
    window = opened(Window([lane], Hub(), Metrics()))
    rows = np.random.default_rng(1).normal([0.0, 2.0, -1.0], 1.0, (50, 3))
    buffer = np.zeros(3)
    for seq, row in enumerate(rows):
        buffer[:] = row  # the lane hands out the same buffer each time
        window.decided(replace(observation(seq), features=buffer), Choice(Action.HOLD), 0, None, "m")
    deviation = np.array([1.0, 4.0, 0.5])
    assert window.feature_drift(np.zeros(3), deviation) == pytest.approx(np.abs(rows.mean(0) / deviation).max())
    assert np.array_equal(window.lately()[0][0].features, rows[0])


def test_money_is_written_out(lane: Lane) -> None:
    """A profit is a decimal, not a float."""
    window = opened(Window([lane], Hub(), Metrics()))
    window.traded(replace(trade(1.0), pnl=Decimal("0.10")), Fill("", 0, "EUR_USD", -1, 1, 1, 2, "stop"))
    assert window.trades(Query())[0]["pnl"] == "0.10"


def test_what_a_start_folds_is_kept_and_not_told(lane: Lane) -> None:
    """It happened before: listeners and counters have heard of it."""
    hub, metrics = Hub(), Metrics()
    window = Window([lane], hub, metrics)
    followed: list[tuple[str, float]] = []
    window.followed = lambda model, pips: followed.append((model, pips))
    window.decided(observation(0), searched(), 1, "spread", "m")
    window.traded(trade(2.0), Fill("", 0, "EUR_USD", -1, 1, 1, 2, "stop"))
    assert (len(window.decisions(Query())), len(window.trades(Query()))) == (1, 1)
    assert (told(hub), followed) == ([], [])
    assert 'vetoes_total{reason="spread"}' not in metrics.exposition().decode()
    window.told = True
    window.traded(trade(3.0), Fill("", 0, "EUR_USD", -1, 1, 1, 2, "stop"))
    assert followed == [("m", 3.0)]


def test_a_decision_is_timed_from_what_led_to_it(lane: Lane, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not from the start of the daemon; each price counts as a tick, a heartbeat does not."""
    clock = iter([0, 7_000_000_000, 9_000_000_000, 9_000_300_000])
    for module in ("window", "stages"):
        monkeypatch.setattr(f"daemon.{module}.perf_counter_ns", lambda: next(clock))
    metrics = Metrics()
    window = opened(Window([lane], Hub(), metrics))
    window.begin(Price(9, "EUR_USD", 138000, 138010, (), (), tradeable=True))
    window.begin(Beat(10))
    window.decided(observation(0), searched(), 0, None, "m")
    text = metrics.exposition().decode()
    assert 'micro_trader_tick_to_decision_seconds_bucket{le="0.0005"} 1.0' in text
    assert 'micro_trader_tick_to_decision_seconds_bucket{le="0.0002"} 0.0' in text
    assert 'micro_trader_ticks_total{instrument="EUR_USD"} 1.0' in text


def test_no_metric_is_an_empty_promise() -> None:
    """Each metric of the table is set somewhere in the daemon."""
    daemon = Path(__file__).parents[2] / "daemon"
    text = "".join(path.read_text() for path in daemon.rglob("*.py") if path.name != "metrics.py")
    assert [name for name in TABLE if f'"{name}"' not in text] == []
