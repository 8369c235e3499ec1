"""HistData ASCII ticks: `20200101 170000065,bid,ask,0`, no header, EST without daylight saving."""

import re

from broker.ticks.clocks import DENSE, NEW_YORK_WINTER
from broker.ticks.formats.head import Head
from broker.ticks.lines import IGNORED, TIME, Layout
from broker.ticks.naming import settle_zone
from broker.ticks.rows import QUOTE_COLUMNS, Source

_START = re.compile(r"\d{8} \d{6}(\d{3})?,", re.ASCII)


def recognise(head: Head) -> Source | None:
    """A source if the first line begins with a date and a time of day, dense; the volume, always 0, is left out."""
    if not _START.match(head.first):
        return None
    zone = settle_zone(head.options, NEW_YORK_WINTER)
    return head.source("histdata", Layout(QUOTE_COLUMNS, (TIME, 0, 1, IGNORED), DENSE, zone=zone), head.name_pair)
