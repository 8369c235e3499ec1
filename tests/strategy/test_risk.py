"""Risk: each limit has its name, exits are never its business, and loss limits stick as they say."""

import json
from decimal import Decimal

import numpy as np
import pytest

from broker.rates import Rates
from broker.types import DAY, MINUTE, SECOND, Quotes, Trade
from strategy.hours import News, windows_of
from strategy.risk import Entry, Limits, Risk
from tests.strategy.test_session import EUR_USD, USD_JPY, random_quotes, run

NOON = 1_700_000_000 * SECOND // DAY * DAY + DAY // 2


def entry(**changes: object) -> Entry:
    values = {
        "instrument": "EUR_USD",
        "time": NOON,
        "quote_time": NOON,
        "units": 1000,
        "value": 1100.0,
        "spread_pips": 1.0,
        "weekend": False,
    }
    return Entry(**(values | changes))  # type: ignore[arg-type]


def trade(pnl: str) -> Trade:
    return Trade("EUR_USD", 1, 1, 0, 1, 0, 1, 0.0, Decimal(pnl), "USD", 0.0, 0.0, 0, "m", "close", 0, 0)


@pytest.mark.parametrize(
    ("limits", "changes", "veto"),
    [
        (Limits(), {}, None),
        (Limits(max_spread_pips=1.0), {}, None),
        (Limits(max_spread_pips=0.9), {}, "spread"),
        (Limits(max_quote_age=SECOND), {"quote_time": NOON - SECOND}, None),
        (Limits(max_quote_age=SECOND), {"quote_time": NOON - SECOND - 1}, "stale"),
        (Limits(), {"units": 0}, "size"),
        (Limits(max_exposure=1100.0), {}, None),
        (Limits(max_exposure=1099.0), {}, "exposure"),
        (Limits(max_exposure=1099.0), {"value": None}, "no_rate"),
        (Limits(), {"value": None}, None),
        (Limits(), {"weekend": True}, "weekend"),
        (Limits(hours=windows_of("09:00-12:00")), {"time": NOON - 1}, None),
        (Limits(hours=windows_of("09:00-12:00")), {}, "hours"),
        (Limits(news=(News(NOON, NOON + MINUTE, "USD"),)), {}, "news"),
        (Limits(news=(News(NOON, NOON + MINUTE, "JPY"),)), {}, None),
    ],
)
def test_each_limit_has_its_name(limits: Limits, changes: dict[str, object], veto: str | None) -> None:
    """An entry at the limit passes, beyond it the limit's name is the veto."""
    assert Risk(limits, 1e5).veto(entry(**changes)) == veto


def test_exposure_counts_all_instruments() -> None:
    """What other instruments hold counts; the instrument's own position is what the entry replaces."""
    risk = Risk(Limits(max_exposure=2000.0), 1e5)
    risk.mark("EUR_USD", NOON, 0.0, 1500.0)
    assert risk.veto(entry()) is None
    risk.mark("USD_JPY", NOON, 0.0, 1000.0)
    assert risk.veto(entry()) == "exposure"


def test_the_order_rate_looks_back_a_minute() -> None:
    """The eleventh order within 60 s is refused, and passes once the first is a minute old."""
    risk = Risk(Limits(max_orders_per_minute=2), 1e5)
    risk.ordered(NOON)
    risk.ordered(NOON + SECOND)
    assert risk.veto(entry(time=NOON + MINUTE - 1, quote_time=NOON + MINUTE - 1)) == "order_rate"
    assert risk.veto(entry(time=NOON + MINUTE, quote_time=NOON + MINUTE)) is None


def test_a_daily_loss_ends_with_the_day_and_a_drawdown_does_not() -> None:
    """Both count open profits; the day's limit is lifted at UTC midnight, the peak's never."""
    risk = Risk(Limits(max_daily_loss=10.0, max_drawdown=25.0), 1000.0)
    risk.mark("EUR_USD", NOON, -9.99, 1000.0)
    assert risk.tripped == ""
    risk.mark("EUR_USD", NOON, -10.0, 1000.0)
    risk.realise(trade("-8"), "USD")
    risk.mark("EUR_USD", NOON + 1, 0.0, 0.0)
    assert risk.veto(entry()) == risk.tripped == "daily_loss"
    risk.mark("EUR_USD", NOON + DAY, 0.0, 0.0)
    assert (risk.tripped, risk.equity) == ("", 992.0)
    risk.mark("EUR_USD", NOON + DAY, -5.0, 1000.0)
    assert risk.loss_room("EUR_USD") == pytest.approx(10.0)
    risk.realise(trade("-17"), "USD")
    risk.mark("EUR_USD", NOON + DAY, 0.0, 0.0)
    risk.mark("EUR_USD", NOON + 9 * DAY, 0.0, 0.0)
    assert risk.tripped == "drawdown"


