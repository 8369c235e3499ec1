"""How a daemon leaves: it decides nothing any more, and hears how the orders on their way end."""

import asyncio
from contextlib import suppress

import structlog

from daemon.assembly import Body
from daemon.events import Command, Operator

DRAIN_S = 0.7  # of the two that a stop may take
LOOK_S = 0.01


async def leave(body: Body, feeding: "asyncio.Task[None]", *, flatten: bool) -> None:
    """Return once no order is on its way, and with `flatten` nothing is held, or after a while.

    What ends later is read from the account at the next start. The operator's word stays what it was.

    Args:
        feeding: hears prices; ended first, but with `flatten`: positions are closed at prices.
    """
    service = body.service
    wish = service.desk.state
    if flatten:
        service.command(Operator(service.desk.clock, Command.FLATTEN, "stop", "[risk] flatten_on_stop"))
    else:
        feeding.cancel()
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            while _on_their_way(body) or (flatten and _held(body)):  # noqa: ASYNC110 - what ends has no event
                await asyncio.sleep(LOOK_S)
    if flatten:
        feeding.cancel()
        service.command(Operator(service.desk.clock, wish, "stop", "as before the stop"))
    left = {"orders": _on_their_way(body), "held": _held(body) if flatten else {}}
    if any(left.values()):
        structlog.get_logger().warning("left", **left)


def _on_their_way(body: Body) -> list[str]:
    """Ids of orders that have not ended at the broker."""
    return [intent.order.id for intent in body.account.book.log.open()] if body.account else []


def _held(body: Body) -> dict[str, int]:
    """Units held, by instrument, also where none yet are but an order is on its way."""
    lanes = body.service.session.lanes
    return {lane.instrument.name: lane.ledger.units for lane in lanes if lane.ledger.units or lane.in_flight}
