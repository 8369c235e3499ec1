"""Every vendor's format, against a naive reader of its own."""

import csv
import gzip
import json
import lzma
import struct
import subprocess
import sys
import zipfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as arrow
import pytest
from pyarrow import parquet

from broker.errors import BadInput
from broker.ticks import ReadOptions, TickFile, open_ticks
from broker.ticks.clocks import RFC3339, parse_time

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Naive = list[tuple[int, Decimal, Decimal]]
BI5 = "dukascopy-GBPJPY-2012-11-03-12h_ticks.bi5"
PAIR = [("1.10001", "1.10003"), ("1.10002", "1.10001")]


def ns(moment: datetime) -> int:
    """Nanoseconds since the epoch."""
    return (moment - EPOCH) // timedelta(microseconds=1) * 1000


def quotes_of(file: TickFile) -> list[tuple[int, int, int]]:
    """All raw quotes as `(time, bid, ask)` in points."""
    return [row for q in file for row in zip(q.time.tolist(), q.bid.tolist(), q.ask.tolist(), strict=True)]


def naive_points(rows: Naive, precision: int) -> list[tuple[int, int, int]]:
    """The same of naively read rows."""
    return [(time, round(bid.scaleb(precision)), round(ask.scaleb(precision))) for time, bid, ask in rows]


def naive_csv(path: Path) -> Naive:
    """A canonical CSV by the csv module."""
    with gzip.open(path, "rt") as file:
        return [(parse_time(r["time"], RFC3339), Decimal(r["bid"]), Decimal(r["ask"])) for r in csv.DictReader(file)]


@pytest.mark.parametrize(
    "name",
    ["EUR_USD-2019-01-01.sim.ticks", "GBP_JPY-2012-12-03T00_15.dukascopy.ticks", "USD_JPY-2019-01-01.sim.ticks"],
)
def test_csv_and_parquet_hold_the_same_quotes(shared: Path, name: str) -> None:
    """The Parquet twins give the CSV's quotes, and both give what a naive reader gives."""
    files = [open_ticks(shared / "ticks" / f"{name}{ending}") for ending in (".csv.gz", ".parquet")]
    expected = naive_points(naive_csv(shared / "ticks" / f"{name}.csv.gz"), files[0].instrument.precision)
    assert [file.format for file in files] == ["csv", "parquet"]
    assert quotes_of(files[0]) == quotes_of(files[1]) == expected


def test_bi5_holds_its_hour_of_the_csv(shared: Path) -> None:
    """The original .bi5 equals that hour of the neutral CSV, sizes too; the path's month counts from 0."""
    file = open_ticks(shared / "ticks" / "originals" / BI5)
    with lzma.open(shared / "ticks" / "originals" / BI5) as packed:
        records = list(struct.iter_unpack(">IIIff", packed.read()))
    hour = ns(datetime(2012, 12, 3, 12, tzinfo=UTC))
    assert (file.format, file.instrument.name) == ("bi5", "GBP_JPY")
    assert quotes_of(file) == [(hour + ms * 10**6, bid, ask) for ms, ask, bid, _, _ in records]
    sizes = np.concatenate([np.stack([q.ask_size, q.bid_size]) for q in file], 1)
    assert np.allclose(sizes.T, [record[3:] for record in records], rtol=1e-6)
    whole = naive_csv(shared / "ticks" / "GBP_JPY-2012-12-03T00_15.dukascopy.ticks.csv.gz")
    in_hour = [row for row in whole if hour <= row[0] < hour + 3600 * 10**9]
    assert quotes_of(file) == naive_points(in_hour, 3)


def test_histdata_keeps_est_all_year(shared: Path) -> None:
    """`20200101 170000065` is 22:00 UTC."""
    path = shared / "ticks" / "originals" / "histdata-DAT_ASCII_EURUSD_T_202001-head2000.csv"
    expected: Naive = []
    for line in path.read_text().splitlines():
        stamp, bid, ask, _ = line.split(",")
        moment = datetime.strptime(stamp + "000", "%Y%m%d %H%M%S%f").replace(tzinfo=UTC) + timedelta(hours=5)
        expected.append((ns(moment), Decimal(bid), Decimal(ask)))
    file = open_ticks(path)
    assert (file.format, file.instrument.name) == ("histdata", "EUR_USD")
    assert quotes_of(file) == naive_points(expected, 5)


@pytest.mark.parametrize(("vendor", "hours"), [("fxcm", 5), ("oanda", 0)])
def test_lean_ticks_keep_their_vendors_clock(shared: Path, vendor: str, hours: int) -> None:
    """Milliseconds since midnight, Oanda's UTC and FXCM's UTC-5, as in the neutral file of that week."""
    path = shared / "ticks" / "originals" / f"lean-forex-{vendor}-tick-eurusd-20140506_quote.zip"
    with zipfile.ZipFile(path) as archive:
        lines = archive.read(archive.namelist()[0]).decode().splitlines()
    midnight = ns(datetime(2014, 5, 6, hours, tzinfo=UTC))
    rows = [line.split(",") for line in lines]
    expected = [(midnight + int(Decimal(ms) * 10**6), Decimal(bid), Decimal(ask)) for ms, bid, ask in rows]
    assert quotes_of(open_ticks(path)) == naive_points(expected, 5)
    neutral = open_ticks(shared / "ticks" / f"EUR_USD-2014-05-01_09.{vendor}.ticks.csv.gz")
    assert set(quotes_of(open_ticks(path))) <= set(quotes_of(neutral))


