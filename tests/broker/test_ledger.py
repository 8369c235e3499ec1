"""The ledger: AMDDP1, profit protection, costs, conversion, parts and reversals."""

import itertools
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import Fatal
from broker.ledger import Excursion, Ledger, amddp1
from broker.types import Fill, Financing, Instrument, Order

EUR_USD = Instrument("EUR_USD", -4, 5, Decimal("0.02"))
USD_JPY = Instrument("USD_JPY", -2, 3, Decimal("0.04"))


def fill(units: int, bid: int, ask: int, time: int = 0, reason: str = "close", pair: Instrument = EUR_USD) -> Fill:
    return Fill("o", time, pair.name, units, ask if units > 0 else bid, bid, ask, reason)


def order(units: int, stop: int = 0, take: int = 0) -> Order:
    return Order("o", 0, "EUR_USD", units, stop, take, "entry", 1 if units > 0 else -1, "m")


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=60))
def test_dd_sum_adds_growth_over_the_sample_before(samples: list[float]) -> None:
    """dd_sum grows by what dd exceeds its value at the sample before by, not its largest so far."""
    excursion = Excursion()
    dds = [0.0]
    for i, pnl in enumerate(samples):
        excursion.sample(pnl)
        dds.append(max(0.0, *samples[: i + 1]) - pnl)
    growth = sum(max(after - before, 0.0) for before, after in itertools.pairwise(dds))
    assert excursion.dd_sum == pytest.approx(growth, abs=1e-9)
    assert excursion.dd_max == max(dds)


@given(pips=st.floats(-50, 50), dd_sum=st.floats(0, 10_000))
def test_reward_is_amddp1_with_profit_protection(pips: float, dd_sum: float) -> None:
    """reward = pips - 0.01 dd_sum, and never below 0.01 for a winner."""
    reward = amddp1(pips, dd_sum)
    assert reward == (max(pips - 0.01 * dd_sum, 0.01) if pips > 0 else pips - 0.01 * dd_sum)


def test_the_spread_counts_at_the_entry() -> None:
    """The quote that filled the entry is the first sample: the spread is a drawdown at once."""
    ledger = Ledger(EUR_USD)
    ledger.on_fill(fill(1000, 110_000, 110_012), order(1000), Decimal(1), "USD")
    assert ledger.position is not None
    assert (ledger.position.excursion.dd, ledger.position.excursion.dd_sum) == (1.2, 1.2)


def test_a_trade_is_booked_in_pips_and_money() -> None:
    """Long 1000 from the ask to the bid: pips over the pip, money exact, bars counted."""
    ledger = Ledger(EUR_USD)
    ledger.on_fill(fill(1000, 110_000, 110_010, time=5), order(1000, stop=300, take=50), Decimal(1), "USD")
    ledger.on_bar(110_000, 110_020)
    ledger.on_bar(109_990, 110_000)
    trade = ledger.on_fill(fill(-1000, 110_040, 110_050, time=9), None, Decimal(1), "USD")
    assert trade is not None
    assert ledger.position is None
    assert (trade.pips, trade.pnl, trade.currency, trade.bars) == (3.0, Decimal("0.30000"), "USD", 2)
    assert (trade.open_time, trade.close_time, trade.side, trade.units) == (5, 9, 1, 1000)
    assert (trade.stop_price, trade.take_profit_price) == (109_710, 110_060)
    assert trade.dd_sum == pytest.approx(2.0)  # 1.0 at the entry, 1.0 still, then 2.0 at the second bar
    assert trade.reward == pytest.approx(3.0 - 0.02)


def test_commission_and_slippage_are_what_closing_would_cost() -> None:
    """Pips are net of commission; an open position's pips are those that a market order would bring."""
    ledger = Ledger(EUR_USD, slippage_pips=0.25, commission_pips=0.5)
    ledger.on_fill(Fill("o", 0, "EUR_USD", 1000, 110_013, 110_000, 110_010, "entry"), order(1000), Decimal(1), "USD")
    assert ledger.open_pips(110_040, 110_050) == pytest.approx((110_037 - 110_013) / 10 - 0.5)
    trade = ledger.on_fill(Fill("o", 1, "EUR_USD", -1000, 110_037, 110_040, 110_050, "close"), None, Decimal(1), "USD")
    assert trade is not None
    assert trade.pips == pytest.approx(1.9)
    assert trade.pnl == Decimal("0.19000")


