"""TrueFX: `EUR/USD,20130101 00:00:00.123,bid,ask`, no header, GMT."""

from broker.ticks.clocks import COMPACT, UTC_ZONE
from broker.ticks.formats.head import Head
from broker.ticks.lines import LITERAL, TIME, Layout
from broker.ticks.naming import pair_in, settle_zone
from broker.ticks.rows import QUOTE_COLUMNS, Source


def recognise(head: Head) -> Source | None:
    """A source if the first line begins with a pair and has four fields."""
    name, _, rest = head.first.partition(",")
    if "/" not in name or rest.count(",") != 2 or len(name) != 7:
        return None
    zone = settle_zone(head.options, UTC_ZONE)
    layout = Layout(QUOTE_COLUMNS, (LITERAL, TIME, 0, 1), COMPACT, literal=name, zone=zone)
    return head.source("truefx", layout, pair_in(name) or name.replace("/", "_"))
