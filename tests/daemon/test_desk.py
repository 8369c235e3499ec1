"""The desk against the fold: the same quotes, in any cutting and with any beats between, make the same decisions."""

from collections.abc import Iterator
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.bars import BarSize
from broker.ledger import Ledger
from broker.oanda import Ended, Filled, Noted
from broker.paper import PaperBroker, idle_watch
from broker.rates import Rates
from broker.types import SECOND, Action, Bar, Cancel, Fill, Order, Quotes
from daemon.desk import Desk
from daemon.events import (
    Activated,
    Backfilled,
    Barred,
    Beat,
    Command,
    Holding,
    Missed,
    Opened,
    Operator,
    Quoted,
    Reconciled,
    Told,
)
from daemon.snapshot import pack, unpack
from strategy import features
from strategy.lane import Lane
from strategy.plugin import Choice, Observation
from strategy.risk import Limits, Risk
from strategy.session import Session, fold
from tests.strategy.test_session import BAR, EUR_USD, USD_JPY, Notes, Scripted, random_quotes

PAIRS = (EUR_USD, USD_JPY)
BARS = {"clock": BarSize(True, BAR), "ticks": BarSize(False, 17)}
TIGHT = Limits(stop_sigma=4.0, take_profit_sigma=6.0, max_orders_per_minute=3, max_daily_loss=0.3, max_drawdown=1.0)
LATENCY = SECOND // 10


class Buyer:
    """Goes long, and stays."""

    model = "buyer"
    feature_set = None

    def __init__(self, model: str = "buyer") -> None:
        self.model = model

    def on_bar(self, bar: Bar) -> None:
        pass

    def decide(self, observation: Observation) -> Choice:
        return Choice(Action.HOLD if observation.expected else Action.BUY)


class Wire:
    """A broker whose fills the test tells."""

    def __init__(self) -> None:
        self.sent = []

    def watch(self, instrument):
        return idle_watch()

    def submit(self, order):
        self.sent.append(order)


def session_of(notes: Notes, broker=None, limits: Limits = TIGHT, strategy=None, size: str = "clock", pairs=PAIRS):
    made = [strategy() if strategy else Scripted(1) for _ in pairs]
    seen = features.get("edge20")
    lanes = [Lane(pair, BARS[size], seen, mind, Ledger(pair)) for pair, mind in zip(pairs, made, strict=True)]
    risk = Risk(limits, 1e5)
    return Session(lanes, broker or PaperBroker(LATENCY), risk, Rates(), "USD", 2 if strategy else 20, "t", notes)


def desk_of(notes: Notes, **given) -> Desk:
    return Desk(session_of(notes, **given), lambda event: [Buyer(event.model)])


def merged(feeds: list[Quotes]) -> list[Quoted]:
    """The quotes of all pairs in the order of their times."""
    rows = [
        (int(t), n, int(b), int(a))
        for n, feed in enumerate(feeds)
        for t, b, a in zip(feed.time, feed.bid, feed.ask, strict=True)
    ]
    return [Quoted(PAIRS[n].name, t, b, a) for t, n, b, a in sorted(rows, key=lambda row: row[:2])]


def cut(quotes: list[Quoted], seed: int, beats: bool) -> Iterator[list[Quoted] | Beat]:
    """Runs of consecutive quotes of one pair, of random lengths, and beats that say what the next quote will."""
    rng, i = np.random.default_rng(seed), 0
    while i < len(quotes):
        j, longest = i, int(rng.choice([1, 2, 30]))
        while j < len(quotes) and quotes[j].instrument == quotes[i].instrument and j - i < longest:
            j += 1
        yield quotes[i:j]
        if beats and j < len(quotes) and rng.random() < 0.2:
            yield Beat(int(rng.integers(quotes[j - 1].time, quotes[j].time + 1)))
        i = j


def columns(run: list[Quoted]) -> Quotes:
    return Quotes(*(np.array([getattr(q, name) for q in run], np.int64) for name in ("time", "bid", "ask")))


def feed(desk: Desk, parts: Iterator[list[Quoted] | Beat]) -> None:
    for part in parts:
        if isinstance(part, Beat):
            desk.apply(part)
        elif len(part) == 1:
            desk.apply(part[0])
        else:
            desk.quote(part[0].instrument, columns(part))


