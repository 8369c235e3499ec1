"""oandapyV20's own client, unchanged, against the emulator as its own process; and that killed and restarted."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import oandapyV20
import pytest
import requests
from oandapyV20.endpoints import accounts, instruments, orders, positions, pricing, trades, transactions
from oandapyV20.oandapyV20 import TRADING_ENVIRONMENTS

from broker.rfc3339 import rfc3339
from broker.types import SECOND
from daemon.cli import main
from tests.broker.emulator.served import START, tick_file

Json = dict[str, Any]
TOKEN = "for-public-clients"
ROOT = Path(__file__).parents[3]
AWAY: Any = {"cwd": Path(__file__).parent, "env": {**os.environ, "PYTHONPATH": str(ROOT)}}
"""Where no config.toml is found, so that the defaults count."""


@contextmanager
def running(*options: str) -> Iterator[tuple[Json, "subprocess.Popen[str]"]]:
    """The command in a process of its own: what its first line says, and the process."""
    command = [sys.executable, "-m", "daemon", "emulator", "--token", TOKEN, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **AWAY) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        try:
            assert line, process.stderr.read()
            yield json.loads(line), process
        finally:
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=30)
            assert "Traceback" not in said
            assert TOKEN not in said


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Json]:
    """An emulator at sixty times the wall's pace."""
    quotes = [(n * 5.0, 110_000 + n % 7, 110_010 + n % 7) for n in range(10_000)]
    with running("--ticks", str(tick_file(tmp_path_factory.mktemp("ticks"), quotes)), "--speed", "60x") as (said, _):
        yield said


def control(where: Json, name: str, **body: Any) -> None:
    """An order to the control plane."""
    assert requests.post(f"{where['control']}/{name}", json=body, timeout=10).status_code == 200


def fails(api: oandapyV20.API, request: Any, code: int, name: str) -> None:
    """The request is refused with this status and this error code."""
    with pytest.raises(oandapyV20.V20Error) as refused:
        api.request(request)
    assert (refused.value.code, json.loads(refused.value.msg).get("errorCode")) == (code, name)


@pytest.fixture
def api(where: Json, monkeypatch: pytest.MonkeyPatch) -> Iterator[oandapyV20.API]:
    """oandapyV20's own client, pointed at the emulator."""
    monkeypatch.setitem(TRADING_ENVIRONMENTS, "practice", {"api": where["rest"], "stream": where["stream"]})
    client = oandapyV20.API(access_token=TOKEN)
    yield client
    client.client.close()


def test_oandapyv20_trades(where: Json, api: oandapyV20.API) -> None:
    """Every order type with create, fill, replace, cancel, dependents, partial closes and look-ups by its own ids."""
    account, ask = where["account"], api.request
    links = {"stopLossOnFill": {"distance": "0.05"}, "takeProfitOnFill": {"price": "1.3"}}
    market = {"type": "MARKET", "instrument": "EUR_USD", "units": "100", **links}
    made = ask(orders.OrderCreate(account, data={"order": market}))
    trade = made["orderFillTransaction"]["tradeOpened"]["tradeID"]
    ask(trades.TradeCRCDO(account, trade, data={"takeProfit": None, "trailingStopLoss": {"distance": "0.04"}}))
    ask(trades.TradeClientExtensions(account, trade, data={"clientExtensions": {"id": "mine"}}))
    found = ask(trades.TradeDetails(account, "@mine"))["trade"]
    assert {"stopLossOrder", "trailingStopLossOrder"} <= set(found)
    assert "takeProfitOrder" not in found
    ask(trades.TradeClose(account, trade, data={"units": "40"}))
    ask(trades.TradeClose(account, trade))
    assert ask(trades.TradeDetails(account, trade))["trade"]["state"] == "CLOSED"
    for kind, price in (("LIMIT", "1.0"), ("STOP", "1.3"), ("MARKET_IF_TOUCHED", "1.05")):
        asked = {"type": kind, "instrument": "EUR_USD", "units": "10", "price": price}
        ask(orders.OrderCreate(account, data={"order": {**asked, "clientExtensions": {"id": f"c-{kind}"}}}))
        number = ask(orders.OrderDetails(account, f"@c-{kind}"))["order"]["id"]
        made = ask(orders.OrderReplace(account, number, data={"order": {**asked, "units": "11"}}))
        ask(orders.OrderCancel(account, made["orderCreateTransaction"]["id"]))
    ask(orders.OrderCreate(account, data={"order": {**asked, "type": "LIMIT", "price": "1.02"}}))
    control(where, "price", instrument="EUR_USD", bid="1.01", ask="1.0101")
    assert ask(orders.OrdersPending(account))["orders"] == []
    ask(positions.PositionClose(account, "EUR_USD", data={"longUnits": "ALL"}))
    assert ask(positions.OpenPositions(account))["positions"] == []


