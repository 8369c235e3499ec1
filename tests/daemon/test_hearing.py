"""What the service makes of what it hears: inputs of the desk, in order, and nothing twice."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from broker.bars import BarSize
from broker.ledger import Ledger
from broker.oanda import Adopted, Alarm, Backfill, Beat, Candle, Down, Filled, Gap, Price
from broker.oanda.state import AccountState, OpenTrade
from broker.rates import Rates
from broker.types import DAY, HOUR, MINUTE, Fill
from daemon import events
from daemon.config import Config, Paper
from daemon.dayfolders import DayFolders
from daemon.desk import Desk
from daemon.events import Barred, Input, Missed, NoJournal, Opened, Quoted, Reconciled
from daemon.service import Service
from daemon.summary import Latency, Run
from strategy.lane import Lane
from strategy.risk import Limits, Risk
from strategy.session import Session
from tests.daemon.test_desk import Buyer, Wire
from tests.strategy.test_session import EUR_USD, Notes

MONDAY = 19_000 * DAY
Made = tuple[Service, "Heard", list[str]]


class Heard(NoJournal):
    """A journal that remembers its inputs."""

    def __init__(self) -> None:
        self.inputs: list[Input] = []

    def take(self, event: Input) -> None:
        self.inputs.append(event)

    def since(self) -> list[Input]:
        """What came since the last look."""
        found, self.inputs = self.inputs, []
        return found


class Account:
    """An account that says what the test wants."""

    def __init__(self) -> None:
        self.ready = True
        trade = OpenTrade(7, "EUR_USD", -300, 110_000, "mt-a-1", 8, 110_500)
        self.book = SimpleNamespace(state=AccountState(9, Decimal("99.5"), {7: trade}), log=SimpleNamespace(open=list))


def price(time: int, bid: int = 110_000, ask: int = 110_010, tradeable: bool = True) -> Price:
    return Price(time, "EUR_USD", bid, ask, ((bid, 1),), ((ask, 1),), tradeable)


@pytest.fixture
def hearing(tmp_path: Path) -> Iterator[Callable[..., Made]]:
    """Makes services whose files are closed at the end."""
    made: list[DayFolders] = []

    def make(**given: Any) -> Made:
        days, found = service(tmp_path, **given)
        made.append(days)
        return found

    yield make
    for days in made:
        days.abandon()


def service(folder: Path, account: Any = None, clock: int = 0, fix: str = "drop") -> tuple[DayFolders, Made]:
    journal, called = Heard(), []
    lane = Lane(EUR_USD, BarSize(True, MINUTE), None, Buyer(), Ledger(EUR_USD))
    session = Session([lane], Wire(), Risk(Limits(), 1e5), Rates(), "USD", 2, "t", Notes())
    desk = Desk(session, lambda event: [Buyer()])
    desk.clock = clock
    run = Run("buyer", "buyer", 0, "", "quotes", (EUR_USD,), "1m", mode="paper")
    days = DayFolders(folder, (EUR_USD,), 0.0, run, "", {"inputs": []}, Latency(), lambda job: job(), print)
    config = replace(Config(), paper=Paper(fix=fix))
    made = Service(
        config,
        "t",
        desk,
        session,
        journal,
        days,
        account,
        None,
        lambda: called.append("gap"),
        lambda: called.append("day"),
    )
    made.open("")
    return days, (made, journal, called)


def test_a_price_becomes_a_quote(hearing: Callable[..., Made]) -> None:
    """A crossed one is dropped and counted, or swapped where asked for; what can't be traded on is none."""
    made, journal, _ = hearing()
    for one in (price(MONDAY), price(MONDAY + 1, 110_020, 110_010), price(MONDAY + 2, tradeable=False)):
        made.hear(one)
    assert journal.since() == [
        Opened(0, "t"),
        Opened(MONDAY, "t"),
        Quoted("EUR_USD", MONDAY, 110_000, 110_010),
    ]
    assert made.dropped == 1
    swapping, journal, _ = hearing(fix="swap")
    swapping.hear(price(MONDAY, 110_020, 110_010))
    assert journal.since()[-1] == Quoted("EUR_USD", MONDAY, 110_010, 110_020)


