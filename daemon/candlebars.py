"""Candles as bars: what a start warms up from, and what stands in for quotes that were missed."""

from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import groupby

from broker.bars import BarSize
from broker.oanda import GRANULARITIES, Candle, Transport, candles
from broker.types import DAY, HOUR, Bar, Instrument

ALIGNED = {name: length for name, length in GRANULARITIES.items() if length <= HOUR}
"""Candles whose boundaries are multiples of their length since the epoch, as those of bars are."""

WEEKEND = 3 * DAY


def granularity_of(size: BarSize) -> str:
    """The longest candles that bars of this size can be made of, "" where there are none.

    >>> granularity_of(BarSize(True, 120 * 10**9)), granularity_of(BarSize(True, 7 * 10**9))
    ('M2', '')
    """
    fitting = [name for name, length in ALIGNED.items() if size.clock and size.size % length == 0]
    return max(fitting, key=ALIGNED.__getitem__, default="")


def bars_of(found: Iterable[Candle], pair: Instrument, length: int) -> Iterator[Bar]:
    """Bars of `length` ns; their spread is the mean of each candle's four, weighed by its ticks."""
    for start, part in groupby(found, key=lambda candle: candle.start - candle.start % length):
        group = list(part)
        mids = [[(bid + ask) / 2 for bid, ask in zip(one.bid, one.ask, strict=True)] for one in group]
        ticks = [max(1, one.ticks) for one in group]
        spreads = [sum(one.ask) - sum(one.bid) for one in group]
        spread = sum(s * n for s, n in zip(spreads, ticks, strict=True)) / (4 * sum(ticks))
        yield Bar(
            start=start,
            end=start + length,
            open=mids[0][0],
            high=max(mid[1] for mid in mids),
            low=min(mid[2] for mid in mids),
            close=mids[-1][3],
            spread=spread / pair.points_per_pip,
            bid=group[-1].bid[3],
            ask=group[-1].ask[3],
            ticks=sum(ticks),
        )


async def recent_bars(
    transport: Transport, pair: Instrument, size: BarSize, start: int, end: int
) -> AsyncIterator[Bar]:
    """Bars of candles that begin at `start` or later and are over by `end`; none where no candle fits.

    Raises:
        Transient, Denied, Unauthorised: OANDA could not be asked, or said no.
    """
    if not (granularity := granularity_of(size)):
        return
    first, last = -(-start // size.size) * size.size, end - end % size.size
    if first >= last:
        return
    found = [candle async for candle in candles(transport, pair, granularity, first, last)]
    for bar in bars_of(found, pair, size.size):
        yield bar


def warm_up_start(size: BarSize, warmup_bars: int, now: int) -> int:
    """From when on candles are read for a warm-up: half more bars than it takes, and a week-end."""
    return now - warmup_bars * size.size * 3 // 2 - WEEKEND
