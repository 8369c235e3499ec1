"""An independent account: what the rules say orders, trades and money must be, from quotes and decisions alone.

Plain Python, sharing no code with the program. Prices are integer points, times ns.
"""

from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import ceil, inf
from zoneinfo import ZoneInfo

import numpy as np

NEW_YORK = ZoneInfo("America/New_York")
BUY, SELL, CLOSE = "BUY", "SELL", "CLOSE"


@dataclass
class Market:
    """Valid quotes of one instrument: times ns, prices in points."""

    time: np.ndarray
    bid: np.ndarray
    ask: np.ndarray
    points_per_pip: int = 10
    point: Decimal = Decimal("0.00001")
    tiers: list[tuple[list[tuple[int, int]], list[tuple[int, int]]]] | None = None  # (points, units) of bids, asks

    def bar_ends(self, length: int) -> list[tuple[int, int]]:
        """(end, index of its last quote) of each closed clock bar."""
        number = self.time // length
        last = np.flatnonzero(np.diff(number, append=number[-1] + 1))
        ends = [(int((number[i] + 1) * length), int(i)) for i in last]
        return [(end, i) for end, i in ends if end <= self.time[-1]]

    def prevailing(self, time: int) -> int:
        """Index of the last quote at or before `time`."""
        return int(np.searchsorted(self.time, time, side="right")) - 1

    def closing(self, side: int, i: int) -> int:
        return int(self.bid[i] if side > 0 else self.ask[i])

    def mid(self, i: int) -> Decimal:
        """As a price."""
        return Decimal(int(self.bid[i] + self.ask[i])) * self.point / 2

    def taken(self, i: int, units: int, endless: bool = False) -> list[tuple[int, int]]:
        """(points, units) that an order of signed units takes."""
        best = int(self.ask[i] if units > 0 else self.bid[i])
        tiers = [(best, abs(units))] if self.tiers is None else self.tiers[i][1 if units > 0 else 0]
        taken, left = [], abs(units)
        for place, (price, most) in enumerate(tiers):
            some = left if endless and place == len(tiers) - 1 else min(most, left)
            taken.append((price, some))
            left -= some
        return taken


@dataclass
class ExpectedTrade:
    side: int
    open_time: int
    open_price: int
    close_time: int
    close_price: int
    exit_reason: str
    pips: float
    dd_sum: float
    reward: float
    bars: int
    units: int
    pnl: Decimal


@dataclass
class Terms:
    """The account: what a run's config says of it, and money in its currency."""

    units: int = 1000
    balance: Decimal = Decimal(100_000)
    margin: bool = False
    margin_rate: Decimal = Decimal("0.02")
    interest: tuple[Decimal, Decimal] = (Decimal(0), Decimal(0))  # a year, long and short
    fee: Decimal = Decimal(0)
    partial: bool = False
    home: str = "USD"


@dataclass
class Held:
    """An open position, and the pips at the parts of it that were closed."""

    units: int
    open_time: int
    entry: int
    quote: int
    stop: float
    interest: Decimal = Decimal(0)
    parts: list[tuple[int, float]] = field(default_factory=list)

    @property
    def side(self) -> int:
        return 1 if self.units > 0 else -1


