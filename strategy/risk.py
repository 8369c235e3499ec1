"""Risk: what an entry must pass, and the loss at which an open position is closed. Every veto has a name.

`size`, `exposure`, `spread`, `stale`, `daily_loss`, `drawdown`, `order_rate`, `weekend`, `hours`, `news`, `no_rate`,
`illegal`, and whatever name new exposure was barred under. Only what opens or reverses a position is vetoed; an exit
always passes.
Losses count at market: the balance plus each instrument's open profit as last marked (at its bar closes and fills).
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from math import floor, inf
from typing import Any

from broker.types import DAY, MINUTE, Financing, Trade
from strategy.hours import News, Window, is_news, is_open


@dataclass(frozen=True, slots=True)
class Limits:
    """The [risk] section of the config. 0 switches a limit off.

    Attributes:
        units, max_units: units of an entry and the most it may have.
        risk_per_trade: share of equity lost at the stop; 0 = fixed `units`.
        stop_sigma, take_profit_sigma: distance of the levels in sigma per bar.
        allow_reverse: whether the opposite side is legal in a position.
        max_exposure: value of all positions, account currency.
        max_spread_pips: widest spread at which to enter.
        max_daily_loss, max_drawdown: loss since the UTC day began, and from the peak of equity, account currency.
        max_orders_per_minute: orders of all instruments in 60 s.
        max_quote_age: ns between the last quote and the decision.
        flatten_before_weekend: close before Friday 17:00 New York.
        hours: windows of the week in which to enter; () = always. news: times at which not to.
    """

    units: int = 1000
    risk_per_trade: float = 0.0
    stop_sigma: float = 30.0
    take_profit_sigma: float = 0.0
    allow_reverse: bool = False
    max_units: int = 100_000
    max_exposure: float = 0.0
    max_spread_pips: float = 0.0
    max_daily_loss: float = 0.0
    max_drawdown: float = 0.0
    max_orders_per_minute: int = 10
    max_quote_age: int = 0
    flatten_before_weekend: bool = False
    hours: tuple[Window, ...] = ()
    news: tuple[News, ...] = ()

    def size(self, equity: float, stop_loss: float) -> int:
        """Whole units of an entry.

        Args:
            equity: account currency.
            stop_loss: account currency lost by one unit at its stop; 0 where there is no stop.

        >>> Limits().size(1e5, 0.003), Limits(risk_per_trade=0.01).size(1e5, 0.003), Limits(units=10**9).size(1, 1)
        (1000, 100000, 100000)
        >>> Limits(risk_per_trade=0.01).size(1000, 0.003)
        3333
        """
        wanted = self.units
        if self.risk_per_trade > 0:
            wanted = floor(max(equity, 0.0) * self.risk_per_trade / stop_loss) if stop_loss > 0 else 0
        return min(wanted, self.max_units)


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry that wants to pass.

    Attributes:
        time: decision time; `quote_time` of the last quote known.
        units: unsigned; `value` of the position it would hold, account currency, None where no rate is known.
        spread_pips: of the last quote.
        weekend: whether the week is about to end or over.
    """

    instrument: str
    time: int
    quote_time: int
    units: int
    value: float | None
    spread_pips: float
    weekend: bool


