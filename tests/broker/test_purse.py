"""The purse: several instruments on one margin, interest, and what can't be converted."""

from decimal import Decimal

from broker.account.rollover import Interest
from broker.instruments import instrument
from broker.paper import FAR, NEVER, PaperBroker
from broker.purse import Purse, Terms
from broker.types import DAY, HOUR, SECOND, Cancel, Fill, Financing, Order

EUR_USD, GBP_JPY, NZD_USD = (instrument(name) for name in ("EUR_USD", "GBP_JPY", "NZD_USD"))
MAY = 1_398_902_400 * SECOND
"""Thursday 2014-05-01, midnight UTC; New York's 17:00 is 21:00Z."""


def desk(balance: int, terms: Terms, *pairs) -> tuple[PaperBroker, Purse, list]:
    """A broker without latency, its purse and the watch records."""
    purse = Purse("USD", Decimal(balance), terms=terms)
    broker = PaperBroker(0, purse=purse)
    return broker, purse, [broker.watch(pair) for pair in pairs]


def trade(broker: PaperBroker, pair, units: int, price: int, time: int = MAY, why: str = "entry"):
    """What becomes of an order at a price without a spread."""
    opens = (units > 0) - (units < 0) if why == "entry" else 0
    broker.submit(Order("o", time, pair.name, units, 0, 0, why, opens, "m"))
    return broker.settle(pair.name, price, price)


def test_positions_share_the_margin() -> None:
    """1,000 dollars carry 2,000 euros' and 20,000 kiwis' worth, and not 20,000 kiwis more."""
    broker, purse, _ = desk(1000, Terms(margin=True), EUR_USD, NZD_USD)
    assert isinstance(trade(broker, EUR_USD, 20_000, 110_000), Fill)
    refused = trade(broker, NZD_USD, 30_000, 80_000)
    assert isinstance(refused, Cancel)
    assert refused.reason == "INSUFFICIENT_MARGIN"
    assert isinstance(trade(broker, NZD_USD, 20_000, 80_000), Fill)
    assert purse.equity().used == 440 + 480


def test_a_closeout_closes_everything() -> None:
    """What one instrument loses calls all: the others are closed at the next quote that they meet."""
    broker, purse, watches = desk(1000, Terms(margin=True), EUR_USD, NZD_USD)
    trade(broker, EUR_USD, 20_000, 110_000)
    trade(broker, NZD_USD, 20_000, 80_000)
    assert broker.trigger("EUR_USD", "risk", MAY + 1, 108_000, 108_000) is None
    assert -FAR < watches[0]["closeout"][0] < 2 * 108_000
    closed = broker.trigger("EUR_USD", "risk", MAY + 2, 107_000, 107_000)
    assert (closed.units, closed.reason, closed.price) == (-20_000, "risk", 107_000)
    assert watches[1]["closeout"][0] == FAR
    assert broker.trigger("NZD_USD", "risk", MAY + 3, 80_010, 80_010).units == -20_000
    assert [watch["closeout"][0] for watch in watches] == [-FAR, -FAR]
    assert purse.balance == 1000 - 600 + 2


def test_interest_is_due_before_all_else() -> None:
    """At 17:00 in New York, three days' on Wednesday, none over the week-end; and never on a flat position."""
    terms = Terms(interest=Interest({"EUR_USD": Decimal("-0.0365")}, {"EUR_USD": Decimal("0.0365")}))
    broker, purse, (watch,) = desk(100_000, terms, EUR_USD)
    trade(broker, EUR_USD, 10_000, 100_000, MAY + 6 * DAY)
    assert watch["due"][0] == MAY + 6 * DAY + 21 * HOUR - 1
    paid = [broker.settle("EUR_USD", 100_000, 100_000) for _ in range(3)]
    assert paid == [
        Financing("EUR_USD", MAY + day * DAY + 21 * HOUR, Decimal(amount), "USD")
        for day, amount in ((6, "-3.0000"), (7, "-1.0000"), (8, "-1.0000"))
    ]
    assert watch["due"][0] == MAY + 11 * DAY + 21 * HOUR - 1
    trade(broker, EUR_USD, -10_000, 100_000, MAY + 9 * DAY, "close")
    assert watch["due"][0] == NEVER
    assert purse.balance == 100_000 - 5


def test_what_no_rate_converts_counts_for_nothing() -> None:
    """Without a rate of the yen there is no margin of GBP/JPY, and its interest is in yen; with one there is."""
    terms = Terms(margin=True, interest=Interest(other=Decimal("-0.0365")))
    broker, purse, (watch,) = desk(1, terms, GBP_JPY)
    assert isinstance(trade(broker, GBP_JPY, 10_000, 100_000), Fill)
    assert (purse.equity().used, watch["closeout"][0]) == (0, -FAR)
    paid = broker.settle("GBP_JPY", 100_000, 100_000)
    assert (paid.amount, paid.currency, purse.balance) == (-100, "JPY", 1)
    purse.update(instrument("USD_JPY"), 100_000, 100_000)
    assert purse.equity().used == 500
    assert watch["closeout"][0] == FAR


def test_a_restart_takes_up_where_it_was() -> None:
    """Positions, balance, levels and what is due come back."""
    terms = Terms(margin=True, interest=Interest(other=Decimal("-0.0365")))
    broker, purse, (watch,) = desk(1000, terms, EUR_USD)
    trade(broker, EUR_USD, 10_000, 110_000)
    again, its_purse, (its_watch,) = desk(5, terms, EUR_USD)
    its_purse.recall(purse.memory())
    again.recall(broker.memory())
    assert its_watch == watch
    for each in (broker, again):
        each.submit(Order("x", MAY + DAY, "EUR_USD", -10_000, 0, 0, "close", 0, "m"))
    ends = [[each.settle("EUR_USD", 110_000, 110_010) for _ in range(2)] for each in (broker, again)]
    assert ends[0] == ends[1]
    assert its_purse.balance == purse.balance
