"""`ticks record` and `ticks download` as commands, against a scripted broker in a process of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from broker.rfc3339 import rfc3339
from broker.types import SECOND
from daemon.cli import DONE, FAILED, REFUSED, main
from tests.broker.oanda.desk import ACCOUNT, START, TOKEN

SERVER = """
import asyncio, json
from aiohttp import web
from broker.rfc3339 import rfc3339
from tests.broker.oanda.desk import START, Desk
async def serve():
    desk = Desk()
    sides = {side: {"o": "1.1", "h": "1.3", "l": "1.0", "c": "1.2"} for side in ("bid", "ask")}
    for n in range(7000):
        desk.candles.append({"time": rfc3339(START + n * 60 * 10**9), "volume": n, "complete": True, **sides})
    runner = web.AppRunner(desk.app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    while True:
        await asyncio.sleep(0.02)
        desk.price()
asyncio.run(serve())
"""


@pytest.fixture
def broker(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """The environment of a user whose broker is the scripted one."""
    env = {**os.environ, "PYTHONPATH": str(root)}
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True, env=env) as server:
        assert server.stdout is not None
        base = f"http://127.0.0.1:{server.stdout.readline().strip()}"
        said = {"OANDA_TOKEN": TOKEN, "OANDA_ACCOUNT": ACCOUNT, "OANDA_ENVIRONMENT": "custom",
                "OANDA_REST_URL": base, "OANDA_STREAM_URL": base}  # fmt: skip
        for name, value in said.items():
            monkeypatch.setenv(name, value)
        yield {**env, **said}
        server.kill()


def test_a_recording_ends_at_its_time_or_by_a_signal(
    broker: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """SIGTERM ends it in order: what was heard is on disk, whole, and readable as ticks; the token is nowhere."""
    command = [
        sys.executable,
        "-m",
        "daemon",
        "ticks",
        "record",
        "--instrument",
        "EUR_USD",
        "--out",
        str(tmp_path),
        "--json",
    ]
    with subprocess.Popen(command, env=broker, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as recorder:
        for _ in range(400):
            if any(file.stat().st_size for file in tmp_path.glob("*.jsonl")) or recorder.poll() is not None:
                break
            Event().wait(0.05)
        recorder.send_signal(signal.SIGTERM)
        out, err = recorder.communicate(timeout=20)
    assert recorder.returncode == DONE, err
    said, file = json.loads(out), next(tmp_path.glob("EUR_USD-*.oanda.jsonl"))
    assert said["ticks"] == said["lines"] == file.read_bytes().count(b"\n") > 1
    assert TOKEN not in out + err + file.read_text()
    assert main(["ticks", "record", "--minutes", "0.02", "--out", str(tmp_path / "b"), "--json"]) == DONE
    again = json.loads(capsys.readouterr().out)
    recorded = next((tmp_path / "b").iterdir())
    assert main(["ticks", "info", str(recorded), "--json"]) == DONE
    assert json.loads(capsys.readouterr().out)["ticks"] == again["ticks"] > 1


def test_candles_become_a_file_of_bars(
    broker: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two pages, one file: bid and ask, exact, readable as bars."""
    out = tmp_path / "EUR_USD-x.csv"
    begin, end = rfc3339(START), rfc3339(START + 6000 * 60 * SECOND)
    span = ["--instrument", "EUR_USD", "--from", begin, "--to", end]
    assert main(["ticks", "download", str(out), *span, "--json"]) == DONE
    assert json.loads(capsys.readouterr().out)["bars"] == 6000
    lines = out.read_text().splitlines()
    assert lines[0].startswith("time,open_bid,high_bid,low_bid,close_bid,open_ask")
    assert lines[2].endswith("1.10000,1.30000,1.00000,1.20000,1.10000,1.30000,1.00000,1.20000,1")
    assert main(["ticks", "info", str(out), "--json"]) == DONE
    figures = json.loads(capsys.readouterr().out)
    assert (figures["source"], figures["first"]) == ("bars", begin)


OF = ["x.csv", "--instrument", "EUR_USD", "--from"]
WRONG = [
    (["record", "--instrument", "GBP_USD"], "the account has no GBP_USD"),
    (["record", "--minutes", "0"], "must be above 0"),
    (["download", *OF, "soon"], "is no time"),
    (["download", *OF, "2024-01-02", "--to", "2024-01-01"], "ends before it begins"),
    (["download", "x.jsonl", *OF[1:], "2024-01-01"], "no stream of quotes"),
    (["download", *OF, "2024-01-01", "--granularity", "S1"], "no granularity 'S1'"),
]


@pytest.mark.parametrize(("args", "what"), WRONG)
def test_wrong_usage_is_one_line(
    broker: dict[str, str], args: list[str], what: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Exit code 2, what is wrong and nothing written."""
    args = [str(tmp_path / arg) if arg.startswith("x.") else arg for arg in args]
    assert main(["ticks", *args, "--state", str(tmp_path)]) == REFUSED
    err = capsys.readouterr().err
    assert what in err
    assert err.count("\n") == 1
    assert not list(tmp_path.glob("x.*"))


def test_a_refused_token_fails_and_is_not_shown(
    broker: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """401: one line, exit code 1, without the token."""
    monkeypatch.setenv("OANDA_TOKEN", "wr0ng-t0ken")
    assert main(["ticks", "record", "--minutes", "1"]) == FAILED
    err = capsys.readouterr().err
    assert "401" in err
    assert "wr0ng" not in err
