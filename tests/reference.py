"""An independent account of a run: what the rules say its trades must be, from quotes and decisions alone.

Plain Python over whole arrays, sharing no code with the program. Prices are floats as in the files, times ns.
"""

import csv
import gzip
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from math import ceil, inf
from pathlib import Path

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
        # a stop touched up to `due` comes before the order
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


def nanoseconds(text: str) -> int:
    """RFC 3339 UTC to ns."""
    seconds, _, fraction = text.removesuffix("Z").partition(".")
    whole = datetime.fromisoformat(seconds).replace(tzinfo=UTC).timestamp()
    return int(whole) * 10**9 + int(fraction.ljust(9, "0") or 0)


def read_market(path: Path, precision: int) -> Market:
    """The valid quotes of a `time,bid,ask` CSV, gzipped or not."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        rows = [(row["time"], Decimal(row["bid"]), Decimal(row["ask"])) for row in csv.DictReader(file)]
    valid = [(nanoseconds(t), b, a) for t, b, a in rows if 0 < b <= a]
    points = [(t, int(b.scaleb(precision)), int(a.scaleb(precision))) for t, b, a in valid]
    time, bid, ask = (np.array(column, dtype=np.int64) for column in zip(*points, strict=True))
    return Market(time, bid, ask)


def check_run(folder: Path, ticks: Path, *, precision: int = 5, length: int = 60 * 10**9, latency: int = 10**8) -> int:
    """Recompute a run's trades from its tick file and decisions; returns how many there are.

    Raises:
        AssertionError: anything in trades.csv or the summary's totals differs by more than 1e-9.
    """
    market = read_market(ticks, precision)
    decisions = [json.loads(line) for line in (folder / "decisions.jsonl").read_text().splitlines()]
    sigma = sigmas(market, length)
    made = [(nanoseconds(d["time"]), d["action"], d) for d in decisions if d["veto"] is None]
    expected = trades_of(market, [(t, action, sigma[t]) for t, action, _ in made], length, latency, 30.0)
    with (folder / "trades.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(expected)
    scale = Decimal(1).scaleb(-precision)
    for row, want in zip(rows, expected, strict=True):
        assert row["side"] == ("long" if want.side > 0 else "short")
        assert (nanoseconds(row["open_time"]), nanoseconds(row["close_time"])) == (want.open_time, want.close_time)
        assert Decimal(row["open_price"]) == want.open_price * scale
        assert Decimal(row["close_price"]) == want.close_price * scale
        assert (row["exit_reason"], int(row["bars"])) == (want.exit_reason, want.bars)
        for name in ("pips", "dd_sum", "reward"):
            assert abs(float(row[name]) - getattr(want, name)) < 1e-9, name
    for decision in decisions:
        end = nanoseconds(decision["time"])
        i = int(np.searchsorted(market.time, end, side="left")) - 1
        assert (decision["bid"], decision["ask"]) == (float(market.bid[i] * scale), float(market.ask[i] * scale))
    summary = json.loads((folder / "summary.json").read_text())
    curve = np.cumsum([0.0] + [t.pips for t in expected])
    assert abs(summary["net_pips"] - sum(t.pips for t in expected)) < 1e-9
    assert abs(summary["max_drawdown_pips"] - (np.maximum.accumulate(curve) - curve).max()) < 1e-9
    return len(expected)
