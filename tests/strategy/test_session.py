"""The session against an independent account of the rules, however its quotes are cut."""

from collections.abc import Iterator
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.bars import BarSize
from broker.ledger import Ledger
from broker.paper import PaperBroker
from broker.rates import Rates
from broker.types import SECOND, Action, Bar, Fill, Instrument, Quotes
from strategy import features
from strategy.lane import Lane
from strategy.plugin import Choice, Observation
from strategy.risk import Limits, Risk
from strategy.session import Session, fold
from tests.reference_account import Market, trades_of

EUR_USD = Instrument("EUR_USD", -4, 5, Decimal("0.02"))
USD_JPY = Instrument("USD_JPY", -2, 3, Decimal("0.04"))
BAR = 5 * SECOND
FIVE_SECONDS = BarSize(True, BAR)


class Scripted:
    """Draws among the legal actions, by the decision's time alone."""

    model = "scripted"
    feature_set = "edge20"

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def on_bar(self, bar: Bar) -> None:
        pass

    def decide(self, observation: Observation) -> Choice:
        draw = np.random.default_rng((self._seed, observation.time)).integers(8)
        legal = [action for action in Action if observation.legal[action]]
        return Choice(legal[draw % len(legal)])


class Notes:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.decisions, self.orders, self.trades, self.bars, self.events, self.models = [], [], [], [], [], []

    def decided(self, seen, choice, target, veto, model):
        row = None if seen.features is None else tuple(seen.features)
        self.decisions.append((seen, choice, target, veto, row))
        self.models.append(model)

    def ordered(self, order, end):
        self.orders.append((order, end))
        self.events.append(("order", order, end))

    def traded(self, trade, fill):
        self.trades.append(trade)
        self.events.append(("trade", trade, fill))

    def barred(self, instrument, bar, open_pips):
        self.bars.append((instrument.name, bar, open_pips))

    def log(self) -> list[tuple]:
        """All that a decision was made from and led to, comparable."""
        return [
            (
                s.seq,
                s.time,
                s.instrument.name,
                s.bar,
                s.position,
                s.legal,
                s.open_pips,
                s.bars_held,
                c.action,
                t,
                v,
                row,
            )
            for s, c, t, v, row in self.decisions
        ]


