"""QuantConnect Lean: a zip of one CSV without header, in the vendor's clock.

Ticks are `ms since midnight,bid,ask`; bars `time,open,high,low,close,size` of the bid and then of the ask, where time
is ms since midnight (seconds and minutes) or `20140506 21:00` (hours and days). The day, the instrument and the vendor
stand in the names: `forex/fxcm/tick/eurusd/20140506_quote.zip`.
"""

import re

from broker.ticks.clocks import MILLIS, MILLISECOND, MINUTES
from broker.ticks.formats.head import Head
from broker.ticks.lines import TIME, Layout
from broker.ticks.naming import lean_day, lean_pair, lean_zone
from broker.ticks.rows import ASK_BAR_COLUMNS, BID_BAR_COLUMNS, QUOTE_COLUMNS, SIZE_COLUMNS, Source
from broker.types import DAY, HOUR, MINUTE, SECOND

_OF_DAY = re.compile(r"\d{1,8}(\.\d+)?,", re.ASCII)
_DATED = re.compile(r"\d{8} \d\d:\d\d,", re.ASCII)
_BARS = BID_BAR_COLUMNS + ASK_BAR_COLUMNS + ("volume", "ask_volume")
_SHAPES = {
    3: (QUOTE_COLUMNS, (TIME, 0, 1)),
    5: (QUOTE_COLUMNS + SIZE_COLUMNS, (TIME, 0, 2, 1, 3)),
    11: (_BARS, (TIME, 0, 1, 2, 3, 8, 4, 5, 6, 7, 9)),
}
_STEPS = {"second": SECOND, "minute": MINUTE, "hour": HOUR, "daily": DAY}


def recognise(head: Head) -> Source | None:
    """A source if the lines have the fields of Lean's quotes, whatever the file's name."""
    shape = _SHAPES.get(head.first.count(",") + 1)
    dated = _DATED.match(head.first) is not None
    if shape is None or not (dated or _OF_DAY.match(head.first)) or (dated and len(shape[0]) < len(_BARS)):
        return None
    path, member = head.packed.path, head.packed.member
    zone = lean_zone(path, head.options)
    if dated:
        layout = Layout(*shape, MINUTES, zone=zone)
    else:
        base = lean_day(path, member, head.options)
        layout = Layout(*shape, MILLIS, base=base, limit=DAY // MILLISECOND, zone=zone)
    named = f"{path.parent.parent.name}/{path.name}/{member}"
    steps = [step for name, step in _STEPS.items() if re.search(rf"(?<![a-z]){name}(?![a-z])", named)]
    return head.source("lean", layout, lean_pair(path, member), bar_step=steps[0] if steps else 0)