def write(path: Path, *lines: str) -> TickFile:
    """A file of lines, opened."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return open_ticks(path)


def test_formats_without_a_sample(tmp_path: Path) -> None:
    """TrueFX, Dukascopy's two CSV layouts and Lean's hours: the same quotes, the ask first where they put it first."""
    first = ns(datetime(2013, 2, 1, 0, 0, 0, 123000, tzinfo=UTC))
    expected = [(first, 110001, 110003), (first + 10**9, 110002, 110001)]
    stamps = ("00:00:00.123", "00:00:01.123")
    quotes = list(zip(stamps, PAIR, strict=True))
    files = [
        write(tmp_path / "a.csv", *(f"EUR/USD,20130201 {t},{bid},{ask}" for t, (bid, ask) in quotes)),
        write(
            tmp_path / "EURUSD_Ticks_01.02.2013-01.02.2013.csv",
            "Gmt time,Ask,Bid,AskVolume,BidVolume ",
            *(f"01.02.2013 {t},{ask},{bid},1.5,2.25" for t, (bid, ask) in quotes),
        ),
        write(
            tmp_path / "eurusd-tick-2013-02-01.csv",
            "timestamp,askPrice,bidPrice,askVolume,bidVolume",
            *(f"{first // 10**6 + i * 1000},{ask},{bid},1.5,2.25" for i, (bid, ask) in enumerate(PAIR)),
        ),
        write(
            tmp_path / "EUR_USD-order.csv",
            "ask,time,bid",
            *(f"{ask},2013-02-01T{t}Z,{bid}" for t, (bid, ask) in quotes),
        ),
    ]
    assert [file.format for file in files] == ["truefx", "dukascopy-csv", "dukascopy-csv", "csv"]
    for file in files:
        assert quotes_of(file) == expected
        assert file.instrument.name == "EUR_USD"
    sizes = [(q.bid_size, q.ask_size) for file in files[1:3] for q in file]
    assert [(b.tolist(), a.tolist()) for b, a in sizes if b is not None and a is not None] == [
        ([2.25] * 2, [1.5] * 2)
    ] * 2
    bars = "1.1,1.2,1.0,1.15,0,1.11,1.21,1.01,1.16,0"
    hourly = write(tmp_path / "forex/oanda/hour/eurusd.csv", f"20140501 00:00,{bars}", f"20140501 01:00,{bars}")
    assert (hourly.source, hourly.bar_step, hourly.instrument.name) == ("bars", 3600 * 10**9, "EUR_USD")


def test_parquet_types(tmp_path: Path) -> None:
    """Times of any unit and zone or as text; prices as floats, decimals or text."""
    stamps = np.array([1, 2], "datetime64[s]")
    variants = {
        "bid": [
            np.array([1.1, 1.2]),
            np.array([1.1, 1.2], np.float32),
            ["1.1", "1.2"],
            [Decimal("1.10"), Decimal("1.20")],
        ],
        "time": [
            stamps.astype("datetime64[ns]"),
            arrow.array(stamps.astype("datetime64[ms]"), arrow.timestamp("ms", "Europe/Berlin")),
            ["1970-01-01T00:00:01Z", "1970-01-01T00:00:02.000Z"],
            stamps,
        ],
    }
    path = tmp_path / "EUR_USD.parquet"
    for time in variants["time"]:
        for bid in variants["bid"]:
            parquet.write_table(arrow.table({"time": time, "bid": bid, "ask": bid}), path)
            assert quotes_of(open_ticks(path)) == [(10**9, 110000, 110000), (2 * 10**9, 120000, 120000)]
    parquet.write_table(arrow.table({"time": stamps, "bid": [1.1, None], "ask": [1.1, 1.2]}), path)
    with pytest.raises(BadInput, match=r"EUR_USD.parquet:2: an empty field"):
        quotes_of(open_ticks(path))


def message(**changes: object) -> str:
    """A PRICE line."""
    tiers = {"bids": [{"price": "1.10001", "liquidity": 10}], "asks": [{"price": "1.10003", "liquidity": 20}]}
    price = {"type": "PRICE", "time": "2020-01-01T00:00:00.000000001Z", "instrument": "EUR_USD", **tiers}
    return json.dumps({**price, **changes})


def test_a_recorded_stream(tmp_path: Path) -> None:
    """The first tier is the quote; heartbeats and prices that can't be traded on are none; one instrument is chosen."""
    lines = [
        json.dumps({"type": "HEARTBEAT", "time": "2020-01-01T00:00:00Z"}),
        message(),
        message(time="1577836801.5"),
        message(tradeable=False),
        message(bids=[]),
        message(instrument="USD_JPY", bids=[{"price": "109.123"}], asks=[{"price": "109.125"}]),
        json.dumps({"type": "SOMETHING_NEW"}),
    ]
    path = tmp_path / "day.jsonl"
    path.write_text("\n".join(lines) + "\n")
    second = 1577836800 * 10**9
    euro = open_ticks(path, ReadOptions(instrument="EUR_USD"))
    assert quotes_of(euro) == [(second + 1, 110001, 110003), (second + 1_500_000_000, 110001, 110003)]
    yen = open_ticks(path, ReadOptions(instrument="USD_JPY"))
    assert quotes_of(yen) == [(second + 1, 109123, 109125)]
    with pytest.raises(BadInput, match="several instruments"):
        quotes_of(open_ticks(path))
    with pytest.raises(BadInput, match="not GBP_USD"):
        open_ticks(path, ReadOptions(instrument="GBP_USD"))
    path.write_text(lines[0] + "\n" + message()[:-5])
    with pytest.raises(BadInput, match=r"day.jsonl:2: not a whole JSON object"):
        quotes_of(open_ticks(path, ReadOptions(instrument="EUR_USD")))


