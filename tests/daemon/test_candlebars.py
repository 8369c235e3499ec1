"""Candles as bars."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.bars import BarSize
from broker.oanda import Candle
from broker.types import HOUR, MINUTE, SECOND, Instrument
from daemon.candlebars import ALIGNED, bars_of, granularity_of, warm_up_start

EUR_USD = Instrument("EUR_USD", -4, 5, Decimal("0.02"))


@given(seconds=st.integers(1, 4 * 3600))
def test_the_longest_candles_that_fit(seconds: int) -> None:
    """They divide the bar, and no longer ones do; a bar that nothing divides, and one of quotes, has none."""
    name, size = granularity_of(BarSize(True, seconds * SECOND)), seconds * SECOND
    fitting = [length for length in ALIGNED.values() if size % length == 0]
    assert (ALIGNED[name] if name else None) == max(fitting, default=None)
    assert granularity_of(BarSize(False, 100)) == ""


def test_bars_are_made_of_their_candles_mids() -> None:
    """First open, highest high, lowest low, last close; the spread is the mean of the four, weighed by ticks; the
    quote known at the end is the last candle's close; a minute without candles is no bar."""
    found = [
        Candle(0, (100, 104, 98, 102), (110, 114, 108, 112), 3, True),
        Candle(30 * SECOND, (102, 120, 101, 103), (122, 140, 121, 123), 1, True),
        Candle(2 * MINUTE, (1, 1, 1, 1), (3, 3, 3, 3), 2, True),
    ]
    first, second = bars_of(found, EUR_USD, MINUTE)
    assert (first.start, first.end, first.ticks) == (0, MINUTE, 4)
    assert (first.open, first.high, first.low, first.close) == (105, 130, 103, 113)
    assert first.spread == pytest.approx((3 * 10 + 1 * 20) / 4 / 10)
    assert (first.bid, first.ask) == (103, 123)
    assert second.start == 2 * MINUTE


def test_a_warm_up_reaches_over_a_week_end() -> None:
    """Enough bars even where the market was closed in between."""
    now = 1_700_000_000 * SECOND
    assert now - warm_up_start(BarSize(True, MINUTE), 512, now) >= 512 * MINUTE + 49 * HOUR
