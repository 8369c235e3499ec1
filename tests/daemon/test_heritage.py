"""A start under other rules takes over what the account is and what the operator said, and nothing of the bars."""

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.paper import PaperBroker
from broker.purse import Purse
from broker.types import SECOND, Bar
from daemon.desk import Desk
from daemon.events import Backfilled, Command, Holding, Operator, Reconciled
from daemon.heritage import inherited
from daemon.snapshot import pack, unpack
from strategy.risk import Limits
from strategy.session import Session
from tests.daemon.test_desk import LATENCY, PAIRS, Buyer, Wire, columns, merged, session_of
from tests.strategy.test_session import EUR_USD, Notes, random_quotes

LIMITS = Limits(stop_sigma=4.0, max_daily_loss=2.0, max_drawdown=5.0, max_orders_per_minute=30)
NAMES = [pair.name for pair in PAIRS]


def made(notes: Notes, size: str, pairs: Any = PAIRS) -> tuple[Desk, Session]:
    """A desk on paper."""
    broker = PaperBroker(LATENCY, purse=Purse("USD", Decimal(100_000)))
    session = session_of(notes, broker=broker, limits=LIMITS, size=size, pairs=pairs)
    session._rates = broker.purse
    return Desk(session, lambda event: [Buyer(event.model)]), session


def lived(seed: int, n: int, command: Command) -> tuple[Desk, Session]:
    """One that has heard quotes of two pairs, and its operator."""
    desk, session = made(Notes(), "clock")
    for quoted in merged([random_quotes(seed, n), random_quotes(seed + 1, n)]):
        desk.quote(quoted.instrument, columns([quoted]))
    desk.apply(Operator(desk.clock, command, "t", "test"))
    return desk, session


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(200, 500), command=st.sampled_from(Command))
def test_all_but_the_bars_outlives_another_length_of_them(seed: int, n: int, command: Command) -> None:
    """The same positions, orders, money, peak, loss of the day, limit hit and flags; empty bars, no features."""
    desk, session = lived(seed, n, command)
    after, other = made(Notes(), "ticks")
    known = unpack(pack(desk.memory()))
    heritage = inherited(after.memory(), known, NAMES, same_account=True, wired=False)
    after.recall(unpack(pack(heritage.desk)))
    assert heritage.closed == {}
    assert (after.state, other.halted, other.reducing) == (desk.state, session.halted, session.reducing)
    assert (other.risk.used(), other.risk.tripped) == (session.risk.used(), session.risk.tripped)
    assert other.risk.reasons() == session.risk.reasons()
    assert other._broker.purse.equity() == session._broker.purse.equity()
    for lane, before in zip(other.lanes, session.lanes, strict=True):
        assert (lane.ledger.position, lane.in_flight) == (before.ledger.position, before.in_flight)
        assert lane.bar["count"] == lane.state.any() == 0
        assert (lane.bar["bid"], lane.bar["ask"]) == (before.bar["bid"], before.bar["ask"])
    time = desk.clock + SECOND
    rest = merged([random_quotes(seed + 2, 100), random_quotes(seed + 3, 100)])
    for step, quoted in enumerate(rest):
        desk.quote(
            quoted.instrument, columns([quoted.__class__(quoted.instrument, time + step, quoted.bid, quoted.ask)])
        )
    assert desk.clock == time + len(rest) - 1


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(200, 500))
def test_equity_does_not_jump_where_an_instrument_is_dropped(seed: int, n: int) -> None:
    """On paper its position counts as closed at the last mark: drawdown and daily loss are what they were."""
    desk, session = lived(seed, n, Command.PAUSE)
    after, other = made(Notes(), "ticks", PAIRS[:1])
    heritage = inherited(after.memory(), unpack(pack(desk.memory())), NAMES[:1], same_account=True, wired=False)
    after.recall(heritage.desk)
    held = session.lanes[1].ledger.position is not None
    assert set(heritage.closed) == ({NAMES[1]} if held else set())
    for figure in ("equity", "daily_loss", "drawdown"):
        assert other.risk.used()[figure] == pytest.approx(session.risk.used()[figure], abs=1e-6)
    assert other.risk.balance - session.risk.balance == pytest.approx(sum(heritage.closed.values()))
    moved = other._broker.purse.balance - session._broker.purse.balance
    assert float(moved) == pytest.approx(sum(heritage.closed.values()), abs=0.01)
    assert other.risk.reasons() == {"operator": "paused"}


def test_another_account_has_another_peak() -> None:
    """Its money is not that of before; what the operator said still holds."""
    desk, _ = lived(7, 400, Command.HALT)
    after, other = made(Notes(), "clock")
    fresh = other.risk.used()
    heritage = inherited(after.memory(), desk.memory(), NAMES, same_account=False, wired=False)
    after.recall(heritage.desk)
    assert other.risk.used() == fresh
    assert (after.state, other.halted, other.risk.reasons()) == (Command.HALT, True, {"operator": "halted"})
    assert all(lane.ledger.position is None for lane in other.lanes)


def wired() -> tuple[Desk, Session]:
    """A desk over an account, which holds euros."""
    session = session_of(Notes(), broker=Wire(), limits=LIMITS, pairs=(EUR_USD,))
    desk = Desk(session, lambda event: [Buyer(event.model)])
    desk.apply(Reconciled(0, Decimal(100_000), (Holding("EUR_USD", 10_000, 110_000, 0, 0, ""),), ()))
    return desk, session


def test_what_the_account_holds_elsewhere_counts_until_it_is_gone() -> None:
    """At the value last marked, since nobody quotes it here; then the balance has it."""
    desk, session = wired()
    session.risk.mark("USD_JPY", 1, -40.0, 5000.0)
    dollars = Holding("USD_JPY", 1000, 15_000_000, 0, 0, "")
    desk.apply(Reconciled(2, Decimal(100_000), (dollars,), ()))
    assert session.risk.used()["equity"] == 99_960.0
    assert session.risk.used()["exposure"] == 5000.0
    desk.apply(Reconciled(3, Decimal(99_955), (), ()))
    assert session.risk.used()["equity"] == 99_955.0
    assert session.risk.used()["exposure"] == 0.0


def test_candles_of_before_the_start_say_nothing_of_what_is_held() -> None:
    """A warm-up through far better and worse prices: neither peak nor loss moves, nor what is known of the position."""
    desk, session = wired()
    lane = session.lanes[0]
    session.risk.mark("EUR_USD", 1, -1.0, 11_000.0)
    used, held = session.risk.used(), lane.ledger.position
    excursion = held.excursion.pnl, held.excursion.dd_sum, held.bars
    for n, close in enumerate((150_000, 90_000, 110_000)):
        start = n * lane.size.size
        bar = Bar(start, start + lane.size.size, *[float(close)] * 4, 1.0, close, close + 10, 5)
        desk.apply(Backfilled("EUR_USD", bar))
    assert session.risk.used() == used
    assert session.risk.tripped == ""
    assert lane.ledger.position is held
    assert (held.excursion.pnl, held.excursion.dd_sum, held.bars) == excursion
    assert np.count_nonzero(lane.state) > 0
