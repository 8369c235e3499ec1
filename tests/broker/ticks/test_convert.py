"""Conversion loses nothing."""

import gzip
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import BadInput
from broker.ticks import ReadOptions, open_ticks
from broker.ticks.convert import convert
from broker.ticks.rows import Rows

NEUTRAL = [
    "EUR_USD-2019-01-01.sim.ticks.csv.gz",
    "GBP_JPY-2012-12-03T00_15.dukascopy.ticks.csv.gz",
    "GBP_JPY-2013_2018.ejtrader.H1.bidonly.bars.csv.gz",
    "GBP_USD-2012-02-01_20.fxcm.M1.bars.csv.gz",
    "NZD_USD-2014-05-01_09.oanda.ticks.csv.gz",
]
ORIGINALS = [
    ("dukascopy-GBPJPY-2012-11-03-12h_ticks.bi5", "GBP_JPY"),
    ("histdata-DAT_ASCII_EURUSD_T_202001-head2000.csv", "EUR_USD"),
    ("lean-forex-oanda-minute-eurusd-20140506_quote.zip", "EUR_USD"),
    ("lean-forex-fxcm-tick-eurusd-20140506_quote.zip", "EUR_USD"),
]


def exact(path: Path, columns: int = 99) -> list[tuple[object, ...]]:
    """Every row, exactly: time and each number's mantissa and digits, of the first columns."""

    def values(rows: Rows) -> list[tuple[object, ...]]:
        return list(zip(rows.time.tolist(), *rows.mantissa.tolist(), *rows.digits.tolist(), strict=True))

    return [value for rows in open_ticks(path).rows() for value in values(rows.only(columns))]


@pytest.mark.parametrize("name", NEUTRAL)
def test_neutral_files_come_back_byte_for_byte(shared: Path, tmp_path: Path, name: str) -> None:
    """CSV to Parquet, to Zstandard and back: the same bytes, bars and their volume too."""
    steps = [shared / "ticks" / name, *(tmp_path / f"{name[:7]}{end}" for end in (".parquet", ".csv.zst", ".csv"))]
    for source, target in zip(steps, steps[1:], strict=False):
        convert(source, target)
    assert steps[-1].read_bytes() == gzip.open(steps[0]).read()


@pytest.mark.parametrize(("name", "instrument"), ORIGINALS)
def test_originals_keep_every_digit(shared: Path, tmp_path: Path, name: str, instrument: str) -> None:
    """A vendor's file and its copies hold the same rows, digit for digit."""
    source = shared / "ticks" / "originals" / name
    copy, again = tmp_path / f"{instrument}.csv.gz", tmp_path / "x.parquet"
    assert convert(source, copy)["rows"] == len(exact(copy)) == convert(copy, again)["rows"]
    assert exact(source, len(open_ticks(copy).columns)) == exact(copy) == exact(again)


NUMBERS = (
    st.sampled_from(["NaN", "Infinity", "-Infinity"])
    | st.decimals(-(10**5), 10**5, places=5).map(str)
    | st.integers(1, 10**17 - 1).map(lambda m: f"1.{m:017d}")
)
LINES = st.lists(
    st.tuples(st.integers(0, 2 * 10**18), NUMBERS, NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=20
)  # fmt: skip


@given(LINES, st.booleans(), st.sampled_from([".parquet", ".jsonl.zst", ".csv.gz"]))
def test_any_quotes_survive_any_format(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[int, str, str, str, str]], sized: bool, ending: str
) -> None:
    """Out of order, crossed, NaN, infinite, with seventeen decimals and single nanoseconds: every row as it was."""
    folder = tmp_path_factory.mktemp("c")
    source, middle, back = folder / "EUR_USD.csv", folder / f"EUR_USD-m{ending}", folder / "EUR_USD-b.csv"
    header = "time,bid,ask,bid_size,ask_size" if sized else "time,bid,ask"
    stamps = [f"{20 + t % 80}{t // 80 % 10}{t % 10}-01-02T03:04:05.{t % 10**9:09d}Z" for t, *_ in lines]
    rows = [",".join([s, *numbers[: 4 if sized else 2]]) for s, (_, *numbers) in zip(stamps, lines, strict=True)]
    source.write_text("\n".join([header, *rows]) + "\n")
    try:
        expected = exact(source)
    except BadInput as error:
        assert "outside of the years" in str(error)
        return
    assert convert(source, middle)["rows"] == convert(middle, back)["rows"] == len(lines)
    if ending == ".parquet":
        found = [row[0] for row in exact(back)], len(exact(back))
        assert found == ([row[0] for row in expected], len(expected))
        assert [scaled(row) for row in exact(back)] == [scaled(row) for row in expected]
    else:
        assert exact(back) == expected


