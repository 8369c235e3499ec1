"""What OANDA tells on asking: the account's instruments, and candles, paged, complete, bid and ask, each once."""

from collections.abc import AsyncIterator

from broker.errors import BadInput
from broker.oanda import wire
from broker.oanda.endpoints import AccountInstruments, InstrumentsCandles
from broker.oanda.transport import Transport
from broker.oanda.wire import Candle
from broker.rfc3339 import rfc3339
from broker.types import DAY, HOUR, MINUTE, SECOND, Instrument

MOST_CANDLES = 5000  # a request
GRANULARITIES = {
    **{f"S{n}": n * SECOND for n in (5, 10, 15, 30)},
    **{f"M{n}": n * MINUTE for n in (1, 2, 4, 5, 10, 15, 30)},
    **{f"H{n}": n * HOUR for n in (1, 2, 3, 4, 6, 8, 12)},
    "D": DAY,
    "W": 7 * DAY,
}
"""Length of a candle by its name, ns (a day of the trading calendar may be an hour shorter or longer)."""


async def instruments(transport: Transport) -> dict[str, Instrument]:
    """The account's instruments by name: precision and margin as the broker has them.

    Raises:
        Transient, Denied, Unauthorised: OANDA could not be asked, or said no.
    """
    body = (await transport.send(AccountInstruments(transport.access.account))).body
    found = {}
    for message in body.get("instruments", ()):
        try:
            found[str(message["name"])] = wire.instrument(message)
        except (ValueError, KeyError):
            continue  # nothing can trade it then, and nothing else depends on it
    return found


async def candles(
    transport: Transport, instrument: Instrument, granularity: str, start: int, end: int
) -> AsyncIterator[Candle]:
    """Complete candles that start in `[start, end)`, oldest first.

    Windows by time, not by count: a missing candle is legal (no tick, no candle), so a short page means nothing.

    Raises:
        BadInput: no such granularity, or an answer without both sides.
        Transient, Denied, Unauthorised: OANDA could not be asked, or said no.
    """
    if granularity not in GRANULARITIES:
        raise BadInput(f"no granularity {granularity!r}", mend=f"one of {', '.join(GRANULARITIES)}")
    window = GRANULARITIES[granularity] * (MOST_CANDLES - 1)
    latest = start - 1
    for first in range(start, end, window):
        params = {
            "price": "BA",
            "granularity": granularity,
            "from": rfc3339(first),
            "to": rfc3339(min(first + window, end)),
        }
        answer = await transport.send(InstrumentsCandles(instrument.name, params=params))
        for message in answer.body.get("candles", ()):
            try:
                candle = wire.candle(message, instrument.precision)
            except ValueError as error:
                raise BadInput(f"a candle that can't be read: {error}", where=instrument.name) from error
            if candle.complete and latest < candle.start < end:
                latest = candle.start
                yield candle