class Risk:
    """Account-wide limits over all instruments.

    Args:
        limits: the [risk] section.
        balance: starting balance, account currency.
    """

    def __init__(self, limits: Limits, balance: float) -> None:
        self.limits = limits
        self.balance = balance
        self._open: dict[str, tuple[float, float]] = {}
        self._peak = balance
        self._day = -1
        self._day_start = balance
        self._tripped = ""
        self._orders: deque[int] = deque()
        self._barred: dict[tuple[str, str], str] = {}

    @property
    def equity(self) -> float:
        """Balance plus open profits as last marked."""
        return self.balance + sum(profit for profit, _ in self._open.values())

    @property
    def tripped(self) -> str:
        """The loss limit that was hit (`daily_loss` until the day ends, `drawdown` for good), or ""."""
        return self._tripped

    def mark(self, instrument: str, time: int, profit: float, value: float) -> None:
        """Note an instrument's open profit and position value at `time`, and see whether a limit is hit."""
        if time // DAY > self._day:
            self._day, self._day_start = time // DAY, self.equity
            if self._tripped == "daily_loss":
                self._tripped = ""
        self._open[instrument] = (profit, value)
        equity = self.balance + profit if len(self._open) == 1 else self.equity
        self._peak = max(self._peak, equity)
        if self.limits.max_daily_loss and self._day_start - equity >= self.limits.max_daily_loss:
            self._tripped = self._tripped or "daily_loss"
        if self.limits.max_drawdown and self._peak - equity >= self.limits.max_drawdown:
            self._tripped = "drawdown"

    def realise(self, trade: Trade, account: str) -> None:
        """A trade ended: its profit joins the balance (where its currency is known to be the account's)."""
        if trade.currency == account:
            self.balance += float(trade.pnl - trade.financing)

    def financed(self, said: Financing, account: str) -> None:
        """Interest joins the balance when it is booked."""
        if said.currency == account:
            self.balance += float(said.amount)

    def loss_room(self, instrument: str) -> float:
        """How far this instrument's open profit may fall from 0 before a loss limit is hit; inf without limits."""
        rest = self.equity - self._open.get(instrument, (0.0, 0.0))[0]
        floors = [-inf]
        if self.limits.max_daily_loss:
            floors.append(self._day_start - self.limits.max_daily_loss)
        if self.limits.max_drawdown:
            floors.append(self._peak - self.limits.max_drawdown)
        return rest - max(floors)

    def used(self) -> dict[str, float]:
        """How far the limits are used, account currency; orders are those of the last minute with one in it."""
        equity, last = self.equity, self._orders[-1] if self._orders else 0
        return {
            "equity": equity,
            "balance": self.balance,
            "daily_loss": self._day_start - equity,
            "drawdown": self._peak - equity,
            "exposure": sum(value for _, value in self._open.values()),
            "orders_in_a_minute": sum(time > last - MINUTE for time in self._orders),
        }

    def ordered(self, time: int) -> None:
        """An order left."""
        self._orders.append(time)

    def bar(self, by: str, why: str, instrument: str = "") -> None:
        """Veto entries, in one instrument or in all, because of `why`; "" lifts what the same `by` has barred."""
        self._barred.pop((by, instrument), None)
        if why:
            self._barred[by, instrument] = why

    def barred(self, instrument: str) -> str:
        """Why new exposure in an instrument is barred, or ""."""
        return next((why for (_, name), why in self._barred.items() if name in ("", instrument)), "")

    def reasons(self) -> dict[str, str]:
        """Who has barred new exposure in all instruments, and why."""
        return {by: why for (by, name), why in self._barred.items() if not name}

    def veto(self, entry: Entry) -> str | None:
        """Why the entry may not go, or None."""
        limits = self.limits
        while self._orders and self._orders[0] <= entry.time - MINUTE:
            self._orders.popleft()
        others = sum(value for name, (_, value) in self._open.items() if name != entry.instrument)
        guards_money = bool(limits.max_exposure or limits.max_daily_loss or limits.max_drawdown)
        barred = self.barred(entry.instrument)
        checks = (
            (barred, bool(barred)),
            (self._tripped, bool(self._tripped)),
            ("weekend", entry.weekend),
            ("hours", not is_open(limits.hours, entry.time)),
            ("news", is_news(limits.news, entry.time, entry.instrument)),
            ("stale", 0 < limits.max_quote_age < entry.time - entry.quote_time),
            ("spread", 0 < limits.max_spread_pips < entry.spread_pips),
            ("size", entry.units < 1),
            ("no_rate", guards_money and entry.value is None),
            ("exposure", 0 < limits.max_exposure < others + (entry.value or 0.0)),
            ("order_rate", 0 < limits.max_orders_per_minute <= len(self._orders)),
        )
        return next((name for name, hit in checks if hit), None)

    def memory(self) -> dict[str, Any]:
        """All that is known, as JSON has it; `recall` takes it back."""
        return {
            "balance": self.balance,
            "open": self._open,
            "peak": self._peak,
            "day": [self._day, self._day_start],
            "tripped": self._tripped,
            "orders": list(self._orders),
            "barred": [[*key, why] for key, why in self._barred.items()],
        }

    def recall(self, known: Mapping[str, Any]) -> None:
        """Take up where `memory` was asked."""
        self.balance, self._peak, self._tripped = known["balance"], known["peak"], known["tripped"]
        self._open = {name: (profit, value) for name, (profit, value) in known["open"].items()}
        self._day, self._day_start = known["day"]
        self._orders = deque(known["orders"])
        self._barred = {(by, name): why for by, name, why in known["barred"]}
