"""A recording holds every line unchanged, survives its writer, is packed by day, and replays as it was heard."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import zstandard

from broker.errors import StorageFault
from broker.oanda import Price, Recorder
from broker.oanda.recording import pack
from broker.rfc3339 import rfc3339
from broker.ticks import ReadOptions, open_ticks, stream
from broker.types import DAY, HOUR, SECOND
from tests.broker.oanda.desk import START, TOKEN, Desk
from tests.broker.oanda.rig import EUR_USD, rig
from tests.broker.oanda.virtual import run

MIDNIGHT = START - START % DAY
PLAIN = ("EUR_USD-2023-11-14.oanda.jsonl", "EUR_USD-2023-11-15.oanda.jsonl")


def line(time: int, bid: str = "1.10000", ask: str = "1.10010") -> bytes:
    """A price as the stream sends it."""
    said = {"type": "PRICE", "instrument": EUR_USD, "time": rfc3339(time), "tradeable": True,
            "bids": [{"price": bid, "liquidity": 10}], "asks": [{"price": ask, "liquidity": 10}]}  # fmt: skip
    return json.dumps(said).encode()


def unpacked(path: Path) -> bytes:
    """A packed file's contents, all frames."""
    with path.open("rb") as file:
        return zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True).read()


def test_lines_are_kept_as_they_came(tmp_path: Path) -> None:
    """Raw and lossless: bytes in, bytes out; heartbeats in every file; gaps and refused lines marked."""
    recorder = Recorder(tmp_path, [EUR_USD, "USD_JPY"])
    beat = b'{"type": "HEARTBEAT",   "time": "x"}'
    recorder.keep(line(MIDNIGHT), MIDNIGHT, EUR_USD)
    recorder.keep(beat, MIDNIGHT + 1, "")
    recorder.drop(b"\xff half", MIDNIGHT + 2, EUR_USD, "broken")
    recorder.gap(MIDNIGHT + 2, MIDNIGHT + 3)
    recorder.close()
    euro = (tmp_path / PLAIN[0]).read_bytes().split(b"\n")
    assert euro[:2] == [line(MIDNIGHT), beat]
    assert json.loads(euro[2]) == {"type": "DROPPED", "reason": "broken", "line": "\\xff half"}
    assert json.loads(euro[3])["type"] == "GAP"
    assert (tmp_path / "USD_JPY-2023-11-14.oanda.jsonl").read_bytes().startswith(beat + b"\n")


def test_days_are_packed_when_the_next_one_begins(tmp_path: Path) -> None:
    """The feed's clock turns the page, whatever the machine's says; a packed day is whole."""
    jobs: list[Callable[[], object]] = []
    recorder = Recorder(tmp_path, [EUR_USD], jobs.append)
    recorder.keep(line(MIDNIGHT), MIDNIGHT, EUR_USD)
    recorder.keep(line(MIDNIGHT + DAY), MIDNIGHT + DAY, EUR_USD)
    recorder.keep(line(MIDNIGHT + DAY), MIDNIGHT, EUR_USD)  # a clock that goes back turns no page back
    recorder.close()
    for job in jobs:
        job()
    packed = tmp_path / f"{PLAIN[0]}.zst"
    assert unpacked(packed) == line(MIDNIGHT) + b"\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == [packed.name, PLAIN[1]]
    assert (tmp_path / PLAIN[1]).read_bytes().count(b"\n") == 2


def test_half_a_line_at_the_end_is_cut_off(tmp_path: Path) -> None:
    """kill -9 while writing: the next writer goes on after the last whole line."""
    path = tmp_path / PLAIN[0]
    path.write_bytes(line(MIDNIGHT) + b"\n" + line(MIDNIGHT)[:20])
    recorder = Recorder(tmp_path, [EUR_USD])
    recorder.keep(line(MIDNIGHT + 1), MIDNIGHT + 1, EUR_USD)
    recorder.close()
    assert path.read_bytes() == line(MIDNIGHT) + b"\n" + line(MIDNIGHT + 1) + b"\n"