def test_a_reversal_completes_and_opens() -> None:
    """One fill of twice the size: a trade, and a new position at the same price."""
    ledger = Ledger(EUR_USD)
    ledger.on_fill(fill(1000, 110_000, 110_010), order(1000), Decimal(1), "USD")
    trade = ledger.on_fill(fill(-2000, 110_050, 110_060, reason="reverse"), order(-2000), Decimal(1), "USD")
    assert trade is not None
    assert (trade.pips, trade.exit_reason) == (4.0, "reverse")
    assert (ledger.units, ledger.side) == (-1000, -1)
    assert ledger.position is not None
    assert ledger.position.open_price == 110_050


def test_a_part_leaves_a_row_and_the_rest_stays() -> None:
    """A partial exit leaves one row a part, and the entry stays."""
    ledger = Ledger(EUR_USD)
    ledger.on_fill(fill(1000, 110_000, 110_010), order(1000), Decimal(1), "USD")
    part = ledger.on_fill(fill(-400, 110_020, 110_030), None, Decimal(1), "USD")
    rest = ledger.on_fill(fill(-600, 110_040, 110_050), None, Decimal(1), "USD")
    assert part is not None
    assert rest is not None
    assert (part.units, part.pips, rest.units, rest.pips) == (400, 1.0, 600, 3.0)
    assert ledger.position is None


def test_money_stays_in_the_quote_currency_without_a_rate() -> None:
    """Where no rate is known, pnl stays in the quote currency and says so; with one it is converted."""
    for rate, currency, pnl in ((None, "JPY", Decimal("200.000")), (Decimal("0.01"), "USD", Decimal("2.00000"))):
        ledger = Ledger(USD_JPY)
        ledger.on_fill(fill(1000, 110_000, 110_010, pair=USD_JPY), order(1000), rate, "USD")
        trade = ledger.on_fill(fill(-1000, 110_210, 110_220, pair=USD_JPY), None, rate, "USD")
        assert trade is not None
        assert (trade.currency, trade.pnl) == (currency, pnl)


def test_a_fill_never_adds_to_a_position() -> None:
    """One entry per position: a second fill on the same side is a fault, not an average price."""
    ledger = Ledger(EUR_USD)
    ledger.on_fill(fill(1000, 110_000, 110_010), order(1000), Decimal(1), "USD")
    with pytest.raises(Fatal, match="adds to an open position"):
        ledger.on_fill(fill(1, 110_000, 110_010), order(1), Decimal(1), "USD")


def test_interest_is_money_and_no_pips() -> None:
    """It is in the profit of the parts that earned it, by their units, and in nobody's pips or reward."""
    ledger = Ledger(EUR_USD)
    ledger.on_fill(fill(1000, 110_000, 110_010), order(1000), Decimal(1), "USD")
    ledger.on_financing(Financing("EUR_USD", 1, Decimal("-0.5000"), "USD"), "USD")
    part = ledger.on_fill(fill(-400, 110_020, 110_030), None, Decimal(1), "USD")
    ledger.on_financing(Financing("EUR_USD", 2, Decimal("0.1000"), "USD"), "USD")
    rest = ledger.on_fill(fill(-600, 110_020, 110_030), None, Decimal(1), "USD")
    assert (part.financing, rest.financing) == (Decimal("-0.2"), Decimal("-0.2"))
    assert (part.pnl, rest.pnl) == (Decimal("0.04") - Decimal("0.2"), Decimal("0.06") - Decimal("0.2"))
    assert part.pips == rest.pips == 1.0


def test_interest_in_the_quote_currency_is_converted_with_the_profit() -> None:
    """It was booked before a rate was known."""
    for rate, pnl in ((None, Decimal(150)), (Decimal("0.01"), Decimal("1.5"))):
        ledger = Ledger(USD_JPY)
        ledger.on_fill(fill(1000, 110_000, 110_010, pair=USD_JPY), order(1000), None, "USD")
        ledger.on_financing(Financing("USD_JPY", 1, Decimal(-50), "JPY"), "USD")
        trade = ledger.on_fill(fill(-1000, 110_210, 110_220, pair=USD_JPY), None, rate, "USD")
        assert trade.pnl == pnl


@pytest.mark.parametrize(("bid", "pnl"), [(110_210, "1.98"), (109_810, "-2.02")])
def test_a_conversion_costs_its_fee(bid: int, pnl: str) -> None:
    """A gain becomes less and a loss more, and what needs no conversion pays none."""
    for pair, rate, money in ((USD_JPY, Decimal("0.01"), Decimal(pnl)), (EUR_USD, Decimal(1), None)):
        ledger = Ledger(pair, conversion_fee=Decimal("0.01"))
        ledger.on_fill(fill(1000, 110_000, 110_010, pair=pair), order(1000), rate, "USD")
        trade = ledger.on_fill(fill(-1000, bid, bid + 10, pair=pair), None, rate, "USD")
        assert trade.pnl == (Decimal(bid - 110_010) / 100 if money is None else money)
