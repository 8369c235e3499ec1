"""The figures of `ticks info`, against an independent count."""

import csv
import gzip
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.rfc3339 import rfc3339
from broker.ticks import ReadOptions
from broker.ticks.clocks import RFC3339, parse_time
from broker.ticks.info import info

FIVE_MINUTES = 300 * 10**9
NAMES = [
    "EUR_USD-2007_2013.oanda.H1.bars.csv.gz",
    "EUR_USD-2019-01-01.sim.ticks.csv.gz",
    "GBP_JPY-2012-12-03T00_15.dukascopy.ticks.csv.gz",
    "GBP_JPY-2013_2018.ejtrader.H1.bidonly.bars.csv.gz",
    "GBP_USD-2012-02-01_20.fxcm.M1.bars.csv.gz",
    "NZD_USD-2007_2013.oanda.H1.bars.csv.gz",
    "USD_JPY-2013-02-01_20.fxcm.M1.bars.csv.gz",
    "USD_JPY-2019-01-01.sim.ticks.csv.gz",
]
# The README of the recorded ticks gives these: rows, first and last stamps, same-time, gaps, crossed, zero spread.
LARGE = {
    "EUR_USD-2014-05-01_09.fxcm.ticks.csv.gz": (675401, "05:00:01.787", "20:59:11.407", 0, 2, 69354, 82118),
    "EUR_USD-2014-05-01_09.oanda.ticks.csv.gz": (321559, "00:00:00.292", "20:59:58.835", 2848, 4, 0, 0),
    "NZD_USD-2014-05-01_09.oanda.ticks.csv.gz": (274268, "00:00:02.230", "20:59:58.838", 1379, 1, 0, 0),
}
Quote = tuple[int, float, float]


def count(quotes: list[Quote]) -> dict[str, object]:
    """The definitions of the interface, one after another."""
    pairs = list(zip(quotes, quotes[1:], strict=False))
    return {
        "ticks": len(quotes),
        "first": rfc3339(quotes[0][0]),
        "last": rfc3339(quotes[-1][0]),
        "gaps": sum(b[0] - a[0] > FIVE_MINUTES for a, b in pairs),
        "crossed": sum(bid > ask for _, bid, ask in quotes),
        "zero_spread": sum(bid == ask for _, bid, ask in quotes),
        "out_of_order": sum(b[0] < a[0] for a, b in pairs),
        "same_time": sum(b[0] == a[0] for a, b in pairs),
        "duplicates": sum(b == a for a, b in pairs),
    }


def naive_quotes(path: Path, spread: Decimal) -> Iterator[Quote]:
    """A neutral file, by the csv module and datetime64."""
    with gzip.open(path, "rt") as file:
        rows = list(csv.DictReader(file))
    times = np.array([row["time"].rstrip("Z") for row in rows], "datetime64[ns]").astype(np.int64).tolist()
    step = min(b - a for a, b in zip(times, times[1:], strict=False) if b > a)
    for time, row in zip(times, rows, strict=True):
        if "bid" in row:
            yield time, float(row["bid"]), float(row["ask"])
            continue
        names = ["open", "low", "high", "close"]
        if float(row["close_bid"]) < float(row["open_bid"]):
            names = ["open", "high", "low", "close"]
        offsets = (0, step // 3, 2 * step // 3, step - 10**6)
        for name, offset in zip(names, offsets, strict=True):
            bid = Decimal(row[f"{name}_bid"])
            yield time + offset, float(bid), float(row.get(f"{name}_ask") or bid + spread)


@pytest.mark.parametrize("name", NAMES)
def test_figures_agree_with_an_independent_count(shared: Path, name: str) -> None:
    """Every neutral file: each figure by its definition, bars as the four quotes that they replay as."""
    spread = Decimal("0.01") if "JPY" in name else Decimal("0.0001")
    expected = count(list(naive_quotes(shared / "ticks" / name, spread)))
    figures = info(shared / "ticks" / name, ReadOptions(spread_pips=1.0))
    assert {key: figures[key] for key in expected} == expected
    assert figures["source"] == ("bars" if ".bars." in name else "quotes")
    assert figures["instrument"] == name[:7]
    assert (figures["invalid"], figures["skipped_lines"]) == (0, 0)


@pytest.mark.parametrize("name", LARGE)
def test_figures_agree_with_the_notes_of_who_recorded_them(shared: Path, name: str) -> None:
    """The large files, by the figures that came with them."""
    figures = info(shared / "ticks" / name)
    found = [figures[key] for key in ("ticks", "same_time", "gaps", "crossed", "zero_spread")]
    ticks, first, last, *rest = LARGE[name]
    assert found == [ticks, *rest]
    assert figures["first"] == f"2014-05-01T{first}000000Z"
    assert figures["last"] == f"2014-05-09T{last}000000Z"


def test_bid_only_bars_have_no_spread_to_count(shared: Path) -> None:
    """Without --spread-pips the figures of a file can still be asked for."""
    figures = info(shared / "ticks" / "GBP_JPY-2013_2018.ejtrader.H1.bidonly.bars.csv.gz")
    assert (figures["bars"], figures["ticks"], figures["bar_seconds"]) == (37129, 4 * 37129, 3600)
    assert (figures["crossed"], figures["zero_spread"], figures["bid_only"]) == (0, 0, True)


PRICES = st.sampled_from(["1.1", "1.10000", "1.100001", "1.2", "0", "-1", "NaN", "inf", "-inf", "-0.5"])


@given(
    st.lists(st.tuples(st.integers(0, 400), PRICES, PRICES), min_size=1, max_size=30), st.sampled_from([1, 7, 65536])
)
def test_figures_of_any_quotes(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, str, str]], batch: int
) -> None:
    """Out of order, duplicate, crossed by less than a point, NaN and infinite: counted exactly as written."""
    path = tmp_path_factory.mktemp("i") / "EUR_USD.csv"
    stamps = [f"1970-01-01T00:{s // 60:02d}:{s % 60:02d}Z" for s, _, _ in rows]
    lines = [f"{stamp},{bid},{ask}" for stamp, (_, bid, ask) in zip(stamps, rows, strict=True)]
    path.write_text("\n".join(["time,bid,ask", *lines]) + "\n")
    quotes = [(parse_time(s, RFC3339), float(bid), float(ask)) for s, (_, bid, ask) in zip(stamps, rows, strict=True)]
    expected = count(quotes)
    figures = info(path, ReadOptions(batch=batch))
    assert {key: figures[key] for key in expected} == expected
    assert figures["invalid"] == sum(not all(0 < p < float("inf") for p in prices) for _, *prices in quotes)
