"""`micro-trader ticks`: inspect, convert, synthesise, record and download tick files."""

import argparse
import importlib
from pathlib import Path
from typing import Any

from broker.errors import BadInput
from broker.instruments import instrument
from broker.ticks import ReadOptions
from broker.ticks.convert import convert
from broker.ticks.info import info
from broker.ticks.synth import MARKETS, Plan, synth
from daemon.console import Ui
from daemon.dayfiles import split
from daemon.options import Handler, Subparsers, add_command
from daemon.reading import add_reading_options, moment_of, reading_options

SOURCES = {"oanda": "daemon.recording", "dukascopy": "daemon.dukascopy"}
_SUMMARY = "inspect, convert, synthesise, record and download tick files"


def register(subparsers: Subparsers) -> None:
    """Add `ticks` and its subcommands."""
    parser = add_command(subparsers, "ticks", _SUMMARY, "micro-trader ticks info EUR_USD-2014.csv.gz")
    verbs = parser.add_subparsers(required=True, metavar="info|convert|synth|record|download")
    about = "say what tick files hold: rows, times, gaps, crossed quotes, duplicates"
    examine = add_command(verbs, "info", about, "micro-trader ticks info EUR_USD-2014.csv.gz --json")
    examine.add_argument("files", nargs="+", type=Path, metavar="FILE", help="tick files of any known format")
    examine.set_defaults(handler=show_info)
    about = "copy a tick file into another format; nothing is lost"
    copy = add_command(verbs, "convert", about, "micro-trader ticks convert EUR_USD-2014.csv.gz EUR_USD-2014.parquet")
    copy.add_argument("source", type=Path, metavar="IN", help="a tick file of any known format")
    copy.add_argument(
        "target", type=Path, metavar="OUT", help="ends in .csv[.gz|.zst], .parquet or .jsonl[.gz|.zst]; a folder by day"
    )
    copy.add_argument("--by-day", action="store_true", help="a file a UTC day, for training to find in ticks/")
    copy.add_argument("--until", metavar="TIME", help="by day: leave out what comes from that day or time on")
    copy.set_defaults(handler=convert_file)
    for reading in (examine, copy):
        reading.add_argument(
            "--instrument", metavar="NAME", help="as in EUR_USD, where neither content nor name says it"
        )
        add_reading_options(reading)
    about = "write synthetic ticks of a market whose best possible result is known"
    make = add_command(verbs, "synth", about, "micro-trader ticks synth ou EUR_USD-ou.csv.gz --bars 20000 --seed 1")
    _add_synth_options(make)
    make.set_defaults(handler=write_synthetic)
    about = "record the prices of your account's stream, raw, a file a day"
    _add_record_options(add_command(verbs, "record", about, "micro-trader ticks record --instrument EUR_USD,USD_JPY"))
    about = "download candles from your account into a file of bars, or Dukascopy's ticks into a folder"
    example = """\
micro-trader ticks download EUR_USD-2024.csv.gz --instrument EUR_USD --from 2024-01-01 --to 2025-01-01
micro-trader ticks download history --source dukascopy --instrument EUR_USD --from 2024-01-01 --to 2024-02-01"""
    _add_download_options(add_command(verbs, "download", about, example))


def _add_synth_options(parser: argparse.ArgumentParser) -> None:
    usual = Plan("ou")
    parser.add_argument("market", choices=tuple(MARKETS), metavar="MARKET", help=", ".join(MARKETS))
    parser.add_argument("out", type=Path, metavar="OUT", help="ends in .csv[.gz|.zst], .parquet or .jsonl[.gz|.zst]")
    parser.add_argument("--bars", type=int, default=usual.bars, metavar="N", help="minutes (%(default)s)")
    parser.add_argument("--seed", type=int, default=usual.seed, metavar="N", help="the same seed, the same quotes")
    parser.add_argument(
        "--ticks-per-bar", type=int, default=usual.ticks_per_bar, metavar="K", help="quotes a minute (%(default)s)"
    )
    parser.add_argument("--pip", type=float, default=usual.pip, metavar="P", help="0.01 for prices as of yen")
    parser.add_argument(
        "--scale", type=float, default=usual.scale, metavar="X", help="multiplies volatility and spread"
    )
    parser.add_argument(
        "--param", action="append", default=[], metavar="KEY=VALUE", help="set a parameter of the market (repeatable)"
    )


def _add_record_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--instrument", metavar="NAME[,NAME]", help="what to record (default: `instruments`)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder (default: ticks/ in the state folder)")
    parser.add_argument("--minutes", type=float, metavar="M", help="stop after this time (default: when interrupted)")
    parser.set_defaults(handler=_later("record"), source="oanda")


def _add_download_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "out", type=Path, metavar="OUT", help="of candles: ends in .csv[.gz|.zst] or .parquet; of ticks: a folder"
    )
    parser.add_argument("--source", choices=SOURCES, default="oanda", help="whose history (default: %(default)s)")
    parser.add_argument("--url", metavar="URL", help="another server of Dukascopy's files")
    parser.add_argument("--instrument", required=True, metavar="NAME", help="as in EUR_USD")
    parser.add_argument("--from", dest="start", required=True, metavar="TIME", help="a day or an RFC 3339 time, UTC")
    parser.add_argument("--to", dest="end", metavar="TIME", help="not included (default: now)")
    parser.add_argument("--granularity", default="M1", metavar="M1", help="as OANDA names them: S5, M1, H1, D")
    parser.set_defaults(handler=_later("download"))


def _later(name: str) -> Handler:
    """A handler of the source's module, which is loaded, with the network's, only when it is called."""

    def handler(args: argparse.Namespace, ui: Ui) -> dict[str, Any] | None:
        module = importlib.import_module(SOURCES[args.source])
        result: dict[str, Any] = getattr(module, name)(args, ui)
        return result

    return handler


def show_info(args: argparse.Namespace, _ui: Ui) -> dict[str, Any]:
    """One file's figures, or `files` with those of each."""
    options = _options(args)
    figures = [{"file": str(path), **info(path, options)} for path in args.files]
    return figures[0] if len(figures) == 1 else {"files": figures}


def convert_file(args: argparse.Namespace, _ui: Ui) -> dict[str, Any]:
    """Convert; says how many rows were written.

    Raises:
        BadInput: --until without --by-day, or a file can't be read.
    """
    if args.by_day:
        until = moment_of(args.until, "--until") if args.until is not None else None
        return split(args.source, args.target, _options(args), until)
    if args.until is not None:
        raise BadInput("goes with --by-day", where="--until")
    return convert(args.source, args.target, _options(args))


def write_synthetic(args: argparse.Namespace, _ui: Ui) -> dict[str, Any]:
    """Synthesise; says how many ticks were written."""
    params = dict(map(_param, args.param))
    plan = Plan(args.market, args.bars, args.seed, args.ticks_per_bar, args.pip, args.scale, params)
    return synth(plan, args.out)


def _options(args: argparse.Namespace) -> ReadOptions:
    if args.instrument is not None:
        instrument(args.instrument)
    return reading_options(args, instrument=args.instrument)


def _param(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError as error:
        raise BadInput(f"{text!r} is not KEY=VALUE", where="--param", mend="as in --param spread=0.5") from error
