"""`micro-trader emulator`: OANDA's v20 API over loopback HTTP, from recorded ticks."""

import argparse
import asyncio
import json
import re
import secrets
import signal
import sys
from decimal import Decimal
from pathlib import Path

from broker.account import Account, Market
from broker.account.rollover import Interest
from broker.bars import BarSize
from broker.emulator import Emulator, Exchange, Faults, Settings, StateFile, load_history
from broker.emulator.indicative import indicative_rates
from broker.emulator.params import is_account_id
from broker.errors import BadInput
from broker.instruments import KNOWN, instrument
from broker.rates import Rates
from broker.rfc3339 import rfc3339
from broker.ticks import ReadOptions
from daemon.commands.replay import speed_of
from daemon.config import Config
from daemon.config.sections import bar_length
from daemon.console import Ui
from daemon.options import Subparsers, add_command, config_of
from daemon.reading import moment_of
from daemon.terms import decimal, decimals, interest_of

EXAMPLE = "micro-trader emulator --ticks EUR_USD.csv.gz --port 8401 --token secret --speed 60x"
ACCOUNT = "101-004-1000000-001"
MILLISECOND = 1_000_000


def register(subparsers: Subparsers) -> None:
    """Add the command's parser."""
    parser = add_command(subparsers, "emulator", "serve OANDA's v20 API over loopback from tick files", EXAMPLE)
    parser.add_argument(
        "--ticks",
        action="append",
        type=Path,
        metavar="FILE",
        required=True,
        help="a tick file of any format; repeat it",
    )
    parser.add_argument("--port", type=int, default=0, metavar="P", help="port of the API (default: any free one)")
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="where to listen (default: 127.0.0.1)")
    parser.add_argument("--expose", action="store_true", help="allow a --host that other machines can reach")
    parser.add_argument("--token", metavar="T", help="bearer token to demand (default: $OANDA_TOKEN, else a new one)")
    parser.add_argument("--account", default=ACCOUNT, metavar="ID", help=f"the account's id (default: {ACCOUNT})")
    parser.add_argument("--balance", metavar="N", help="money at the start (default: [account] balance)")
    parser.add_argument("--currency", metavar="CODE", help="the account's currency (default: [account] currency)")
    parser.add_argument("--speed", default="1x", metavar="1x|60x|max", help="emulated over wall time (default: 1x)")
    parser.add_argument("--bar", metavar="1m|5s|100t", help="the client's bars, for --speed max (default: [bar])")
    parser.add_argument(
        "--latency-ms", type=int, metavar="N", help="time orders are under way (default: [paper]; 0 at 1x)"
    )
    parser.add_argument("--financing", metavar="RATE", help="a year's interest, -0.02 is paid (default: [account])")
    parser.add_argument("--start", metavar="TIME", help="begin there: earlier quotes are the past, for candles")
    parser.add_argument("--loop", action="store_true", help="start again after the last quote")
    parser.add_argument("--faults", default="", metavar="SPEC", help="what goes wrong, like seed=7,lost=0.1,late=0.2")
    keeping = parser.add_argument_group("keeping", conflict_handler="resolve")  # a file here, not the state folder
    keeping.add_argument("--state", dest="state_file", type=Path, metavar="FILE", help="keep the account in this file")
    reading = parser.add_argument_group("reading the files")
    reading.add_argument("--date", metavar="YYYY-MM-DD", help="day of a file that has times of day only")
    reading.add_argument("--tz", metavar="ZONE", help="time zone of a file that does not say, like UTC or UTC-5")
    reading.add_argument("--spread-pips", type=float, metavar="P", help="spread to put on a file of bids only")
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace, _ui: Ui) -> None:
    """Serve until interrupted."""
    config = config_of(args, {"bar": ("--bar", args.bar), "account.currency": ("--currency", args.currency)})
    token = args.token or args.environ.get("OANDA_TOKEN") or secrets.token_hex(16)
    settings = settings_of(args, config, token)
    exchange = exchange_of(args, config)
    fresh = {} if args.token or "OANDA_TOKEN" in args.environ else {"token": token}
    asyncio.run(serve(Emulator(exchange, settings, Faults.parse(args.faults)), fresh))


def settings_of(args: argparse.Namespace, config: Config, token: str) -> Settings:
    """How to serve and play.

    Raises:
        BadInput: an option is out of range.
    """
    if not 0 <= args.port < 1 << 16:
        raise BadInput(f"{args.port} is no port", where="--port", mend="0 to 65535; 0 takes any free one")
    speed = speed_of(args.speed)
    kind, size = bar_length(config.bar)
    latency = args.latency_ms if args.latency_ms is not None else 0 if speed == 1 else config.paper.latency_ms
    if latency < 0:
        raise BadInput(f"{latency} is no time", where="--latency-ms", mend="0 or more")
    return Settings(
        token=token,
        control=secrets.token_urlsafe(12),
        host=args.host,
        port=args.port,
        exposed=args.expose,
        speed=speed,
        repeat=args.loop,
        bar=BarSize(clock=kind == "clock", size=size),
        latency=latency * MILLISECOND,
    )


def exchange_of(args: argparse.Namespace, config: Config) -> Exchange:
    """The account and its ticks, started.

    Raises:
        BadInput: a file or a figure is wrong.
    """
    if not is_account_id(args.account):
        raise BadInput(f"{args.account!r} is no account id", where="--account", mend=f"like {ACCOUNT}")
    options = ReadOptions(date=args.date, tz=args.tz, spread_pips=args.spread_pips, fix=config.paper.fix)
    history, recorded = load_history(args.ticks, options)
    instruments = {**{name: instrument(name) for name in KNOWN}, **recorded}
    fixed = {**indicative_rates(), **decimals(config.account.rates)}
    market = Market(instruments, config.account.currency, Rates(fixed), decimal(config.account.conversion_fee))
    flat = args.financing is not None
    interest = Interest(other=decimal_of(args.financing, "--financing")) if flat else interest_of(config)
    account = Account(args.account, market, interest)
    store = StateFile(args.state_file) if args.state_file is not None else None
    if args.start is not None:
        begin = moment_of(args.start, "--start")
        if not history.start <= begin <= history.end:
            mend = f"from {rfc3339(history.start)} to {rfc3339(history.end)}"
            raise BadInput("is not in the files", where="--start", mend=mend)
        history.seek(begin - 1)
    exchange = Exchange(account, history, instruments, store)
    balance = args.balance if args.balance is not None else str(config.account.balance)
    exchange.start(decimal_of(balance, "--balance"), decimal(config.account.margin_rate) or None)
    return exchange


def decimal_of(text: str, flag: str) -> Decimal:
    """A decimal given on the command line.

    Raises:
        BadInput: it is none.
    """
    if re.fullmatch(r"-?\d{1,12}(\.\d{1,9})?", text, re.ASCII) is None:
        raise BadInput(f"{text!r} is no number", where=flag, mend="like 100000 or 0.02")
    return Decimal(text)


async def serve(emulator: Emulator, more: dict[str, str]) -> None:
    """Say where, and serve until SIGINT or SIGTERM."""
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, over.set)
    try:
        where = await emulator.start()
        sys.stdout.write(json.dumps({**where, **more}) + "\n")
        sys.stdout.flush()
        await over.wait()
    finally:
        await emulator.stop()