@pytest.mark.parametrize("limit", ["max_daily_loss", "max_drawdown"])
def test_a_loss_limit_closes_the_position_where_it_is_hit(limit: str) -> None:
    """In the session: the trade that hits the limit ends with `risk`, close to the limit, and no entry follows."""
    room = 0.6  # dollars: 6 pips of 1000 units
    found = False
    for seed in range(8):
        walk = random_quotes(seed, 3000, volatility=1.0)
        quotes = Quotes(walk.time, walk.bid, walk.bid + 5)
        notes = run({EUR_USD: iter([quotes])}, limits=Limits(stop_sigma=0.0, **{limit: room}), latency=0)
        ended = [t for t in notes.trades if t.exit_reason == "risk"]
        if not ended:
            continue
        found = True
        curve = np.cumsum([0.0] + [float(t.pnl) for t in notes.trades if t.close_time <= ended[0].close_time])
        if limit == "max_daily_loss":
            assert room - 0.1 < curve[0] - curve[-1] < room + 0.1
        else:  # the peak may be of open profit, so the closed curve fell by at most the room
            assert curve.max() - curve[-1] < room + 0.1
        after = [
            veto for seen, choice, _, veto, _ in notes.decisions if seen.time > ended[0].close_time and choice.action
        ]
        same_day = notes.decisions[-1][0].time // DAY == ended[0].close_time // DAY
        assert not same_day or set(after) == {limit.removeprefix("max_")}
    assert found


def test_positions_are_flat_over_the_weekend() -> None:
    """With flatten_before_weekend nothing is held or opened from a quarter of an hour before the close."""
    friday = 1_399_669_200 * SECOND  # 2014-05-09T21:00Z, the week's close
    quotes = random_quotes(3, 4000)
    moved = Quotes(quotes.time - quotes.time[-1] + friday, quotes.bid, quotes.ask)
    limits = Limits(stop_sigma=0.0, flatten_before_weekend=True, max_orders_per_minute=0)
    notes = run({EUR_USD: iter([moved])}, limits=limits)
    late = [(seen, veto) for seen, _, target, veto, _ in notes.decisions if seen.time > friday - 14 * MINUTE and target]
    assert late
    assert all(veto == "weekend" for seen, veto in late if not seen.expected)
    assert any(t.exit_reason == "flatten" for t in notes.trades)
    assert all(t.close_time <= friday - 14 * MINUTE for t in notes.trades)


def test_position_size_by_risk_per_trade() -> None:
    """A stopped-out trade loses about the share of equity asked for, whatever the pair's currency."""
    limits = Limits(stop_sigma=2.0, risk_per_trade=0.001, max_units=10**9, max_orders_per_minute=0)
    for pair, rates in ((EUR_USD, Rates()), (USD_JPY, Rates())):
        notes = run({pair: iter([random_quotes(11, 3000)])}, limits=limits, rates=rates, balance=1e4)
        stopped = [t for t in notes.trades if t.exit_reason == "stop"]
        assert stopped
        for t in stopped:
            distance = abs(t.open_price - t.stop_price)
            overshoot = abs(t.close_price - t.stop_price)
            asked = 10.0 * (distance + overshoot) / distance
            assert float(-t.pnl) == pytest.approx(asked, rel=0.1)


def test_losses_survive_a_restart() -> None:
    """What was lost since midnight and since the peak is known again from what was kept, as JSON has it."""
    limits = Limits(max_daily_loss=10.0, max_drawdown=25.0)
    first, second = Risk(limits, 1000.0), Risk(limits, 1000.0)
    first.mark("EUR_USD", NOON, 20.0, 1000.0)
    first.mark("EUR_USD", NOON + DAY, 20.0, 1000.0)
    first.mark("EUR_USD", NOON + DAY + 1, 10.0, 1000.0)
    second.recall(json.loads(json.dumps(first.memory())))
    assert second.veto(entry(time=NOON + DAY + 2, quote_time=NOON + DAY + 2)) == "daily_loss"
    assert second.used() == first.used()
    second.mark("EUR_USD", NOON + 2 * DAY, 10.0, 1000.0)
    assert second.tripped == ""
    second.mark("EUR_USD", NOON + 2 * DAY, -5.0, 1000.0)
    assert second.tripped == "drawdown"