def test_empty_files(tmp_path: Path) -> None:
    """An empty .bi5 is an hour without ticks; any other empty file is refused."""
    empty = tmp_path / "EURUSD" / "2019" / "00" / "04" / "10h_ticks.bi5"
    empty.parent.mkdir(parents=True)
    empty.write_bytes(b"")
    assert quotes_of(open_ticks(empty)) == []
    nameless = tmp_path / "nothing.bi5"
    nameless.write_bytes(b"")
    assert quotes_of(open_ticks(nameless, ReadOptions(instrument="GBP_JPY"))) == []
    empty.write_bytes(lzma.compress(b"", lzma.FORMAT_ALONE))
    assert quotes_of(open_ticks(empty)) == []
    for content in ("", "\n\n", "time,bid,ask\n"):
        (tmp_path / "EUR_USD.csv").write_text(content)
        with pytest.raises(BadInput, match="no quotes"):
            quotes_of(open_ticks(tmp_path / "EUR_USD.csv"))


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("time,bid\n", "wrong columns: ask missing"),
        ("time,bid,ask,mood\n", "wrong columns: mood unexpected"),
        ("time,bid,ask,bid\n", "twice"),
        ("time,bid,ask,bid_size\n", "wrong columns: bid_size unexpected"),
        ("time,open_bid,close_bid\n", "wrong columns: high_bid, low_bid"),
        ("hello,world\n", "not a tick file of a known format"),
        ("\x00\x01\x02", "binary data"),
        ("Date,Open,High,Low,Close\n", "not a tick file"),
    ],
)  # fmt: skip
def test_unknown_shapes_are_refused(tmp_path: Path, content: str, what: str) -> None:
    """One clear line that names the file and what is wrong with its shape."""
    path = tmp_path / "EUR_USD.csv"
    path.write_text(content)
    with pytest.raises(BadInput, match=what) as caught:
        open_ticks(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_damaged_bi5(tmp_path: Path) -> None:
    """Half a record, a record beyond its hour."""
    path = tmp_path / BI5
    good = struct.pack(">IIIff", 5, 132158, 132141, 1.5, 1.13)
    path.write_bytes(lzma.compress(good * 3 + good[:7], lzma.FORMAT_ALONE))
    with pytest.raises(BadInput, match="ends within record 4"):
        quotes_of(open_ticks(path))
    path.write_bytes(lzma.compress(good + struct.pack(">IIIff", 3_600_000, 1, 1, 1, 1), lzma.FORMAT_ALONE))
    with pytest.raises(BadInput, match="ticks.bi5:2: 3600000 ms"):
        quotes_of(open_ticks(path))
    skipping = open_ticks(path, ReadOptions(on_bad_line="skip"))
    assert (len(quotes_of(skipping)), skipping.skipped_lines) == (1, 1)


def test_a_clock_can_be_named(tmp_path: Path) -> None:
    """`--tz` is for times that say no zone; those that do are not moved."""
    path = tmp_path / "EUR_USD.csv"
    path.write_text("time,bid,ask\n2013-02-01T00:00:00,1.1,1.2\n")
    options = ReadOptions(tz="UTC-5")
    assert quotes_of(open_ticks(path, options))[0][0] == ns(datetime(2013, 2, 1, 5, tzinfo=UTC))
    path.write_text("time,bid,ask\n2013-02-01T00:00:00Z,1.1,1.2\n")
    assert quotes_of(open_ticks(path, options))[0][0] == ns(datetime(2013, 2, 1, tzinfo=UTC))


def test_pyarrow_waits_until_it_is_needed(tmp_path: Path) -> None:
    """Reading CSV doesn't load pyarrow, which is slow to start and large."""
    (tmp_path / "EUR_USD.csv").write_text("time,bid,ask\n2013-02-01T00:00:00Z,1.1,1.2\n")
    script = f"import sys; from broker.ticks import open_ticks; list(open_ticks({str(tmp_path / 'EUR_USD.csv')!r})); "
    loaded = subprocess.run(
        [sys.executable, "-c", script + "print('pyarrow' in sys.modules)"], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.strip() == "False"