class Account:
    """Orders, trades and money that decisions `(time, action, sigma_pips)` must lead to (latency below a bar's length).

    Quote by quote: interest at 17:00 New York, then quotes of that instant, then orders due; each quote meets the stop
    first and the margin after it.
    """

    def __init__(self, m: Market, decisions, length: int, latency: int, stop_sigma: float, terms: Terms) -> None:
        self.m, self.length, self.latency, self.stop_sigma, self.terms = m, length, latency, stop_sigma, terms
        self.balance, self.held = terms.balance, None
        self.trades: list[ExpectedTrade] = []
        self.orders: list[tuple[int, int, str, str, int, int]] = []  # time, units, outcome, reason, fill time, price
        self.bars = m.bar_ends(length)
        self.ends = [end for end, _ in self.bars]
        self.pays = rollovers(int(m.time[0]), int(m.time[-1])) if any(terms.interest) else []
        self.pending, self.waiting = list(decisions), []
        first = self.first()
        for i, time in enumerate(m.time.tolist()):
            while first[0] <= time and first[:2] <= (time, 2):
                if first[2] == "pay":
                    self.pay(i - 1, self.pays.pop(0)[1])
                elif first[2] == "decide":
                    self.waiting += self.decide(*self.pending.pop(0))
                else:
                    self.fill(i - 1, *self.waiting.pop(0))
                first = self.first()
            if self.held and self.held.side * m.closing(self.held.side, i) <= self.held.stop:
                self.close(i, time, "stop")
            if self.held and terms.margin and self.is_called(i):
                self.close(i, time, "risk")
        last = len(m.time) - 1
        for when, *order in self.waiting:
            if when <= m.time[-1]:
                self.fill(last, when, *order)
            else:
                self.orders.append((when - latency, order[0], "cancelled", "end_of_quotes", 0, 0))
        if self.held:
            self.close(last, int(m.time[-1]), "end")

    def first(self) -> tuple[float, int, str]:
        """What happens next: its time, its rank (a quote has 2), and what it is."""
        return min(
            (self.pays[0][0] if self.pays else inf, 0, "pay"),
            (self.pending[0][0] if self.pending else inf, 1, "decide"),
            (self.waiting[0][0] if self.waiting else inf, 3, "fill"),
        )

    def decide(self, time: int, action: str, sigma: float) -> list[tuple]:
        """The order of a decision: when it is due, units, reason, distance of its stop."""
        distance = ceil(self.stop_sigma * sigma * self.m.points_per_pip)
        if action in (BUY, SELL) and self.held is None:
            return [(time + self.latency, self.terms.units * (1 if action == BUY else -1), "entry", distance)]
        if action == CLOSE and self.held is not None:
            return [(time + self.latency, -self.held.units, "close", 0)]
        return []

    def fill(self, i: int, when: int, units: int, reason: str, distance: int) -> None:
        side, refusal = 1 if units > 0 else -1, ""
        taken = self.m.taken(i, units)
        had = sum(some for _, some in taken)
        if reason == "close" and self.held is None:
            refusal = "position_gone"
        elif had == 0 or (had < abs(units) and not self.terms.partial):
            best = self.m.closing(-side, i)
            fits = reason == "close" or self.affords(i, units, best)
            refusal = "INSUFFICIENT_LIQUIDITY" if fits else "INSUFFICIENT_MARGIN"
        price = against(taken, side)
        if not refusal and reason == "entry" and not self.affords(i, side * had, price):
            refusal = "INSUFFICIENT_MARGIN"
        if refusal:
            self.orders.append((when - self.latency, units, "cancelled", refusal, 0, 0))
            return
        part = f" ({had} filled)" if had < abs(units) else ""
        self.orders.append((when - self.latency, units, "filled", f"{reason}{part}", when, price))
        if reason == "entry":
            self.held = Held(side * had, when, price, i, side * price - distance if distance else -inf)
        else:
            self.book(i, when, side * had, price, "close")

    def close(self, i: int, time: int, reason: str) -> None:
        units = -self.held.units
        self.book(i, time, units, against(self.m.taken(i, units, endless=True), 1 if units > 0 else -1), reason)

    def book(self, i: int, time: int, units: int, price: int, reason: str) -> None:
        """Close so many units."""
        held, m = self.held, self.m
        share = held.interest * abs(units) / abs(held.units)
        money = Decimal(-units * (price - held.entry)) * m.point
        money *= self.rate(i, money)
        self.trades.append(self.finished(time, price, reason, abs(units), money + share))
        held.parts.append((time, held.side * (price - held.entry) / m.points_per_pip))
        held.interest -= share
        self.balance += cents(money)
        held.units += units
        if not held.units:
            self.held = None

    def finished(self, time: int, price: int, reason: str, units: int, pnl: Decimal) -> ExpectedTrade:
        """Pips, AMDDP1 and bars of a round trip, sampled as the rules say."""
        held, m = self.held, self.m
        side, pips = held.side, lambda at: held.side * (at - held.entry) / m.points_per_pip
        within = self.bars[bisect_right(self.ends, held.open_time) : bisect_right(self.ends, time)]
        bars = [(end, pips(m.closing(side, i))) for end, i in within]
        samples = [pips(m.closing(side, held.quote)), *(x for _, x in sorted(bars + held.parts)), pips(price)]
        hwm, before, dd_sum = 0.0, 0.0, 0.0
        for sample in samples:
            hwm = max(hwm, sample)
            dd_sum += max(hwm - sample - before, 0.0)
            before = hwm - sample
        total = pips(price)
        reward = total - 0.01 * dd_sum
        reward = max(reward, 0.01) if total > 0 else reward
        return ExpectedTrade(
            side, held.open_time, held.entry, time, price, reason, total, dd_sum, reward, len(bars), units, pnl
        )

    def rate(self, i: int, amount: Decimal = Decimal(0)) -> Decimal:
        """Account currency for one of the quote currency at quote `i`; a gain or loss is converted at a fee."""
        if self.terms.home == "USD":
            return Decimal(1)
        rate = round(1 / self.m.mid(i), 12)
        return rate * (1 - self.terms.fee if amount > 0 else 1 + self.terms.fee if amount else 1)

    def worth(self, i: int, price: Decimal) -> Decimal:
        """Profit of the open position at a price, points."""
        money = (price - self.held.entry) * self.held.units * self.m.point if self.held else Decimal(0)
        return cents(money * self.rate(i, money))

    def margin(self, i: int, units: int) -> Decimal:
        return cents(abs(units) * self.m.mid(i) * self.rate(i) * self.terms.margin_rate)

    def affords(self, i: int, units: int, price: int) -> bool:
        if not self.terms.margin:
            return True
        lost = Decimal(self.m.closing(1 if units > 0 else -1, i) - price) * units * self.m.point * self.rate(i)
        return self.balance + lost >= self.margin(i, units)

    def is_called(self, i: int) -> bool:
        value = self.balance + self.worth(i, self.m.mid(i) / self.m.point)
        return 2 * value <= self.margin(i, self.held.units)

    def pay(self, i: int, days: int) -> None:
        if self.held is not None:
            rate = self.terms.interest[0 if self.held.units > 0 else 1]
            amount = cents(abs(self.held.units) * self.m.mid(i) * self.rate(i) * rate * days / 365)
            self.held.interest += amount
            self.balance += amount


