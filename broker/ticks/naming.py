"""What the names of files and folders say: the instrument, the day, the vendor."""

import re
from pathlib import Path

from broker.errors import BadInput
from broker.instruments import instrument, is_currency
from broker.ticks.clocks import NEW_YORK_WINTER, UTC_ZONE, Zone, days_of, parse_date, parse_zone
from broker.ticks.options import ReadOptions
from broker.types import DAY, HOUR, Instrument

_PAIR = re.compile(r"(?<![A-Za-z])(?:([A-Z]{3})[_/]([A-Z]{3})|([A-Za-z]{3})([A-Za-z]{3}))(?![A-Za-z])")
_BI5 = re.compile(r"([A-Za-z]{6})[/-](\d{4})[/-](\d\d)[/-](\d\d)[/-](\d\d)h_ticks\.bi5$", re.ASCII)
_LEAN_DATE = re.compile(r"(?<!\d)(\d{4})(\d\d)(\d\d)(?!\d)", re.ASCII)
_VENDOR = re.compile(r"(?<![a-z])(fxcm|oanda)(?![a-z])")
_LEAN_ZONES = {"fxcm": NEW_YORK_WINTER, "oanda": UTC_ZONE}
_VENDOR_FOLDERS = 4  # forex/fxcm/tick/eurusd/FILE


def pair_in(text: str) -> str | None:
    """The one instrument that a text names, as `EUR_USD`; None where there is none or several.

    >>> pair_in("DAT_ASCII_EURUSD_T_202001.csv"), pair_in("EUR/USD"), pair_in("notes-for-all.csv")
    ('EUR_USD', 'EUR_USD', None)
    """
    pairs = {tuple(part.upper() for part in found if part) for found in _PAIR.findall(text)}
    known = {f"{base}_{quote}" for base, quote in pairs if base != quote and is_currency(base) and is_currency(quote)}
    return known.pop() if len(known) == 1 else None


def settle_instrument(path: Path, said: str | None, options: ReadOptions) -> Instrument:
    """The instrument of a file: what its content or name `said` has to agree with the options.

    Raises:
        BadInput: unknown, another than asked for, or nobody says.
    """
    if said is None and options.instrument is None:
        raise BadInput("doesn't say which instrument it holds", where=str(path), mend="say --instrument, as in EUR_USD")
    if said is not None and options.instrument is not None and said != options.instrument:
        raise BadInput(f"holds {said}, not {options.instrument}", where=str(path), mend="leave this file out")
    try:
        return instrument(said or options.instrument or "")
    except BadInput as error:
        raise BadInput(error.what, where=str(path), mend=error.mend) from error


def settle_zone(options: ReadOptions, usual: Zone) -> Zone:
    """The zone asked for, else the vendor's usual one."""
    return usual if options.tz is None else parse_zone(options.tz)


def _vendor_path(path: Path) -> str:
    return "/".join(path.absolute().parts[-_VENDOR_FOLDERS - 1 :])


def bi5_name(path: Path, options: ReadOptions) -> tuple[str | None, int]:
    """`(instrument, ns of the hour)` of a Dukascopy file, `GBPJPY/2012/11/03/12h_ticks.bi5`: months count from 0.

    Raises:
        BadInput: neither the path nor `--date` tells the hour.
    """
    found = _BI5.search(_vendor_path(path))
    hour = int(match[1]) if (match := re.search(r"(?<!\d)(\d\d)h_ticks", path.name)) else None
    pair = pair_in(found[1]) if found else pair_in(path.name)
    if options.date is not None:
        start, has_hour = parse_date(options.date)
        if has_hour or hour is not None:
            return pair, start if has_hour else start + (hour or 0) * HOUR
    elif found is not None:
        days = days_of(int(found[2]), int(found[3]) + 1, int(found[4]))
        if days > -(1 << 50) and int(found[5]) < 24:
            return pair, days * DAY + int(found[5]) * HOUR
    raise BadInput(
        "its name doesn't tell the hour it holds",
        where=str(path),
        mend="name it like GBPJPY/2012/11/03/12h_ticks.bi5 (months from 0), or say --date, as in 2012-12-03T12",
    )


def lean_day(path: Path, member: str, options: ReadOptions) -> int:
    """Midnight (ns) of the day that a Lean file of times of day holds, by `--date` or its name.

    Raises:
        BadInput: neither tells.
    """
    if options.date is not None:
        return parse_date(options.date)[0]
    for name in (member, path.name):
        for year, month, day in _LEAN_DATE.findall(name):
            days = days_of(int(year), int(month), int(day))
            if days > -(1 << 50):
                return days * DAY
    raise BadInput("its name doesn't tell the day it holds", where=str(path), mend="say --date, as in 2014-05-06")


def lean_zone(path: Path, options: ReadOptions) -> Zone:
    """The clock of a Lean file, by `--tz` or the vendor in its path.

    Raises:
        BadInput: neither tells.
    """
    vendors = _VENDOR.findall(_vendor_path(path).lower())
    if options.tz is None and not vendors:
        raise BadInput(
            "its path doesn't name the vendor, whose clock it keeps",
            where=str(path),
            mend="say --tz: UTC for oanda's files, UTC-5 for fxcm's",
        )
    return settle_zone(options, _LEAN_ZONES[vendors[-1]] if vendors else UTC_ZONE)


def lean_pair(path: Path, member: str) -> str | None:
    """The instrument of a Lean file, by the name inside it, its own, or its folder's."""
    return pair_in(member) or pair_in(path.name) or pair_in(path.absolute().parent.name)
