"""Cleaning, order and merging."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import BadInput
from broker.ticks import ReadOptions, open_ticks, stream
from broker.types import Quotes

START = 1398902400
Row = tuple[int, str, str]
PRICES = st.sampled_from(["1.10000", "1.10001", "1.10002", "0", "-1", "NaN", "inf", "-inf"])
ROWS = st.lists(st.tuples(st.integers(0, 30), PRICES, PRICES), min_size=1, max_size=30)


def save(path: Path, rows: list[Row]) -> Path:
    """Rows `(second, bid, ask)` as a CSV."""
    stamps = [str(np.datetime64(START + second, "s")) for second, _, _ in rows]
    lines = [f"{stamp}Z,{bid},{ask}" for stamp, (_, bid, ask) in zip(stamps, rows, strict=True)]
    path.write_text("\n".join(["time,bid,ask", *lines]) + "\n")
    return path


def flat(batches: list[Quotes]) -> list[tuple[int, int, int]]:
    """Quotes as `(second, bid, ask)`."""
    return [
        ((int(time) // 10**9) - START, int(bid), int(ask))
        for quotes in batches
        for time, bid, ask in zip(quotes.time, quotes.bid, quotes.ask, strict=True)
    ]


def valid(row: Row) -> bool:
    """Reference: rules, Valid quotes, the crossed ones apart."""
    return all(0 < float(price) < float("inf") for price in row[1:])


@given(ROWS, st.sampled_from(["drop", "swap"]), st.sampled_from([1, 7, 65536]))
def test_cleaning_counts_what_it_drops(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row], fix: str, batch: int
) -> None:
    """Invalid quotes never come through, crossed ones only with their sides exchanged, and all are counted."""
    path = save(tmp_path_factory.mktemp("s") / "EUR_USD.csv", sorted(rows, key=lambda row: row[0]))
    options = ReadOptions(fix=fix, batch=batch)
    quotes = stream([open_ticks(path, options)], options)
    batches = list(quotes)
    kept = [row for row in sorted(rows, key=lambda row: row[0]) if valid(row)]
    crossed = sum(float(bid) > float(ask) for _, bid, ask in kept)
    sides = [(t, *((b, a) if fix == "drop" else sorted((b, a), key=float))) for t, b, a in kept]
    expected = [(t, round(float(b) * 1e5), round(float(a) * 1e5)) for t, b, a in sides if float(b) <= float(a)]
    assert flat(batches) == expected
    assert all(0 < len(q) <= batch for q in batches)
    assert (quotes.read, quotes.dropped) == (len(rows), len(rows) - len(expected))
    assert quotes.swapped == (crossed if fix == "swap" else 0)


@given(
    st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=25), min_size=2, max_size=5), st.sampled_from([1, 3, 64])
)
def test_files_merge_by_time_then_by_their_order(
    tmp_path_factory: pytest.TempPathFactory, seconds: list[list[int]], batch: int
) -> None:
    """Several files come out as one stable sort of all their quotes, whatever the batch."""
    folder = tmp_path_factory.mktemp("m")
    options = ReadOptions(batch=batch)
    files, rows = [], []
    for place, times in enumerate(seconds):
        own = [(t, f"1.{10000 + place * 100 + i}", "1.20000") for i, t in enumerate(sorted(times))]
        rows += own
        files.append(open_ticks(save(folder / f"EUR_USD-{place}.csv", own), options))
    quotes = stream(files, options)
    expected = [(t, round(float(b) * 1e5), 120000) for t, b, _ in sorted(rows, key=lambda row: row[0])]
    for _ in range(2):
        batches = list(quotes)
        assert flat(batches) == expected
        assert quotes.read == len(rows)
        assert all(len(q) for q in batches)


@given(st.lists(st.integers(0, 10), min_size=1, max_size=30), st.sampled_from([1, 7, 65536]))
def test_times_that_go_back_are_broken_lines(
    tmp_path_factory: pytest.TempPathFactory, seconds: list[int], batch: int
) -> None:
    """The first one is named with its line; with `skip`, what is below the latest kept time goes, counted."""
    path = save(tmp_path_factory.mktemp("o") / "EUR_USD.csv", [(second, "1.1", "1.2") for second in seconds])
    steps = list(pairwise(seconds))
    backward = [line for line, (before, after) in enumerate(steps, 3) if after < before]
    if backward:
        with pytest.raises(BadInput, match=rf"csv:{backward[0]}: the time .* is below"):
            list(stream([open_ticks(path, ReadOptions(batch=batch))], ReadOptions(batch=batch)))
    options = ReadOptions(on_bad_line="skip", batch=batch)
    quotes = stream([open_ticks(path, options)], options)
    kept: list[int] = []
    for second in seconds:
        if not kept or second >= kept[-1]:
            kept.append(second)
    assert [t for t, _, _ in flat(list(quotes))] == kept
    assert (quotes.read, quotes.skipped_lines) == (len(kept), len(seconds) - len(kept))
    raw = stream([open_ticks(path)], ReadOptions(), ordered=False)
    assert [t for t, _, _ in flat(list(raw))] == seconds


def test_swapped_quotes_swap_their_sizes(tmp_path: Path) -> None:
    """What was offered at a price stays with that price."""
    path = tmp_path / "EUR_USD.csv"
    path.write_text("time,bid,ask,bid_size,ask_size\n2014-05-01T00:00:00Z,1.2,1.1,5,7\n")
    options = ReadOptions(fix="swap")
    (quotes,) = stream([open_ticks(path, options)], options)
    assert quotes.bid_size is not None
    assert (quotes.bid[0], quotes.bid_size[0]) == (110000, 7.0)


def test_recorded_files_merge_back_into_one(shared: Path) -> None:
    """The .bi5 hour and the CSV that holds it: each quote twice, in order."""
    ticks = shared / "ticks"
    options = ReadOptions()
    hour = open_ticks(ticks / "originals" / "dukascopy-GBPJPY-2012-11-03-12h_ticks.bi5", options)
    day = open_ticks(ticks / "GBP_JPY-2012-12-03T00_15.dukascopy.ticks.csv.gz", options)
    merged = np.concatenate([quotes.time for quotes in stream([hour, day], options)])
    assert len(merged) == 43603 + 4413
    assert np.all(np.diff(merged) >= 0)
    assert stream([day], options).read == 0