def trades_of(m: Market, decisions, length: int, latency: int, stop_sigma: float) -> list[ExpectedTrade]:
    """The trades that decisions must lead to where nothing is asked of an account."""
    return Account(m, decisions, length, latency, stop_sigma, Terms()).trades


def rollovers(first: int, last: int) -> list[tuple[int, int]]:
    """17:00 New York of each day between two times, ns, and for how many days a position pays then."""
    days = range((last - first) // (86_400 * 10**9) + 3)
    start = datetime.fromtimestamp(first // 10**9, UTC).astimezone(NEW_YORK).date()
    dates = [start + timedelta(days=day) for day in days]
    noted = [(datetime(d.year, d.month, d.day, 17, tzinfo=NEW_YORK), (1, 1, 3, 1, 1, 0, 0)[d.weekday()]) for d in dates]
    times = [(int(when.timestamp()) * 10**9, days) for when, days in noted]
    return [(time, days) for time, days in times if days and first < time <= last]


def cents(amount: Decimal) -> Decimal:
    """To money's four decimals."""
    return round(amount, 4)


def against(taken: list[tuple[int, int]], side: int) -> int:
    """The mean price of what was taken, points, rounded against the trade."""
    units = sum(some for _, some in taken)
    return side * -(-side * sum(price * some for price, some in taken) // units) if units else 0


def sigmas(m: Market, length: int) -> dict[int, float]:
    """Sigma in pips at each bar's end: the root of the EMA(512) of squared changes of the mid close, from the first."""
    sigma, ema, before = {}, None, None
    for end, i in m.bar_ends(length):
        close = (int(m.bid[i]) + int(m.ask[i])) / 2 / m.points_per_pip
        if before is not None:
            square = (close - before) ** 2
            ema = square if ema is None else ema + 2 / 513 * (square - ema)
        before = close
        sigma[end] = max((ema or 0.0) ** 0.5, 0.1 / m.points_per_pip)
    return sigma