def until(notes: Notes, time: int) -> tuple[list, list, list]:
    """What was decided, ordered and traded before a time: beyond it the fold's feeds are over one by one."""
    return (
        [row for row in notes.log() if row[1] < time],
        [pair for pair in notes.orders if pair[1].time < time],
        [trade for trade in notes.trades if trade.close_time < time],
    )


@given(seed=st.integers(0, 10**6), beats=st.booleans())
def test_several_instruments_as_in_the_fold(seed: int, beats: bool) -> None:
    """Bars by the clock, shared limits, stops and take-profits: nothing depends on how the quotes arrive."""
    feeds = [random_quotes(seed, 900), random_quotes(seed + 1, 1100)]
    replayed, live = Notes(), Notes()
    fold(session_of(replayed), [iter([quotes]) for quotes in feeds])
    feed(desk_of(live), cut(merged(feeds), seed, beats))
    over = min(int(quotes.time[-1]) for quotes in feeds) - BAR
    assert until(live, over) == until(replayed, over)
    assert len(live.decisions) > 20


@given(seed=st.integers(0, 10**6), ticks=st.booleans())
def test_one_instrument_as_in_the_fold(seed: int, ticks: bool) -> None:
    """Tick bars too, quote by quote, with beats that the fold never hears."""
    size, quotes = "ticks" if ticks else "clock", random_quotes(seed, 1200)
    replayed, live = Notes(), Notes()
    fold(session_of(replayed, size=size, pairs=PAIRS[:1]), [iter([quotes])])
    feed(desk_of(live, size=size, pairs=PAIRS[:1]), cut(merged([quotes]), seed, True))
    assert live.log() == replayed.log()
    assert until(live, int(quotes.time[-1])) == until(replayed, int(quotes.time[-1]))


@given(seed=st.integers(0, 10**6), share=st.floats(0.1, 0.9), strategy=st.sampled_from([None, Buyer]))
@settings(max_examples=20)
def test_a_restart_from_memory_changes_nothing(seed: int, share: float, strategy) -> None:
    """What is kept, as bytes, is all there is: the desk made anew goes on as the one before would have."""
    quotes = merged([random_quotes(seed, 600), random_quotes(seed + 1, 700)])
    whole, first, second = Notes(), Notes(), Notes()
    uninterrupted = desk_of(whole, strategy=strategy)
    feed(uninterrupted, cut(quotes, seed, False))
    place = int(share * len(quotes))
    one = desk_of(first, strategy=strategy)
    feed(one, cut(quotes[:place], seed, False))
    other = desk_of(second, strategy=strategy)
    other.recall(unpack(pack(one.memory())))
    feed(other, cut(quotes[place:], seed + 1, False))
    assert first.log() + second.log() == whole.log()
    assert (first.orders + second.orders, first.trades + second.trades) == (whole.orders, whole.trades)
    assert pack(other.memory()) == pack(uninterrupted.memory())


def bars(desk: Desk, count: int, start: int = 0, price: int = 110_000) -> int:
    """A quote in each of some bars, and the beat that closes the last; the next bar's start."""
    for n in range(start, start + count):
        desk.apply(Quoted("EUR_USD", n * BAR, price, price + 2))
    desk.apply(Beat((start + count) * BAR))
    return start + count


@pytest.fixture
def live() -> tuple[Desk, Notes, Wire]:
    notes, wire = Notes(), Wire()
    desk = desk_of(notes, broker=wire, limits=Limits(max_orders_per_minute=0), strategy=Buyer, pairs=PAIRS[:1])
    desk.apply(Opened(0, "run"))
    return desk, notes, wire


def filled(order_id: str, units: int, time: int, price: int = 110_002, external: bool = False) -> Told:
    fill = Fill(order_id, time, "EUR_USD", units, price, price - 2, price, "entry" if units > 0 else "stop")
    return Told(Filled(1, fill, external, order_id, 1, Decimal(0), Decimal(0), Decimal(0), "x"))


def test_a_beat_closes_the_bar(live: tuple[Desk, Notes, Wire]) -> None:
    """At its boundary, without a quote; and not again when the next quote comes."""
    desk, notes, wire = live
    bars(desk, 2)
    assert [seen.time for seen, *_ in notes.decisions] == [2 * BAR]
    assert [order.id for order in wire.sent] == ["mt-run-1"]
    desk.apply(Quoted("EUR_USD", 2 * BAR, 110_000, 110_002))
    assert len(notes.bars) == 2