def random_quotes(seed: int, n: int, volatility: float = 4.0, quiet: float = 0.0) -> Quotes:
    """A seeded walk with many equal stamps, some exactly on a bar's boundary, and gaps."""
    rng = np.random.default_rng(seed)
    step = rng.choice([0, SECOND // 20, SECOND // 2, SECOND, 2 * BAR], n, p=[0.2, 0.3, 0.3, 0.19, 0.01])
    time = 1_700_000_000 * SECOND + np.cumsum(step)
    time[rng.random(n) < 0.1] //= SECOND // 2
    time[time < SECOND * 10**9] *= SECOND // 2
    time = np.maximum.accumulate(time)
    mid = 110_000 + np.cumsum(np.rint(rng.normal(0, volatility, n))).astype(np.int64)
    spread = rng.integers(0, 20, n)
    return Quotes(time.astype(np.int64), mid - spread // 2, mid - spread // 2 + spread)


def cut(quotes: Quotes, seed: int, mean: int) -> Iterator[Quotes]:
    """The quotes in random batches."""
    rng, i = np.random.default_rng(seed), 0
    while i < len(quotes):
        j = i + int(rng.integers(1, 2 * mean))
        yield Quotes(quotes.time[i:j], quotes.bid[i:j], quotes.ask[i:j])
        i = j


def run(
    feeds: dict[Instrument, Iterator[Quotes]],
    *,
    seed: int = 1,
    limits: Limits | None = None,
    latency: int = SECOND // 10,
    size: BarSize = FIVE_SECONDS,
    warmup: int = 20,
    strategy=Scripted,
    slippage: float = 0.0,
    commission: float = 0.0,
    rates: Rates | None = None,
    balance: float = 1e5,
) -> Notes:
    notes = Notes()
    lanes = [
        Lane(
            pair,
            size,
            features.get("edge20"),
            strategy(seed),
            Ledger(pair, slippage_pips=slippage, commission_pips=commission),
        )
        for pair in feeds
    ]
    limits = limits or Limits(stop_sigma=3.0, max_orders_per_minute=0)
    session = Session(
        lanes, PaperBroker(latency, slippage), Risk(limits, balance), rates or Rates(), "USD", warmup, "test", notes
    )
    fold(session, list(feeds.values()))
    return notes


@given(seed=st.integers(0, 10**6), latency=st.sampled_from([0, 1, SECOND // 10, SECOND, 2 * SECOND]))
def test_trades_are_what_the_rules_make_of_the_decisions(seed: int, latency: int) -> None:
    """Fills, stops, AMDDP1 and bars agree with a plain reading of the rules, trade by trade."""
    quotes = random_quotes(seed, 3000)
    notes = run({EUR_USD: iter([quotes])}, seed=seed, latency=latency)
    market = Market(quotes.time, quotes.bid, quotes.ask)
    decisions = [(seen.time, choice.action.name, seen.sigma) for seen, choice, *_ in notes.decisions]
    expected = trades_of(market, decisions, BAR, latency, 3.0)
    assert len(expected) == len(notes.trades) > 0
    for want, got in zip(expected, notes.trades, strict=True):
        for name in ("side", "open_time", "open_price", "close_time", "close_price", "exit_reason", "bars"):
            assert getattr(got, name) == getattr(want, name), name
        for name in ("pips", "dd_sum", "reward"):
            assert getattr(got, name) == pytest.approx(getattr(want, name), abs=1e-9), name


@given(seed=st.integers(0, 10**6))
def test_decisions_are_made_at_the_bars_the_rules_close(seed: int) -> None:
    """One decision for each closed bar after the warm-up, at its boundary, knowing its last quote and no later one."""
    quotes = random_quotes(seed, 2000)
    notes = run({EUR_USD: iter([quotes])}, seed=seed, warmup=20)
    ends = Market(quotes.time, quotes.bid, quotes.ask).bar_ends(BAR)
    assert [(bar.end, bar.bid, bar.ask) for _, bar, _ in notes.bars] == [
        (end, quotes.bid[i], quotes.ask[i]) for end, i in ends
    ]
    assert [seen.time for seen, *_ in notes.decisions] == [end for end, _ in ends[19:]]
    assert all(quotes.time[i] < end for end, i in ends)


@given(seed=st.integers(0, 10**6), mean=st.sampled_from([1, 3, 50, 700]), ticks=st.booleans())
def test_cutting_the_stream_changes_nothing(seed: int, mean: int, ticks: bool) -> None:
    """Quote by quote and in batches of any size: the same bars, decisions, features, orders and trades."""
    size = BarSize(False, 17) if ticks else BarSize(True, BAR)
    quotes = random_quotes(seed, 1500)
    whole = run({EUR_USD: iter([quotes])}, seed=seed, size=size)
    pieces = run({EUR_USD: cut(quotes, seed, mean)}, seed=seed, size=size)
    assert pieces.log() == whole.log()
    assert (pieces.bars, pieces.orders, pieces.trades) == (whole.bars, whole.orders, whole.trades)


@given(seed=st.integers(0, 10**6), mean=st.sampled_from([1, 40]))
def test_several_instruments_do_not_depend_on_the_cutting_either(seed: int, mean: int) -> None:
    """Lanes share account and order rate, and still their stops are handled in time order."""
    eur, jpy = random_quotes(seed, 1200), random_quotes(seed + 1, 1500)
    limits = Limits(stop_sigma=4.0, max_orders_per_minute=3, max_daily_loss=0.3, max_drawdown=1.0)
    whole = run({EUR_USD: iter([eur]), USD_JPY: iter([jpy])}, seed=seed, limits=limits)
    pieces = run({EUR_USD: cut(eur, seed, mean), USD_JPY: cut(jpy, seed + 7, mean)}, seed=seed, limits=limits)
    assert pieces.log() == whole.log()
    assert pieces.trades == whole.trades
    times = [seen.time for seen, *_ in whole.decisions]
    assert times == sorted(times)


@given(seed=st.integers(0, 10**6), share=st.floats(0.3, 0.99))
def test_the_future_is_not_known(seed: int, share: float) -> None:
    """Decisions over a stream cut short are a prefix of the full run's."""
    quotes = random_quotes(seed, 2000)
    n = int(share * len(quotes))
    full = run({EUR_USD: iter([quotes])}, seed=seed)
    part = run({EUR_USD: iter([Quotes(quotes.time[:n], quotes.bid[:n], quotes.ask[:n])])}, seed=seed)
    assert part.log() == full.log()[: len(part.log())]


@given(seed=st.integers(0, 10**6))
def test_tick_bars_end_with_their_last_quote(seed: int) -> None:
    """A tick bar holds N quotes, and its decision knows the N-th."""
    quotes = random_quotes(seed, 1000)
    notes = run({EUR_USD: iter([quotes])}, seed=seed, size=BarSize(False, 25))
    assert [(bar.end, bar.bid, bar.ask, bar.ticks) for _, bar, _ in notes.bars] == [
        (quotes.time[i], quotes.bid[i], quotes.ask[i], 25) for i in range(24, 1000, 25)
    ]


@given(seed=st.integers(0, 10**6))
def test_orders_follow_positions_when_bars_are_shorter_than_the_latency(seed: int) -> None:
    """With several orders in flight the sum decides: position and orders never leave -1..1 and end where fills say."""
    quotes = random_quotes(seed, 800)
    notes = run({EUR_USD: iter([quotes])}, seed=seed, size=BarSize(False, 2), latency=3 * SECOND)
    units = 0
    for kind, event, end in notes.events:
        if kind == "order" and isinstance(end, Fill):
            assert event.reason != "entry" or units == 0
            units += event.units
        elif kind == "order":
            assert end.reason in ("position_gone", "end_of_quotes")
        elif event.exit_reason in ("stop", "end"):
            units -= event.side * event.units
        assert abs(units) <= 1000
    assert units == 0


def test_a_reversal_is_one_order_and_two_rows() -> None:
    """With allow_reverse the opposite side closes and opens in one order of twice the size."""
    quotes = random_quotes(5, 4000)
    notes = run({EUR_USD: iter([quotes])}, limits=Limits(stop_sigma=0.0, allow_reverse=True, max_orders_per_minute=0))
    reversals = [(order, end) for order, end in notes.orders if order.reason == "reverse"]
    assert reversals
    by_close = {trade.close_time: trade for trade in notes.trades}
    for order, fill in reversals:
        assert abs(order.units) == 2000
        trade = by_close[fill.time]
        assert (trade.exit_reason, trade.close_price, trade.units) == ("reverse", fill.price, 1000)
        opened = [t for t in notes.trades if t.open_time == fill.time]
        assert [t.open_price for t in opened] == [fill.price]