def test_packing_may_be_interrupted_anywhere(tmp_path: Path) -> None:
    """Killed between its last two steps it packs nothing twice; a day that went on is appended."""
    plain = tmp_path / PLAIN[0]
    plain.write_bytes(b"one\n")
    packed = pack(plain)
    plain.write_bytes(b"one\n")  # as if it had not been removed
    pack(plain)
    assert (unpacked(packed), plain.exists()) == (b"one\n", False)
    plain.write_bytes(b"two\nhal")
    pack(plain)
    assert unpacked(packed) == b"one\ntwo\n"


def test_each_line_has_its_time_of_receipt(tmp_path: Path) -> None:
    """R16: the machine's clock beside the stream's, line by line, whatever a crash has cut off; packed with its day."""
    clock = partial(next, count(1))
    name = ".EUR_USD-2023-11-14.oanda.received"

    def write(lines: int) -> Recorder:
        recorder = Recorder(tmp_path, [EUR_USD], now=clock)
        for n in range(lines):
            recorder.keep(line(MIDNIGHT + n), MIDNIGHT + n, EUR_USD)
        recorder.close()
        return recorder

    write(3)
    assert (tmp_path / name).read_text() == "1\n2\n3\n"
    (tmp_path / name).write_text("1\n2")  # a crash between the two files
    write(1)
    assert (tmp_path / name).read_text() == "1\n0\n0\n4\n"
    with (tmp_path / PLAIN[0]).open("rb+") as file:
        file.truncate(len(line(MIDNIGHT)) + 9)
    write(1)
    assert (tmp_path / name).read_text() == "1\n5\n"
    recorder = Recorder(tmp_path, [EUR_USD], now=clock)
    recorder.gap(MIDNIGHT + DAY, MIDNIGHT + DAY)
    recorder.close()
    assert unpacked(tmp_path / f"{name}.zst") == b"1\n5\n"
    assert unpacked(tmp_path / f"{PLAIN[0]}.zst").count(b"\n") == 2


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    """The disk's failure is a StorageFault that names the file."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(StorageFault, match="recording failed"):
        Recorder(blocked / "sub", [EUR_USD])
    recorder = Recorder(tmp_path / "ticks", [EUR_USD])
    (tmp_path / "ticks" / PLAIN[0]).mkdir()
    with pytest.raises(StorageFault, match="EUR_USD"):
        recorder.keep(line(MIDNIGHT), MIDNIGHT, EUR_USD)


def test_a_recording_replays_as_it_was_heard(tmp_path: Path) -> None:
    """What the readers of tick files make of it is, quote by quote, what the feed told, reconnects included."""
    heard: list[Price] = []

    async def main() -> None:
        recorder = Recorder(tmp_path, [EUR_USD])
        async with rig(Desk(), tape=recorder) as made:
            for n in range(300):
                await asyncio.sleep(60)
                made.desk.price(138600 + n % 7, 138610 + n % 5)
                if n % 50 == 49:
                    made.desk.say("pricing", b"<html>\n")
                if n % 20 == 19:
                    made.desk.say("pricing", line(START))
                    made.desk.say("pricing", b"\n")
        recorder.close()
        heard.extend(event for event in made.told if isinstance(event, Price))

    run(main)
    files = sorted(tmp_path.iterdir())
    began, ended = (datetime.fromtimestamp(t / SECOND, UTC).date() for t in (START, START + 5 * HOUR))
    assert [f"EUR_USD-{began}.oanda.jsonl.zst", f"EUR_USD-{ended}.oanda.jsonl"] == [file.name for file in files]
    options = ReadOptions()
    batches = list(stream([open_ticks(file, options) for file in files], options))
    told = np.array([(price.time, price.bid, price.ask) for price in heard])
    read = np.concatenate([np.stack([b.time, b.bid, b.ask], 1) for b in batches])
    assert len(told) > 300
    np.testing.assert_array_equal(read, told)
    assert all(TOKEN.encode() not in (unpacked(f) if f.suffix == ".zst" else f.read_bytes()) for f in files)
