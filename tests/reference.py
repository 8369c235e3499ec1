"""An independent account of a run: what the rules say its trades must be, from quotes and decisions alone.

Plain Python over whole arrays, sharing no code with the program. Prices are floats as in the files, times ns.
"""

from dataclasses import dataclass
from math import ceil, inf

import numpy as np

BUY, SELL, CLOSE = "BUY", "SELL", "CLOSE"


@dataclass
class Market:
    """Valid quotes of one instrument: times ns, prices in points."""

    time: np.ndarray
    bid: np.ndarray
    ask: np.ndarray
    points_per_pip: int = 10

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

    def opening(self, side: int, i: int) -> int:
        return int(self.ask[i] if side > 0 else self.bid[i])


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


def finish_trade(m, length, side, open_time, open_i, close_time, close_price, reason):
    """Pips, AMDDP1 and bars of a round trip, sampled as the rules say."""
    entry = m.opening(side, open_i)
    pips = lambda price: side * (price - entry) / m.points_per_pip  # noqa: E731
    bars = [(end, i) for end, i in m.bar_ends(length) if open_time < end <= close_time]
    samples = [pips(m.closing(side, open_i))] + [pips(m.closing(side, i)) for _, i in bars] + [pips(close_price)]
    hwm, before, dd_sum = 0.0, 0.0, 0.0
    for pnl in samples:
        hwm = max(hwm, pnl)
        dd = hwm - pnl
        dd_sum += max(dd - before, 0.0)
        before = dd
    total = pips(close_price)
    reward = total - 0.01 * dd_sum
    reward = max(reward, 0.01) if total > 0 else reward
    return ExpectedTrade(side, open_time, entry, close_time, close_price, reason, total, dd_sum, reward, len(bars))


def trades_of(m: Market, decisions, length: int, latency: int, stop_sigma: float) -> list[ExpectedTrade]:
    """The trades that decisions `(time, action, sigma_pips)` must lead to (latency below the bar's length)."""
    trades, last = [], len(m.time) - 1
    held = None  # side, open time, index of its quote, first quote at which a stop may fill, stop distance
    pending = list(decisions)

    def stopped_before(limit: float):
        side, _open_time, open_i, distance = held
        if not distance:
            return None
        level = m.opening(side, open_i) - side * distance
        for i in range(open_i + 1, last + 1):
            if m.time[i] > limit:
                return None
            if side * m.closing(side, i) <= side * level:
                return i
        return None

    def stop_out(i):
        side, open_time, open_i, _ = held
        trades.append(finish_trade(m, length, side, open_time, open_i, int(m.time[i]), m.closing(side, i), "stop"))

    for time, action, sigma in pending:
        due = time + latency
        # a stop touched by a quote stamped before the decision's instant is known to it; one up to `due` beats the order
        if held is not None and (i := stopped_before(due)) is not None:
            stop_out(i)
            held = None
            if action == CLOSE:
                continue
        if due > m.time[-1]:
            continue
        i = m.prevailing(due)
        if action in (BUY, SELL) and held is None:
            side = 1 if action == BUY else -1
            distance = ceil(stop_sigma * sigma * m.points_per_pip)
            held = (side, due, i, distance)
        elif action == CLOSE and held is not None:
            side, open_time, open_i, _ = held
            trades.append(finish_trade(m, length, side, open_time, open_i, due, m.closing(side, i), "close"))
            held = None
    if held is not None:
        if (i := stopped_before(inf)) is not None:
            stop_out(i)
        else:
            side, open_time, open_i, _ = held
            trades.append(
                finish_trade(m, length, side, open_time, open_i, int(m.time[-1]), m.closing(side, last), "end")
            )
    return trades
