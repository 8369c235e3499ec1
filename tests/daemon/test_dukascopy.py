"""`ticks download --source dukascopy` against a server of hourly files on loopback that misbehaves."""

import json
import lzma
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from broker.instruments import instrument
from broker.rfc3339 import parse_rfc3339
from broker.ticks import ReadOptions, open_ticks, stream
from daemon.cli import main
from daemon.dukascopy import History, NoAnswer, Span

FRIDAY = "2024-05-03T20:00:00Z"


def packed(ticks: int) -> bytes:
    """An hour with so many ticks, as the vendor packs it."""
    rows = b"".join(struct.pack(">IIIff", 1000 * i, 107010 + i, 107000 + i, 1.5, 2.25) for i in range(ticks))
    return lzma.compress(rows, format=lzma.FORMAT_ALONE) if ticks else b""


class Vendor:
    """Serves hours; what goes wrong with each request is taken from `trouble`."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.trouble: list[str] = []
        self.hours = {f"EURUSD/2024/04/03/{hour:02}h_ticks.bi5": packed(hour) for hour in (20, 21)}
        self.hours["EURUSD/2024/04/03/22h_ticks.bi5"] = b""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """An hour, or its trouble."""
        hour = request.match_info["hour"]
        self.asked.append(hour)
        body = self.hours.get(hour)
        match self.trouble.pop(0) if self.trouble else "":
            case "error":
                return web.Response(status=503)
            case "html":
                return web.Response(text="<html>busy</html>")
            case "cut":
                return web.Response(body=(body or b"x" * 30)[:-7])
            case "drop":
                response = web.StreamResponse(headers={"Content-Length": "1000"})
                await response.prepare(request)
                await response.write(b"12345")
                assert request.transport is not None
                request.transport.close()
                return response
        return web.Response(status=404) if body is None else web.Response(body=body)


@pytest.fixture
async def vendor() -> AsyncIterator[tuple[Vendor, str]]:
    """The server and its URL."""
    found, app = Vendor(), web.Application()
    app.router.add_get("/feed/{hour:.*}", found.answer)
    async with TestServer(app) as server:
        yield found, str(server.make_url("/feed"))


def span(folder: Path, hours: int = 4) -> Span:
    """Hours of the evening of a Friday; the last one has no file."""
    start = parse_rfc3339(FRIDAY)
    return Span(instrument("EUR_USD"), start, start + hours * 3600 * 10**9, folder)


def below(folder: Path) -> list[Path]:
    """All files, in order."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


async def fetched(url: str, wanted: Span) -> dict[str, int]:
    """What a download counted."""
    history = History(url, Random(1), lambda: None, retry_first=0.001)
    await history.fetch(wanted)
    return dict(history.counts)


async def test_hours_are_fetched_once_and_replay(vendor: tuple[Vendor, str], tmp_path: Path) -> None:
    """All ticks arrive as they are; a second run asks only for what the server did not have."""
    served, url = vendor
    found = await fetched(url, span(tmp_path))
    assert (found["fetched"], found["missing"], found["ticks"]) == (3, 1, 41)
    quotes = list(stream([open_ticks(path, ReadOptions()) for path in below(tmp_path)], ReadOptions()))
    assert sum(map(len, quotes)) == 41
    assert int(quotes[0].time[0]) == parse_rfc3339(FRIDAY)
    assert (int(quotes[0].bid[0]), int(quotes[0].ask[0])) == (107000, 107010)
    served.asked.clear()
    again = await fetched(url, span(tmp_path))
    assert (again["kept"], again["fetched"], again["ticks"]) == (3, 0, 41)
    assert served.asked == ["EURUSD/2024/04/03/23h_ticks.bi5"]


@pytest.mark.parametrize("trouble", ["error", "html", "cut", "drop"])
async def test_trouble_is_tried_again(vendor: tuple[Vendor, str], tmp_path: Path, trouble: str) -> None:
    """Whatever goes wrong three times, the hours arrive whole."""
    vendor[0].trouble = [trouble] * 3
    assert (await fetched(vendor[1], span(tmp_path, 2)))["ticks"] == 41
    assert {path.suffix for path in below(tmp_path)} == {".bi5"}


async def test_lasting_trouble_is_told_and_the_next_run_goes_on(vendor: tuple[Vendor, str], tmp_path: Path) -> None:
    """The hour is named, nothing half-written has its name, and what was fetched is kept."""
    served, url = vendor
    first = span(tmp_path, 1)
    await fetched(url, first)
    served.trouble = ["cut"] * 100
    with pytest.raises(NoAnswer, match="21h_ticks"):
        await fetched(url, span(tmp_path, 2))
    assert [path.name for path in below(tmp_path)] == ["20h_ticks.bi5"]
    served.trouble = []
    found = await fetched(url, span(tmp_path, 2))
    assert (found["fetched"], found["kept"]) == (1, 1)


async def test_a_damaged_file_is_fetched_again(vendor: tuple[Vendor, str], tmp_path: Path) -> None:
    """What lies there is verified, not believed."""
    await fetched(vendor[1], span(tmp_path, 1))
    path = below(tmp_path)[0]
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    assert (await fetched(vendor[1], span(tmp_path, 1)))["fetched"] == 1
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--from", "soon"], "is no time"),
        (["--from", "2024-01-02", "--to", "2024-01-01"], "ends before"),
        (["--from", "2024-01-02", "--url", "nowhere"], "is no URL"),
        (["--from", "2024-01-02", "--instrument", "EURUSD"], "EURUSD"),
    ],
)
def test_wrong_usage(more: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2, and what to do."""
    base = ["ticks", "download", str(tmp_path), "--source", "dukascopy", "--instrument", "EUR_USD"]
    assert main([*base, *more]) == 2
    assert words in capsys.readouterr().err


def test_an_empty_span_of_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing listens there: exit 1 with the address, not a traceback."""
    command = ["ticks", "download", str(tmp_path), "--source", "dukascopy", "--url", "http://127.0.0.1:9"]
    times = ["--instrument", "EUR_USD", "--from", "2024-01-02", "--to", "2024-01-02T01:00:00Z", "--json"]
    assert main([*command, *times]) == 1
    out, err = capsys.readouterr()
    assert "127.0.0.1:9" in err
    assert out == "" or json.loads(out)