def test_oandapyv20_reads(where: Json, api: oandapyV20.API) -> None:
    """Accounts, changes, instruments, prices, candles, transactions and both streams."""
    account, ask = where["account"], api.request
    ask(accounts.AccountDetails(account))
    ask(accounts.AccountInstruments(account, params={"instruments": "EUR_USD,USD_JPY"}))
    ask(accounts.AccountConfiguration(account, data={"alias": "me"}))
    since = ask(accounts.AccountSummary(account))["lastTransactionID"]
    changes = ask(accounts.AccountChanges(account, params={"sinceTransactionID": int(since) - 1}))
    assert [one["id"] for one in changes["changes"]["transactions"]] == [since]
    ask(positions.PositionDetails(account, "EUR_USD"))
    ask(pricing.PricingInfo(account, params={"instruments": "EUR_USD"}))
    ask(instruments.InstrumentsCandles("EUR_USD", params={"granularity": "S5", "price": "BA", "count": 5}))
    ask(transactions.TransactionIDRange(account, params={"from": 1, "to": since}))
    ask(transactions.TransactionsSinceID(account, params={"id": 1}))
    for stream, wanted in (
        (pricing.PricingStream(account, params={"instruments": "EUR_USD"}), {"PRICE", "HEARTBEAT"}),
        (transactions.TransactionsStream(account), {"HEARTBEAT"}),
    ):
        lines = ask(stream)
        seen: set[str] = set()
        while not wanted <= seen:
            seen.add(next(lines)["type"])
        lines.close()


def test_oandapyv20_is_refused(where: Json, api: oandapyV20.API) -> None:
    """The error cases, by status and code."""
    account = where["account"]
    asked = {"type": "LIMIT", "instrument": "EUR_USD", "units": "10", "price": "1.123456"}
    fails(api, orders.OrderCreate(account, data={"order": asked}), 400, "PRICE_PRECISION_EXCEEDED")
    fails(api, orders.OrderCancel(account, "999999"), 404, "ORDER_DOESNT_EXIST")
    fails(api, orders.OrderDetails(account, "999999"), 404, "NO_SUCH_ORDER")
    fails(api, trades.TradeClose(account, "999999", data={"units": "ALL"}), 404, "TRADE_DOESNT_EXIST")
    close = positions.PositionClose(account, "GBP_USD", data={"longUnits": "ALL"})
    fails(api, close, 400, "CLOSEOUT_POSITION_DOESNT_EXIST")
    stranger = oandapyV20.API(access_token="another")
    with pytest.raises(oandapyV20.V20Error) as refused:
        stranger.request(accounts.AccountList())
    stranger.client.close()
    assert refused.value.code == 401


def test_a_killed_emulator_takes_up_where_it_was(tmp_path: Path) -> None:
    """kill -9 between an answer and the next request loses no transaction; the clock does not go back."""
    files = str(tick_file(tmp_path, [(n * 1.0, 110_000, 110_010) for n in range(4000)]))
    options = ("--ticks", files, "--speed", "60x", "--state", str(tmp_path / "state.db"))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    said: list[Json] = []
    for life in range(3):
        with running(*options) as (where, process):
            root = f"{where['rest']}/v3/accounts/{where['account']}"
            before = requests.get(f"{root}/transactions/sinceid", {"id": 0}, headers=headers, timeout=10).json()
            assert before["transactions"][: len(said)] == said
            asked = {"order": {"type": "MARKET", "instrument": "EUR_USD", "units": 10 + life}}
            made = requests.post(f"{root}/orders", json=asked, headers=headers, timeout=10).json()
            assert made["orderFillTransaction"]["time"] >= before["transactions"][-1]["time"]
            fresh = [made["orderCreateTransaction"], made["orderFillTransaction"]]
            said = [*before["transactions"], *fresh]
            os.kill(process.pid, signal.SIGKILL)
    assert [one["id"] for one in said] == [str(number) for number in range(1, 9)]


def test_it_may_begin_in_the_middle(tmp_path: Path) -> None:
    """What is before --start is the past: candles know it, and the clock begins after it."""
    quotes = [(60 * minute, 110_000 + minute, 110_010 + minute) for minute in range(120)]
    start = rfc3339(START + 3600 * SECOND)
    options = ("--ticks", str(tick_file(tmp_path, quotes)), "--token", TOKEN, "--start", start)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with running(*options) as (where, _):
        root = f"{where['rest']}/v3/accounts/{where['account']}"
        price = requests.get(f"{root}/pricing", {"instruments": "EUR_USD"}, headers=headers, timeout=10).json()
        assert price["prices"][0]["time"] == start
        asked = {"granularity": "M1", "count": 100}
        found = requests.get(f"{root}/instruments/EUR_USD/candles", asked, headers=headers, timeout=10).json()
        candles = [candle for candle in found["candles"] if candle["complete"]]
        assert [candle["mid"]["o"] for candle in candles] == [f"{(110_005 + m) / 1e5:.5f}" for m in range(60)]


@pytest.mark.parametrize(
    "options",
    [
        ("--host", "0.0.0.0"), ("--port", "70000"), ("--account", "me"), ("--speed", "fast"), ("--faults", "lost=7"),
        ("--balance", "much"), ("--currency", "dollars"), ("--latency-ms", "-1"), ("--financing", "x"),
        ("--start", "soon"), ("--start", "2013-01-01"),
    ],
)  # fmt: skip
def test_wrong_options_are_one_clear_line(
    options: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, no traceback, nothing served."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("daemon.commands.emulator.serve", lambda *_: pytest.fail("it was served"))
    files = str(tick_file(tmp_path, [(0, 110_000, 110_010)]))
    assert main(["emulator", "--token", TOKEN, "--ticks", files, *options]) == 2
    said = capsys.readouterr()
    assert (said.out, len(said.err.splitlines())) == ("", 1)
    assert TOKEN not in said.err
