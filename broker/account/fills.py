"""Filling: which trades an order reduces, what it takes from the price tiers, and the transactions that follow."""

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from broker.account.drafts import ON_FILL
from broker.account.entities import Json, Order, Trade
from broker.account.margin import margin_of, measure, profit_of
from broker.account.market import Market, Price
from broker.account.numbers import ZERO, factor, money, plain, price_text
from broker.account.tiers import against, mean_price, walk
from broker.rates import ONE
from broker.rfc3339 import rfc3339
from broker.types import Instrument

if TYPE_CHECKING:
    from broker.account.engine import Account

FOLLOWING = frozenset(("STOP_LOSS", "TRAILING_STOP_LOSS"))
"""Orders that fill however thin the market is."""


@dataclass(frozen=True, slots=True)
class Split:
    """An order's units: what closes of which trades (signed as the order), and what opens."""

    closing: tuple[tuple[Trade, int], ...]
    opening: int

    @property
    def units(self) -> int:
        """Of the fill."""
        return sum(units for _, units in self.closing) + self.opening

    def shortened(self, units: int) -> "Split":
        """The same order with fewer units filled; the closing part comes first."""
        left, closing = abs(units), []
        for trade, part in self.closing:
            some = min(left, abs(part))
            left -= some
            if some:
                closing.append((trade, some if part > 0 else -some))
        return Split(tuple(closing), left if units > 0 else -left)


def split(account: "Account", order: Order) -> Split | str:
    """How the order's units meet the open trades, oldest first, or why they can't."""
    target = order.trade_id
    if target is None and "tradeClose" in order.details:
        target = int(order.details["tradeClose"]["tradeID"])
    if target is not None:
        trade = account.state.trades[target]
        units = order.units or -trade.units
        return Split(((trade, units),), 0)
    left, closing = order.units, []
    for trade in account.state.open_in(order.instrument):
        if trade.units * left < 0:
            part = max(left, -trade.units) if left < 0 else min(left, -trade.units)
            closing.append((trade, part))
            left -= part
    how = order.details["positionFill"]
    if how == "OPEN_ONLY" and closing:
        return "FIFO_VIOLATION"
    if how == "REDUCE_ONLY":
        return Split(tuple(closing), 0) if closing else "POSITION_CLOSEOUT_FAILED"
    return Split(tuple(closing), left)


def fill(account: "Account", order: Order) -> str | None:
    """Fill the order now.

    Returns:
        None when it is filled (IOC: at least in part), else OANDA's reason to cancel it.
    """
    if not account.market.is_tradeable(order.instrument):
        return "MARKET_HALTED"
    parts = split(account, order)
    if isinstance(parts, str):
        return parts
    price = account.market.prices[order.instrument]
    tiers = price.asks if parts.units > 0 else price.bids
    bound = _bound(order)
    endless = order.kind in FOLLOWING or "marginCloseout" in order.details
    taken = walk(tiers, parts.units, bound, endless)
    had = sum(units for _, units in taken)
    if had < abs(parts.units):
        if had == 0 or order.details["timeInForce"] != "IOC":
            beyond = bound is not None and sum(units for _, units in walk(tiers, parts.units, None, endless)) > had
            return "BOUNDS_VIOLATION" if beyond else _too_large(account, order, parts, price)
        parts = parts.shortened(had if parts.units > 0 else -had)
    vwap = mean_price(taken)
    at = against(vwap, parts.units, account.market.instruments[order.instrument].point)
    refusal = _refusal(account, order, parts, at, price)
    if refusal is not None:
        return refusal
    _book(account, order, parts, at, vwap, price)
    return None


def _bound(order: Order) -> Decimal | None:
    if order.kind in ("LIMIT", "TAKE_PROFIT"):
        return order.price
    bound = order.details.get("priceBound")
    return None if bound is None else Decimal(bound)


def _refusal(account: "Account", order: Order, parts: Split, at: Decimal, price: Price) -> str | None:
    """Why the opening part must not be, if so."""
    if not parts.opening:
        return None
    side = 1 if parts.opening > 0 else -1
    extensions = order.details.get("tradeClientExtensions", {})
    if account.has_open_client_id(extensions.get("id")):
        return "CLIENT_TRADE_ID_ALREADY_EXISTS"
    closing = price.bid if side > 0 else price.ask
    stop, take = (order.details.get(name) for name in ("stopLossOnFill", "takeProfitOnFill"))
    passed = at if account.near_stops else closing
    if stop is not None and side * (passed - _stop_level(stop, at, side)) <= 0:
        return "STOP_LOSS_ON_FILL_LOSS"
    if take is not None and side * (Decimal(take["price"]) - at) <= 0:
        return "TAKE_PROFIT_ON_FILL_LOSS"
    return None if _affordable(account, order, parts, at, closing) else "INSUFFICIENT_MARGIN"


def _too_large(account: "Account", order: Order, parts: Split, price: Price) -> str:
    """Why the market does not have so many units: the account's own want of margin comes first."""
    at, closing = (price.ask, price.bid) if parts.units > 0 else (price.bid, price.ask)
    fits = not parts.opening or _affordable(account, order, parts, at, closing)
    return "INSUFFICIENT_LIQUIDITY" if fits else "INSUFFICIENT_MARGIN"


def _affordable(account: "Account", order: Order, parts: Split, at: Decimal, closing: Decimal) -> bool:
    """Whether the account's value covers its margin once this is filled."""
    state, market = account.state, account.market
    before = measure(state, market)
    held = state.position(order.instrument)
    used = before.used - margin_of(state, market, order.instrument, held)
    used += margin_of(state, market, order.instrument, held + parts.units)
    rate = market.to_home(market.instruments[order.instrument].quote)
    return before.covers(used, (closing - at) * parts.opening * rate)


