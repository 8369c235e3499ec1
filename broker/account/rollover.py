"""17:00 New York: when a good-for-day order ends and financing is paid. The rules are the paper broker's too."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache

from broker.account.entities import Json, State
from broker.account.market import Market
from broker.account.numbers import ZERO, money, rounded
from broker.calendar import NEW_YORK
from broker.types import DAY, SECOND

DAYS_CHARGED = {0: 1, 1: 1, 2: 3, 3: 1, 4: 1}
"""Days of interest by weekday: a position settles two days on, so Wednesday pays for the week-end too."""

_YEAR = Decimal(365)
_HOUR = 17


@lru_cache(maxsize=64)
def _rollover_of(day: int) -> tuple[int, int]:
    """17:00 New York of a day counted since the epoch, ns, and its weekday (Monday is 0)."""
    date = datetime(1970, 1, 1, _HOUR) + timedelta(days=day)  # noqa: DTZ001 - the zone follows
    return int(date.replace(tzinfo=NEW_YORK).timestamp()) * SECOND, date.weekday()


def next_rollover(time: int) -> int:
    """The first 17:00 New York after `time`, ns.

    >>> next_rollover(1_398_902_400 * SECOND) == 1_398_978_000 * SECOND   # 2014-05-01T00:00Z -> 21:00Z
    True
    """
    day = time // DAY - 1
    while (found := _rollover_of(day)[0]) <= time:
        day += 1
    return found


def weekday_of(rollover: int) -> int:
    """Weekday in New York of a rollover; Monday is 0."""
    return _rollover_of((rollover - _HOUR * 3600 * SECOND) // DAY)[1]


def next_payment(time: int) -> tuple[int, int]:
    """The first rollover after `time` (ns) at which financing is paid, and the days that it pays for."""
    due = next_rollover(time)
    while not (days := DAYS_CHARGED.get(weekday_of(due), 0)):
        due = next_rollover(due)
    return due, days


@dataclass(frozen=True, slots=True)
class Interest:
    """What a position of each side earns, as a share of its value a year; negative is paid.

    Attributes:
        long, short: by instrument.
        other: where neither names the instrument.
    """

    long: Mapping[str, Decimal] = field(default_factory=dict)
    short: Mapping[str, Decimal] = field(default_factory=dict)
    other: Decimal = ZERO

    def rate(self, instrument: str, side: int) -> Decimal:
        """A year's rate of a side (1 or -1)."""
        return (self.long if side > 0 else self.short).get(instrument, self.other)


def financing_of(value: Decimal, rate: Decimal, days: int) -> Decimal:
    """Money that a position of that value earns in so many days at `rate` a year.

    >>> financing_of(Decimal(10_000), Decimal("-0.0365"), 3)
    Decimal('-3.0000')
    """
    return rounded(value * rate * days / _YEAR)


def daily_financing(state: State, market: Market, interest: Interest, days: int) -> Json:
    """The amounts of a DAILY_FINANCING transaction."""
    positions: list[Json] = []
    total = ZERO
    for name in sorted({trade.instrument for trade in state.open.values()}):
        parts = [
            (trade.id, financing_of(market.value(name, trade.units), interest.rate(name, trade.side), days))
            for trade in state.open_in(name)
        ]
        paid = sum((amount for _, amount in parts), ZERO)
        total += paid
        positions.append(
            {
                "instrument": name,
                "financing": money(paid),
                "openTradeFinancings": [{"tradeID": str(trade), "financing": money(amount)} for trade, amount in parts],
            }
        )
    return {
        "financing": money(total),
        "accountBalance": money(state.balance + total),
        "accountFinancingMode": "DAILY",
        "positionFinancings": positions,
    }