def test_a_quote_that_comes_late_belongs_to_the_next_bar(live: tuple[Desk, Notes, Wire]) -> None:
    """The bar of its time was decided upon without it, and is not made twice."""
    desk, notes, _ = live
    bars(desk, 2)
    desk.apply(Quoted("EUR_USD", 2 * BAR - 1, 110_000, 110_002))
    desk.apply(Beat(3 * BAR))
    assert [bar.start for _, bar, _ in notes.bars] == [0, BAR, 2 * BAR]


def test_the_account_tells_fills_and_ends(live: tuple[Desk, Notes, Wire]) -> None:
    """A fill opens, a held level closes, an end without a fill leaves things as they were; interest is its trade's."""
    desk, notes, wire = live
    bars(desk, 2)
    desk.apply(Told(Ended(1, Cancel(wire.sent[0].id, 2 * BAR, "EUR_USD", "rejected", "no"))))
    bars(desk, 1, 2)
    desk.apply(filled(wire.sent[1].id, 1000, 3 * BAR + 1))
    bars(desk, 1, 3)
    assert notes.decisions[-1][0].position == 1
    paid = (("EUR_USD", Decimal("-0.5")), ("USD_JPY", Decimal("-1")))
    desk.apply(Told(Noted(2, 0, "money", "DAILY_FINANCING", Decimal("-1.5"), paid)))
    desk.apply(filled("", -1000, 4 * BAR + 1, 109_000))
    assert notes.trades[0].financing == Decimal("-0.5")
    assert [trade.exit_reason for trade in notes.trades] == ["stop"]
    assert [end.outcome for _, end in notes.orders[:1]] == ["rejected"]
    balance = desk.memory()["session"]["risk"]["balance"]
    assert balance == pytest.approx(1e5 + float(notes.trades[0].pnl) - 1)


def test_what_another_hand_opened_is_adopted_and_what_it_closed_is_booked(live: tuple[Desk, Notes, Wire]) -> None:
    """The account is right; the desk goes on from there."""
    desk, notes, _ = live
    desk.apply(filled("", 500, 1, external=True))
    desk.apply(filled("", 500, 2, external=True))
    assert desk.memory()["session"]["lanes"]["EUR_USD"]["position"]["units"] == 1000
    desk.apply(filled("", -1000, 3, external=True))
    assert [trade.model for trade in notes.trades] == ["external"]


@pytest.mark.parametrize("ours", [True, False])
def test_a_fill_that_adds_is_adopted(ours: bool, live: tuple[Desk, Notes, Wire]) -> None:
    """One entry at a time is our rule, not the broker's: it is right, its order has ended, and nothing stops."""
    desk, notes, wire = live
    bars(desk, 2)
    desk.apply(filled(wire.sent[0].id, 1000, 2 * BAR + 1, 110_000))
    late = Order("mt-run-9", 2 * BAR, "EUR_USD", 3000, 0, 0, "entry", 1, "buyer")
    desk._session.lanes[0].in_flight[late.id] = late
    desk.apply(filled(late.id if ours else "", 3000, 2 * BAR + 2, 110_004, external=not ours))
    lane = desk.memory()["session"]["lanes"]["EUR_USD"]
    assert (lane["position"]["units"], lane["position"]["open_price"]) == (4000, 110_003)
    assert [order.id for order, _ in notes.orders] == [wire.sent[0].id, *([late.id] if ours else [])]
    assert len(lane["orders"]) == (0 if ours else 1)
    desk.apply(filled("", -4000, 3 * BAR))
    assert [(trade.model, trade.units) for trade in notes.trades] == [("external", 4000)]


def test_reconciling_takes_the_accounts_word(live: tuple[Desk, Notes, Wire]) -> None:
    """Positions, balance and orders are those of the account."""
    desk, _, _ = live
    bars(desk, 2)
    held = Holding("EUR_USD", -700, 110_000, 110_300, 0, "")
    desk.apply(Reconciled(2 * BAR, Decimal("99.5"), (held,), ()))
    known = desk.memory()["session"]
    assert (known["risk"]["balance"], known["lanes"]["EUR_USD"]["orders"]) == (99.5, [])
    assert known["lanes"]["EUR_USD"]["position"]["units"] == -700
    desk.apply(Reconciled(2 * BAR, Decimal("99.5"), (), ()))
    assert desk.memory()["session"]["lanes"]["EUR_USD"]["position"] is None