def _stop_level(stop: Json, at: Decimal, side: int) -> Decimal:
    return Decimal(stop["price"]) if "price" in stop else at - side * Decimal(stop["distance"])


def _book(account: "Account", order: Order, parts: Split, at: Decimal, vwap: Decimal, price: Price) -> None:
    """Write the fill, the end of what hung on closed trades, and what hangs on the opened one."""
    market, state = account.market, account.state
    instrument = market.instruments[order.instrument]
    rate = market.to_home(instrument.quote)
    half_spread = (price.ask - price.bid) / 2 * rate
    said: Json = {"orderID": str(order.id)}
    if order.client_id is not None:
        said["clientOrderID"] = order.client_id
    closed, reduced, profit = _reductions(market, instrument, parts, at, half_spread)
    said.update(
        instrument=order.instrument,
        units=str(parts.units),
        gainQuoteHomeConversionFactor=plain(market.exchange(instrument.quote, ONE)),
        lossQuoteHomeConversionFactor=plain(market.exchange(instrument.quote, -ONE)),
        price=price_text(at, instrument.precision),
        fullVWAP=plain(factor(vwap)) if vwap != at else price_text(at, instrument.precision),
        fullPrice=full_price(price, instrument.precision),
        reason=_reason(order),
        pl=money(profit),
        financing="0.0000",
        commission="0.0000",
        guaranteedExecutionFee="0.0000",
        accountBalance=money(state.balance + profit),
        halfSpreadCost=money(abs(parts.units) * half_spread),
    )
    if closed:
        said["tradesClosed"] = closed
    if reduced is not None:
        said["tradeReduced"] = reduced
    if parts.opening:
        said["tradeOpened"] = opened = {
            "tradeID": str(account.next_id),
            "units": str(parts.opening),
            "price": price_text(at, instrument.precision),
            "guaranteedExecutionFee": "0.0000",
            "halfSpreadCost": money(abs(parts.opening) * half_spread),
            "initialMarginRequired": money(margin_of(state, market, order.instrument, parts.opening)),
        }
        if "tradeClientExtensions" in order.details:
            opened["clientExtensions"] = order.details["tradeClientExtensions"]
    fill_id = account.emit("ORDER_FILL", said)["id"]
    for part in closed:
        _unlink(account, state.trades[int(part["tradeID"])])
    if parts.opening:
        _hang(account, order, state.trades[int(fill_id)], at)


def _reductions(
    market: Market, instrument: Instrument, parts: Split, at: Decimal, half_spread: Decimal
) -> tuple[list[Json], Json | None, Decimal]:
    closed: list[Json] = []
    reduced: Json | None = None
    profit = ZERO
    for trade, units in parts.closing:
        rate = market.exchange(instrument.quote, (at - trade.price) * -units)
        gain = profit_of(trade.price, at, -units, rate)
        profit += gain
        part = {
            "tradeID": str(trade.id),
            "units": str(units),
            "price": price_text(at, instrument.precision),
            "realizedPL": money(gain),
            "financing": "0.0000",
            "guaranteedExecutionFee": "0.0000",
            "halfSpreadCost": money(abs(units) * half_spread),
        }
        if units == -trade.units:
            closed.append(part)
        else:
            reduced = part
    return closed, reduced, profit


def _reason(order: Order) -> str:
    if order.kind != "MARKET":
        return f"{order.kind}_ORDER"
    for name, reason in (
        ("tradeClose", "MARKET_ORDER_TRADE_CLOSE"),
        ("longPositionCloseout", "MARKET_ORDER_POSITION_CLOSEOUT"),
        ("shortPositionCloseout", "MARKET_ORDER_POSITION_CLOSEOUT"),
        ("marginCloseout", "MARKET_ORDER_MARGIN_CLOSEOUT"),
    ):
        if name in order.details:
            return reason
    return "MARKET_ORDER"


def full_price(price: Price, precision: int) -> Json:
    """The prices an order was filled at, as fills carry them: liquidity is text, the time is `timestamp`."""
    bids, asks = (
        [{"price": price_text(tier.price, precision), "liquidity": str(tier.liquidity)} for tier in tiers]
        for tiers in (price.bids, price.asks)
    )
    return {
        "closeoutBid": price_text(price.bids[-1].price, precision),
        "closeoutAsk": price_text(price.asks[-1].price, precision),
        "timestamp": rfc3339(price.time),
        "bids": bids,
        "asks": asks,
    }


def _unlink(account: "Account", trade: Trade) -> None:
    """Cancel what hung on a closed trade."""
    for order in [order for order in account.state.pending.values() if order.trade_id == trade.id]:
        account.cancel(order, "LINKED_TRADE_CLOSED")


def _hang(account: "Account", order: Order, trade: Trade, at: Decimal) -> None:
    """Make the dependents that the order asked for."""
    precision = account.market.instruments[trade.instrument].precision
    for name, kind in ON_FILL.items():
        asked = order.details.get(name)
        if asked is None:
            continue
        said: dict[str, Any] = {"tradeID": str(trade.id)}
        if trade.client_id is not None:
            said["clientTradeID"] = trade.client_id
        said.update(asked, triggerCondition="DEFAULT", reason="ON_FILL", orderFillTransactionID=str(trade.id))
        if kind == "STOP_LOSS":
            said["price"] = price_text(_stop_level(asked, at, trade.side), precision)
        account.add_order(kind, said)
