"""Our own CSV: quotes `time,bid,ask[,bid_size,ask_size]` or bars, RFC 3339 times, a header that names the columns."""

from broker.errors import BadInput
from broker.ticks.clocks import LOCAL, RFC3339, UTC_ZONE, parse_time, parse_zone
from broker.ticks.formats.head import Head
from broker.ticks.lines import TIME, Layout
from broker.ticks.rows import ASK_BAR_COLUMNS, BID_BAR_COLUMNS, QUOTE_COLUMNS, SIZE_COLUMNS, Source

EXTRA_BAR_COLUMNS = ("volume", "ask_volume")
_BARS = BID_BAR_COLUMNS + ASK_BAR_COLUMNS
SHAPES = (
    QUOTE_COLUMNS,
    QUOTE_COLUMNS + SIZE_COLUMNS,
    *((prices + EXTRA_BAR_COLUMNS[:extra]) for prices in (_BARS, BID_BAR_COLUMNS) for extra in (0, 1, 2)),
)


def shape_of(names: list[str], where: str) -> tuple[str, ...]:
    """The number columns, in our order, of a header that has them in any order beside `time`.

    Raises:
        BadInput: columns missing, doubled or unknown.
    """
    if len(set(names)) != len(names):
        raise BadInput("wrong columns: a name stands twice in the header", where=where)
    rest = set(names) - {"time"}
    for shape in SHAPES:
        if rest == set(shape) and "time" in names:
            return shape
    wanted = next((shape for shape in SHAPES if shape[0] in rest), QUOTE_COLUMNS)
    missing = [name for name in ("time", *wanted) if name not in names]
    unknown = sorted(rest - set(_BARS + EXTRA_BAR_COLUMNS + QUOTE_COLUMNS + SIZE_COLUMNS))
    what = (
        f"{', '.join(missing)} missing" if missing else f"{', '.join(unknown or sorted(rest - set(wanted)))} unexpected"
    )
    raise BadInput(
        f"wrong columns: {what}",
        where=where,
        mend=f"quotes have time,bid,ask[,bid_size,ask_size], bars time,{','.join(_BARS)}[,volume]",
    )


def recognise(head: Head) -> Source | None:
    """A source if the first line is a header with `time`, `bid` or a bar's column."""
    names = head.names
    if not {"time", "bid", "ask", "open_bid"} & set(names):
        return None
    columns = shape_of(names, f"{head.packed.path}:1")
    fields = tuple(TIME if name == "time" else columns.index(name) for name in names)
    clock, zone = RFC3339, UTC_ZONE
    if head.options.tz is not None and not _says_zone(head.second, names.index("time")):
        clock, zone = LOCAL, parse_zone(head.options.tz)
    return head.source("csv", Layout(columns, fields, clock, header=1, zone=zone), head.name_pair)


def _says_zone(line: str, field: int) -> bool:
    texts = line.split(",")
    if field >= len(texts):
        return True
    try:
        parse_time(texts[field].strip(), LOCAL)
    except ValueError:
        return True
    return False