def test_a_day_begins_once_the_one_before_is_over(hearing: Callable[..., Made]) -> None:
    """Its bars are closed first, then the state is kept, then the day is opened, with the limits in force."""
    made, journal, called = hearing()
    made.hear(price(MONDAY + DAY - 2 * MINUTE))
    journal.since()
    made.hear(Beat(MONDAY + DAY + HOUR))
    assert journal.since() == [
        events.Beat(MONDAY + DAY - 1),
        Opened(MONDAY + DAY, "t"),
        events.Limited(MONDAY + DAY, made.session.risk.limits),
        events.Beat(MONDAY + DAY + HOUR),
    ]
    assert called == ["day"]


def test_after_a_gap_nothing_new_until_the_account_was_read(hearing: Callable[..., Made]) -> None:
    """Stale, then a gap that its candles fill bar by bar, and only bars that are over; then all is well again."""
    made, journal, called = hearing(account=Account())
    made.hear(price(MONDAY))
    made.hear(Down(MONDAY, "gone"))
    assert journal.since()[-1] == Barred(MONDAY, "stream", "stale")
    end = MONDAY + 3 * MINUTE + 5
    made.hear(Gap(MONDAY, end))
    found = tuple(Candle(MONDAY + n * MINUTE, (1, 2, 1, 2), (3, 4, 3, 4), 5, True) for n in (1, 2, 3))
    made.hear(Backfill("EUR_USD", "M1", found))
    made.hear(price(end))
    kinds = [type(event).__name__ for event in journal.since()]
    assert kinds == ["Missed", "Backfilled", "Backfilled", "Quoted"]
    assert made.status()["barred"] == {"stream": "gap"}
    assert called == ["gap"]
    made.agreed()
    assert journal.since() == [Barred(end, "stream", "")]


def test_a_restart_marks_what_it_missed_and_hears_nothing_twice(hearing: Callable[..., Made]) -> None:
    """The snapshot that a new stream shows first may be the quote that was heard last."""
    made, journal, called = hearing(clock=MONDAY)
    made._last["EUR_USD"] = (MONDAY, 110_000, 110_010)
    made.hear(price(MONDAY))
    assert journal.since() == [Opened(MONDAY, "t")]
    made.hear(price(MONDAY + MINUTE))
    assert journal.since()[:1] == [Missed("EUR_USD", MONDAY, MONDAY + MINUTE)]
    assert called == ["gap"]


def test_the_accounts_word_is_taken_when_it_surprises(hearing: Callable[..., Made]) -> None:
    """What is held is then what the account holds; while it is not certain, nothing new is entered."""
    account = Account()
    made, journal, _ = hearing(account=account)
    journal.since()
    account.ready = False
    made.record((Adopted("EUR_USD", 0, -300),))
    made.apply((Adopted("EUR_USD", 0, -300),))
    told, reconciled, barred = journal.since()
    assert isinstance(told, events.Told)
    assert isinstance(reconciled, Reconciled)
    assert (reconciled.balance, reconciled.holdings[0].units, reconciled.holdings[0].stop) == (
        Decimal("99.5"),
        -300,
        110_500,
    )
    assert barred == Barred(0, "account", "not_ready")
    assert made.status()["instruments"]["EUR_USD"]["units"] == -300


def test_a_fill_that_adds_is_an_alarm(hearing: Callable[..., Made]) -> None:
    """The broker is right, and it is asked how the account stands; a person is told in the log."""
    made, journal, _ = hearing(account=Account())
    made.apply((Adopted("EUR_USD", 0, -300), Alarm("stop_missing", "look")))
    journal.since()
    fill = Fill("mt-a-2", MONDAY, "EUR_USD", -200, 110_000, 110_000, 110_010, "entry")
    said = Filled(10, fill, False, "mt-a-2", 8, Decimal(0), Decimal(0), Decimal("99.5"), "MARKET_ORDER")
    with capture_logs() as logs:
        made.apply((said, Alarm("stop_missing", "look")))
    assert [type(event) for event in journal.since()[:3]] == [events.Told, events.Told, Reconciled]
    assert [(line["event"], line["log_level"]) for line in logs] == [("external", "warning"), ("alarm", "warning")]
    assert (logs[0]["units"], logs[0]["order"]) == (-200, "mt-a-2")


@pytest.mark.parametrize(("loss", "guarded"), [(0.0, None), (5.0, {"EUR_USD": (0, 0)})])
def test_what_is_guarded(hearing: Callable[..., Made], loss: float, guarded: object) -> None:
    """Nothing without limits of loss."""
    made, _, _ = hearing()
    made.session.risk.limits = Limits(max_daily_loss=loss)
    assert made.guards() == guarded
