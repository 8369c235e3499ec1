"""Whatever the bytes, a reader succeeds or raises BadInput with one line."""

import gzip
import io
import lzma
import zipfile
from pathlib import Path

import numpy as np
import pyarrow
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from broker.errors import BadInput
from broker.ticks import ReadOptions, open_ticks
from broker.ticks.info import info

TEXTS = {
    "EUR_USD.csv": "time,bid,ask,bid_size,ask_size\n" + "2014-05-01T00:00:00.292Z,1.38676,1.38686,1.5,2\n" * 4,
    "EUR_USD.bars.csv": "time,open_bid,high_bid,low_bid,close_bid,volume\n"
    + "".join(f"2014-05-01T0{h}:00:00Z,1.3,1.4,1.2,1.3,0\n" for h in range(4)),
    "a.csv": "EUR/USD,20130101 00:00:00.123,1.32,1.33\n" * 4,
    "DAT_ASCII_EURUSD_T_202001.csv": "20200101 170000065,1.121200,1.121720,0\n" * 4,
    "EURUSD_Ticks.csv": "Gmt time,Ask,Bid,AskVolume,BidVolume\n" + "01.02.2013 00:00:00.123,1.3,1.2,1,1\n" * 4,
    "eurusd-tick.csv": "timestamp,askPrice,bidPrice,askVolume,bidVolume\n" + "1356998400123,1.3,1.2,1,1\n" * 4,
    "lean-forex-oanda-tick-eurusd-20140506_quote.csv": "158,1.38742,1.38755\n1405.5,1.38742,1.38754\n" * 4,
    "EUR_USD.jsonl": '{"type":"HEARTBEAT","time":"2020-01-01T00:00:00Z"}\n'
    + '{"type":"PRICE","time":"2020-01-01T00:00:00Z","instrument":"EUR_USD","bids":[{"price":"1.1","liquidity":1}],'
    '"asks":[{"price":"1.2","liquidity":1}]}\n' * 3,
}
BI5 = "dukascopy-EURUSD-2012-11-03-12h_ticks.bi5"
SKIP = ReadOptions(on_bad_line="skip", spread_pips=1.0)
FAIL = ReadOptions(spread_pips=1.0)


def _zip(content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("20140506_eurusd_tick_quote.csv", content)
    return out.getvalue()


def _parquet() -> bytes:
    out = io.BytesIO()
    time = np.arange(50).astype("datetime64[ms]")
    parquet.write_table(pyarrow.table({"time": time, "bid": np.full(50, 1.1), "ask": np.full(50, 1.2)}), out)
    return out.getvalue()


SAMPLES = {name: text.encode() for name, text in TEXTS.items()}
LEAN = SAMPLES["lean-forex-oanda-tick-eurusd-20140506_quote.csv"]
SAMPLES |= {
    "EUR_USD.csv.gz": gzip.compress(SAMPLES["EUR_USD.csv"]),
    "EUR_USD.csv.zst": zstandard.compress(SAMPLES["EUR_USD.csv"]),
    "lean-forex-oanda-tick-eurusd-20140506_quote.zip": _zip(LEAN),
    "EUR_USD.parquet": _parquet(),
    BI5: lzma.compress(bytes(range(120)), lzma.FORMAT_ALONE),
}


def check_read(path: Path) -> None:
    """Read a file in both ways: the figures add up, or the error is one line that names the file."""
    for options in (FAIL, SKIP):
        try:
            figures = info(path, options)
        except BadInput as error:
            assert "\n" not in str(error)
            assert path.name in str(error)
        else:
            assert figures["ticks"] >= figures["same_time"] >= figures["duplicates"] >= 0
            assert figures["ticks"] == sum(len(quotes) for quotes in open_ticks(path, options))


@pytest.mark.parametrize("name", SAMPLES)
def test_the_samples_themselves_are_read(tmp_path: Path, name: str) -> None:
    """What the fuzzing starts from is sound."""
    (tmp_path / name).write_bytes(SAMPLES[name])
    if name != BI5:
        assert info(tmp_path / name, FAIL)["ticks"] > 0
    check_read(tmp_path / name)


@settings(max_examples=400)
@given(st.sampled_from(sorted(SAMPLES)), st.data())
def test_a_changed_file_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    """Bytes changed, cut out, doubled or cut off: never a traceback."""
    content = bytearray(SAMPLES[name])
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content)))
        kind = data.draw(st.sampled_from(["set", "cut", "end", "double"]))
        if kind == "set":
            content[start : start + 1] = data.draw(st.binary(min_size=1, max_size=4))
        elif kind == "cut":
            del content[start : start + data.draw(st.integers(1, 40))]
        elif kind == "end":
            del content[start:]
        else:
            content[start:start] = content[start : start + data.draw(st.integers(1, 60))]
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(bytes(content))
    check_read(path)


@given(st.sampled_from(sorted(SAMPLES)), st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, name: str, content: bytes) -> None:
    """Random bytes under any name, plain and behind the magic of each packing."""
    path = tmp_path_factory.getbasetemp() / name
    for magic in (
        b"",
        b"\x1f\x8b\x08",
        b"\x28\xb5\x2f\xfd",
        b"PK\x03\x04",
        b"PAR1",
        b"\x5d\x00\x00",
        b"{",
        b"time,bid,ask\n",
    ):
        path.write_bytes(magic + content)
        check_read(path)
