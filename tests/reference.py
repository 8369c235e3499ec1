"""An independent account of a run folder: read from its tick file, decisions and config alone, and compared.

Shares no code with the program. Times are ns.
"""

import csv
import gzip
import json
import tomllib
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np

from tests.reference_account import Account, ExpectedTrade, Market, Terms, sigmas


def nanoseconds(text: str) -> int:
    """RFC 3339 UTC to ns."""
    seconds, _, fraction = text.removesuffix("Z").partition(".")
    whole = datetime.fromisoformat(seconds).replace(tzinfo=UTC).timestamp()
    return int(whole) * 10**9 + int(fraction.ljust(9, "0") or 0)


def read_market(path: Path, precision: int, size_units: float = 0.0) -> Market:
    """The valid quotes of a `time,bid,ask` CSV, gzipped or not, or of OANDA's lines with their tiers."""
    if ".jsonl" in path.name:
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        found = [(row["time"], *(of_line(row[side]) for side in ("bids", "asks"))) for row in rows if "bids" in row]
    else:
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
            found = [
                (row["time"], *(of_row(row, side, size_units) for side in ("bid", "ask")))
                for row in csv.DictReader(file)
            ]
    valid = [(nanoseconds(t), bids, asks) for t, bids, asks in found if 0 < bids[0][0] <= asks[0][0]]
    scaled = [(t, *([(int(p.scaleb(precision)), n) for p, n in side] for side in sides)) for t, *sides in valid]
    time, bid, ask = (
        np.array(column, dtype=np.int64) for column in zip(*((t, b[0][0], a[0][0]) for t, b, a in scaled), strict=True)
    )
    sized = valid[0][1][0][1] is not None
    return Market(time, bid, ask, tiers=[(bids, asks) for _, bids, asks in scaled] if sized else None)


def of_line(tiers: list[dict[str, object]]) -> list[tuple[Decimal, int]]:
    """Price and units of each tier."""
    return [(Decimal(str(tier["price"])), int(str(tier["liquidity"]))) for tier in tiers]


def of_row(row: dict[str, str], side: str, size_units: float) -> list[tuple[Decimal, int | None]]:
    """Price, and units where the file has them and they count."""
    size = row.get(f"{side}_size")
    return [(Decimal(row[side]), int(float(size) * size_units) if size and size_units else None)]


def terms_of(folder: Path, margin_rate: Decimal) -> tuple[Terms, dict]:
    """The account of a run, and its whole config."""
    config = tomllib.loads((folder / "config.toml").read_text())
    account, paper = config["account"], config["paper"]
    rates = tuple(Decimal(str(account[f"financing_{side}"].get("EUR_USD", 0))) for side in ("long", "short"))
    terms = Terms(
        units=min(config["risk"]["units"], config["risk"]["max_units"]),
        balance=Decimal(str(account["balance"])),
        margin=paper["margin"],
        margin_rate=max(margin_rate, Decimal(str(account["margin_rate"]))),
        interest=rates,
        fee=Decimal(str(account["conversion_fee"])),
        partial=paper["fill"] == "IOC",
        home=account["currency"],
    )
    return terms, config


def check_run(folder: Path, ticks: Path, *, precision: int = 5, length: int = 60 * 10**9, latency: int = 10**8) -> int:
    """Recompute a run's trades and orders from its tick file, decisions and config; returns how many trades there are.

    Raises:
        AssertionError: anything in trades.csv, orders.csv or the summary's totals differs by more than 1e-9.
    """
    terms, config = terms_of(folder, Decimal("0.02"))
    market = read_market(ticks, precision, config["paper"]["size_units"])
    decisions = [json.loads(line) for line in (folder / "decisions.jsonl").read_text().splitlines()]
    sigma = sigmas(market, length)
    made = [(nanoseconds(d["time"]), d["action"]) for d in decisions if d["veto"] is None]
    decided = [(time, action, sigma[time]) for time, action in made]
    account = Account(market, decided, length, latency, config["risk"]["stop_sigma"], terms)
    scale = Decimal(1).scaleb(-precision)
    check_trades(folder, account.trades, scale, terms.home)
    check_orders(folder, account.orders, scale)
    for decision in decisions:
        end = nanoseconds(decision["time"])
        i = int(np.searchsorted(market.time, end, side="left")) - 1
        assert (decision["bid"], decision["ask"]) == (float(market.bid[i] * scale), float(market.ask[i] * scale))
    summary = json.loads((folder / "summary.json").read_text())
    curve = np.cumsum([0.0] + [t.pips for t in account.trades])
    assert abs(summary["net_pips"] - sum(t.pips for t in account.trades)) < 1e-9
    assert abs(summary["max_drawdown_pips"] - (np.maximum.accumulate(curve) - curve).max()) < 1e-9
    assert abs(summary["pnl"].get(terms.home, 0.0) - float(sum(t.pnl for t in account.trades))) < 1e-9
    return len(account.trades)


def check_trades(folder: Path, expected: list[ExpectedTrade], scale: Decimal, currency: str) -> None:
    """The rows of trades.csv are these trades."""
    with (folder / "trades.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(expected)
    for row, want in zip(rows, expected, strict=True):
        assert (row["side"], int(row["units"])) == ("long" if want.side > 0 else "short", want.units)
        assert (nanoseconds(row["open_time"]), nanoseconds(row["close_time"])) == (want.open_time, want.close_time)
        assert Decimal(row["open_price"]) == want.open_price * scale
        assert Decimal(row["close_price"]) == want.close_price * scale
        assert (row["exit_reason"], int(row["bars"]), row["currency"]) == (want.exit_reason, want.bars, currency)
        for name in ("pips", "dd_sum", "reward", "pnl"):
            assert abs(float(row[name]) - float(getattr(want, name))) < 1e-9, name


def check_orders(folder: Path, expected: list[tuple[int, int, str, str, int, int]], scale: Decimal) -> None:
    """The rows of orders.csv are these orders."""
    with (folder / "orders.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(expected)
    for row, (time, units, outcome, reason, fill_time, price) in zip(rows, expected, strict=True):
        assert nanoseconds(row["time"]) == time
        assert (row["side"], int(row["units"])) == ("buy" if units > 0 else "sell", abs(units))
        assert (row["outcome"], row["reason"]) == (outcome, reason)
        if outcome == "filled":
            assert (nanoseconds(row["fill_time"]), Decimal(row["fill_price"])) == (fill_time, price * scale)
