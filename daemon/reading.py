"""Command-line options for reading tick files, the same wherever files are read."""

import argparse

from broker.ticks import ReadOptions


def add_reading_options(parser: argparse.ArgumentParser) -> None:
    """Add what a tick file may not say itself, and what is done about broken lines."""
    group = parser.add_argument_group("reading the files")
    group.add_argument("--date", metavar="DATE", help="day of a file with times of day only, as in 2012-12-03")
    group.add_argument("--tz", metavar="ZONE", help="clock of a file that names none: UTC, UTC-5, Europe/Berlin")
    group.add_argument("--spread-pips", type=float, metavar="PIPS", help="from bid to ask, for bars without an ask")
    group.add_argument("--on-bad-line", choices=("fail", "skip"), default="fail", help="skipped lines are counted")


def reading_options(args: argparse.Namespace, *, instrument: str | None = None, fix: str = "drop") -> ReadOptions:
    """The options of `add_reading_options`, with what the command knows itself."""
    return ReadOptions(instrument, args.date, args.tz, args.spread_pips, args.on_bad_line, fix)
