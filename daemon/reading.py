"""Command-line options for reading tick files, the same wherever files are read."""

import argparse
import re
from datetime import UTC, datetime

from broker.errors import BadInput
from broker.rfc3339 import parse_rfc3339
from broker.ticks import ReadOptions
from broker.types import DAY


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


def moment_of(text: str, flag: str) -> int:
    """A day or an RFC 3339 time, ns.

    Raises:
        BadInput: it is neither.
    """
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
            return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) // 86_400 * DAY
        return parse_rfc3339(text)
    except ValueError as error:
        raise BadInput(f"{text!r} is no time", where=flag, mend="as in 2024-05-01 or 2024-05-01T12:00:00Z") from error
