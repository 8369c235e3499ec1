"""Every entry's stop is seen in the log, or set again, or the trade is closed. A take-profit is moved to the fill."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

from broker.errors import Transient
from broker.oanda.book import Book
from broker.oanda.endpoints import TradeCRCDO
from broker.oanda.events import Alarm
from broker.oanda.failures import Denied, Unauthorised
from broker.oanda.pacing import Backoff
from broker.oanda.state import OpenTrade
from broker.oanda.transport import Transport
from broker.types import Exit, Order


class Protection:
    """Looks after the levels of our trades.

    Args:
        catch_up: reads the log to its end.
        close: submits an order.
        backoff: the waits; the first is for the broker's own stop (reason ON_FILL) to appear.
    """

    def __init__(
        self,
        transport: Transport,
        book: Book,
        catch_up: Callable[[], Awaitable[None]],
        close: Callable[[Order], None],
        backoff: Callable[[], Backoff],
    ) -> None:
        self._transport, self._book, self._catch_up, self._close = transport, book, catch_up, close
        self._backoff = backoff

    async def secure(self, trade_id: int, order: Order) -> None:
        """Return once the trade has the levels that its order asked for, or is gone."""
        waits = self._backoff()
        try:
            async with asyncio.timeout(waits.next() * 2):
                while self._lacks_stop(trade_id, order):
                    await self._book.changed()
        except TimeoutError:
            self._book.tell(Alarm("stop_missing", f"trade {trade_id} of {order.id} has no stop yet"))
        while True:
            try:
                await self._catch_up()
                if not (lacking := self._lacking(trade_id, order)):
                    return
                await self._set(trade_id, lacking)
                continue
            except (Denied, Unauthorised) as failure:
                self._book.tell(Alarm("stop_missing" if self._lacks_stop(trade_id, order) else "level", str(failure)))
                if not self._lacks_stop(trade_id, order):
                    return
                self._give_up(trade_id, order)
            except Transient:
                pass
            await asyncio.sleep(waits.next())

    def _lacks_stop(self, trade_id: int, order: Order) -> bool:
        trade = self._book.state.trades.get(trade_id)
        return trade is not None and order.stop_distance > 0 and not trade.stop_id

    def _lacking(self, trade_id: int, order: Order) -> dict[str, Any]:
        """What the trade's levels must still be told, as TradeCRCDO spells it."""
        trade = self._book.state.trades.get(trade_id)
        if trade is None:
            return {}
        lacking = {}
        if order.stop_distance and not trade.stop_id:
            lacking["stopLoss"] = self._level(trade, -order.stop_distance)
        if order.take_profit_distance and trade.take != trade.price + _side(trade) * order.take_profit_distance:
            lacking["takeProfit"] = self._level(trade, order.take_profit_distance)
        return lacking

    def _level(self, trade: OpenTrade, distance: int) -> dict[str, str]:
        points = trade.price + _side(trade) * distance
        return {"price": str(self._book.instruments[trade.instrument].price(points)), "timeInForce": "GTC"}

    async def _set(self, trade_id: int, levels: dict[str, Any]) -> None:
        await self._book.log.durable()
        account = self._transport.access.account
        answer = await self._transport.send(TradeCRCDO(account, tradeID=str(trade_id), data=levels))
        self._book.offer_answer(answer.body)
        if "stopLoss" in levels:
            self._book.tell(Alarm("stop_restored", f"trade {trade_id} has its stop again"))

    def _give_up(self, trade_id: int, order: Order) -> None:
        trade = self._book.state.trades[trade_id]
        tries = (f"{order.id}-bare{number}" for number in count(1))
        name = next(name for name in tries if self._book.log.intent(name) is None)
        self._close(Order(name, order.time, order.instrument, -trade.units, 0, 0, Exit.RISK.value, 0, order.model))


def _side(trade: OpenTrade) -> int:
    return 1 if trade.units > 0 else -1