def test_an_operator_is_obeyed_until_it_is_over(live: tuple[Desk, Notes, Wire]) -> None:
    """Paused, reduced, halted: entries are vetoed by that name; flattened: all is closed at once, then paused."""
    desk, notes, wire = live
    at = bars(desk, 1)
    for command, why in ((Command.PAUSE, "paused"), (Command.REDUCE, "reducing"), (Command.HALT, "halted")):
        desk.apply(Operator(0, command, "test", "why not"))
        at = bars(desk, 1, at)
        assert notes.decisions[-1][3] == why
    desk.apply(Operator(0, Command.RESUME, "test", ""))
    at = bars(desk, 1, at)
    desk.apply(filled(wire.sent[-1].id, 1000, at * BAR + 1))
    desk.apply(Operator(0, Command.FLATTEN, "test", "home"))
    assert (wire.sent[-1].units, wire.sent[-1].reason, len(wire.sent)) == (-1000, "flatten", 2)


def test_reducing_closes_at_the_next_bar(live: tuple[Desk, Notes, Wire]) -> None:
    """Not before: a bar's decision comes first."""
    desk, _, wire = live
    at = bars(desk, 2)
    desk.apply(filled(wire.sent[-1].id, 1000, at * BAR + 1))
    desk.apply(Operator(0, Command.REDUCE, "test", ""))
    assert len(wire.sent) == 1
    bars(desk, 1, at)
    assert [order.reason for order in wire.sent] == ["entry", "flatten"]


def test_no_new_exposure_while_it_is_barred(live: tuple[Desk, Notes, Wire]) -> None:
    """A stale stream and an account that is not ready are named in the veto, one after the other."""
    desk, notes, wire = live
    bars(desk, 1)
    for by, why in (("stream", "stale"), ("account", "not_ready"), ("stream", ""), ("account", "")):
        desk.apply(Barred(0, by, why))
        bars(desk, 1, len(notes.bars))
    assert [veto for *_, veto, _ in notes.decisions] == ["stale", "stale", "not_ready", None]
    assert len(wire.sent) == 1


def test_a_gap_is_never_decided_upon(live: tuple[Desk, Notes, Wire]) -> None:
    """The bar that it cut short and the bars that stand in for it feed the features alone; entries wait."""
    desk, notes, wire = live
    bars(desk, 1)
    desk.apply(Quoted("EUR_USD", BAR, 110_000, 110_002))
    desk.apply(Missed("EUR_USD", BAR + 1, 5 * BAR))
    for n in (2, 3):
        desk.apply(
            Backfilled(
                "EUR_USD", Bar(n * BAR, (n + 1) * BAR, 220_001 / 2, 110_003, 110_000, 110_001, 0.2, 110_000, 110_002, 4)
            )
        )
    assert ([bar.start // BAR for _, bar, _ in notes.bars], notes.decisions) == ([0, 1, 2, 3], [])
    bars(desk, 1, 5)
    assert notes.decisions[-1][3] == "gap"
    desk.apply(Barred(0, "stream", ""))
    bars(desk, 1, 6)
    assert len(wire.sent) == 1


def test_candles_give_the_features_that_their_quotes_would(live: tuple[Desk, Notes, Wire]) -> None:
    """A bar made elsewhere, fed whole, moves features as its quotes do."""
    desk, notes, _ = live
    other = desk_of(Notes(), broker=Wire(), strategy=Buyer, pairs=PAIRS[:1])
    quotes = random_quotes(3, 200)
    feed(
        desk,
        iter(
            [
                [Quoted("EUR_USD", int(t), int(b), int(a))]
                for t, b, a in zip(quotes.time, quotes.bid, quotes.ask, strict=True)
            ]
        ),
    )
    for _, bar, _ in notes.bars:
        other.apply(Backfilled("EUR_USD", bar))
    one, two = (each.memory()["session"]["lanes"]["EUR_USD"]["features"] for each in (desk, other))
    assert two == pytest.approx(one, abs=1e-9)


def test_a_swap_changes_who_decides(live: tuple[Desk, Notes, Wire]) -> None:
    """Between two decisions, and the decisions say so."""
    desk, notes, _ = live
    at = bars(desk, 2)
    desk.apply(Activated(at * BAR, "next", "models/next"))
    bars(desk, 1, at)
    assert notes.models == ["buyer", "next"]
    assert desk.model == "next"