def scaled(row: tuple[object, ...]) -> list[object]:
    """The row's numbers without regard to trailing zeros."""
    half = (len(row) - 1) // 2
    numbers = zip(row[1 : half + 1], row[half + 1 :], strict=True)
    return [d if d > 18 else m * 10 ** (18 - d) for m, d in numbers]  # type: ignore[operator]


def test_a_recording_stays_as_it_was_recorded(tmp_path: Path) -> None:
    """JSON lines to JSON lines: heartbeats, unknown fields and spacing unchanged."""
    beat = b'{"type":"HEARTBEAT","time":"2020-01-01T00:00:00.5Z"}\n'
    price = b'{"type":"PRICE","time":"2020-01-01T00:00:01.000000001Z", "new":[1.50],"instrument":"EUR_USD",'
    price += b'"bids":[{"price":"1.1","liquidity":5}],"asks":[{"price":"1.2","liquidity":6}]}\n'
    source, target, table = tmp_path / "in.jsonl", tmp_path / "out.jsonl.gz", tmp_path / "EUR_USD.csv"
    source.write_bytes(beat + price + beat)
    assert convert(source, target)["rows"] == 1
    assert gzip.open(target).read() == beat + price + beat
    convert(target, table)
    assert table.read_text().splitlines()[1] == "2020-01-01T00:00:01.000000001Z,1.1,1.2,5,6"
    convert(table, tmp_path / "EUR_USD.jsonl")
    again = json.loads((tmp_path / "EUR_USD.jsonl").read_text())
    assert again["bids"] == [{"price": "1.1", "liquidity": 5}]


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    """No time stamps or names in what is compressed."""
    source = tmp_path / "EUR_USD.csv"
    source.write_text("time,bid,ask\n2020-01-01T00:00:00Z,1.1,1.2\n")
    for ending in (".csv.gz", ".csv.zst", ".parquet"):
        pair = [tmp_path / f"{name}{ending}" for name in "ab"]
        for target in pair:
            convert(source, target)
        assert pair[0].read_bytes() == pair[1].read_bytes()


def test_nothing_half_written_is_left(tmp_path: Path) -> None:
    """A fault on the way leaves no file, and the one that was there before untouched."""
    source, target = tmp_path / "EUR_USD.csv", tmp_path / "out.csv"
    source.write_text("time,bid,ask\n2020-01-01T00:00:00Z,1.1,1.2\n2020-01-01T00:00:00Z,1.1\n")
    target.write_text("before")
    with pytest.raises(BadInput, match="csv:3"):
        convert(source, target)
    assert target.read_text() == "before"
    assert sorted(os.listdir(tmp_path)) == ["EUR_USD.csv", "out.csv"]
    assert convert(source, target, ReadOptions(on_bad_line="skip"))["skipped_lines"] == 1


@pytest.mark.parametrize("target", ["out.txt", "missing/out.csv", "EUR_USD.csv", ".csv"])
def test_targets_that_cannot_be(tmp_path: Path, target: str) -> None:
    """An unknown ending, a folder that isn't there, the source itself."""
    source = tmp_path / "EUR_USD.csv"
    source.write_text("time,bid,ask\n2020-01-01T00:00:00Z,1.1,1.2\n")
    with pytest.raises(BadInput):
        convert(source, tmp_path / target)
    assert os.listdir(tmp_path) == ["EUR_USD.csv"]
