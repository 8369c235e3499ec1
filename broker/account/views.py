"""The account's state as OANDA's JSON objects."""

from typing import Any

from broker.account.drafts import UNITS_MAXIMUM, trailing_limits
from broker.account.engine import Account
from broker.account.entities import DEPENDENTS, FILLED, PENDING, Json, Order, SideTotals, Trade
from broker.account.margin import Equity, margin_of, measure, unrealized
from broker.account.market import Price
from broker.account.numbers import ZERO, money, plain, price_text, ratio
from broker.account.rollover import DAYS_CHARGED, Interest
from broker.rates import ONE
from broker.rfc3339 import rfc3339
from broker.types import Instrument

_DAYS = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
_LINK_NAMES = dict(zip(DEPENDENTS, ("takeProfitOrder", "stopLossOrder", "trailingStopLossOrder"), strict=True))
_FILLED_WITHOUT = frozenset(("tradeOpenedID", "tradeReducedID", "tradeClosedIDs"))


def order_json(account: Account, order: Order) -> Json:
    """An order in any state."""
    said: Json = {"id": str(order.id), "createTime": order.time, "type": order.kind, **order.details}
    said.pop("cancellingTransactionID", None)
    said["state"] = order.state
    precision = account.market.instruments[order.instrument].precision
    if order.mark is not None:
        name = "trailingStopValue" if order.kind == "TRAILING_STOP_LOSS" else "initialMarketPrice"
        said[name] = price_text(order.mark, precision)
    ending = order.ending
    if order.state != FILLED:
        ending = {key: value for key, value in ending.items() if key not in _FILLED_WITHOUT}
    return {**said, **ending}


def trade_json(account: Account, trade: Trade, summary: bool = False) -> Json:
    """A trade, with its dependents in full, or with their ids only."""
    state, market = account.state, account.market
    precision = market.instruments[trade.instrument].precision
    said: Json = {
        "id": str(trade.id),
        "instrument": trade.instrument,
        "price": price_text(trade.price, precision),
        "openTime": trade.time,
        "state": "OPEN" if trade.is_open else "CLOSED",
        "initialUnits": str(trade.initial_units),
        "initialMarginRequired": trade.initial_margin,
        "currentUnits": str(trade.units),
        "realizedPL": money(trade.realized),
        "unrealizedPL": money(unrealized(trade, market)),
        "marginUsed": money(margin_of(state, market, trade.instrument, trade.units)),
        "financing": money(trade.financing),
        "dividendAdjustment": "0.0000",
    }
    if trade.closing_ids:
        said["averageClosePrice"] = price_text(trade.closed_value / trade.closed_units, precision)
        said["closingTransactionIDs"] = list(trade.closing_ids)
    if trade.close_time is not None:
        said["closeTime"] = trade.close_time
    if trade.extensions is not None:
        said["clientExtensions"] = trade.extensions
    for kind, order_id in trade.dependents.items():
        name = _LINK_NAMES[kind]
        if summary:
            said[f"{name}ID"] = str(order_id)
        else:
            said[name] = order_json(account, state.orders[order_id])
    return said


def position_json(account: Account, name: str) -> Json:
    """The position in an instrument, flat ones too."""
    trades = account.state.open_in(name)
    long_totals, short_totals = account.state.totals.get(name, (SideTotals(), SideTotals()))
    pl, financing = long_totals.pl + short_totals.pl, long_totals.financing + short_totals.financing
    said: Json = {
        "instrument": name,
        "pl": money(pl),
        "resettablePL": money(pl),
        "unrealizedPL": money(sum((unrealized(trade, account.market) for trade in trades), ZERO)),
        "financing": money(financing),
        "commission": "0.0000",
        "guaranteedExecutionFees": "0.0000",
        "dividendAdjustment": "0.0000",
        "long": _side_json(account, [trade for trade in trades if trade.units > 0], long_totals, name),
        "short": _side_json(account, [trade for trade in trades if trade.units < 0], short_totals, name),
    }
    if trades:
        net = sum(trade.units for trade in trades)
        said["marginUsed"] = money(margin_of(account.state, account.market, name, net))
    return said


def _side_json(account: Account, trades: list[Trade], totals: SideTotals, name: str) -> Json:
    units = sum(trade.units for trade in trades)
    said: Json = {"units": str(units)}
    if trades:
        mean = sum((trade.price * trade.units for trade in trades), ZERO) / units
        said["averagePrice"] = price_text(mean, account.market.instruments[name].precision)
        said["tradeIDs"] = [str(trade.id) for trade in trades]
    said.update(
        pl=money(totals.pl),
        resettablePL=money(totals.pl),
        unrealizedPL=money(sum((unrealized(trade, account.market) for trade in trades), ZERO)),
        financing=money(totals.financing),
        guaranteedExecutionFees="0.0000",
        dividendAdjustment="0.0000",
    )
    return said


def _equity_json(equity: Equity) -> Json:
    return {
        "unrealizedPL": money(equity.unrealized),
        "NAV": money(equity.nav),
        "marginUsed": money(equity.used),
        "marginAvailable": money(equity.available),
        "positionValue": money(equity.position_value),
        "marginCloseoutUnrealizedPL": money(equity.closeout_unrealized),
        "marginCloseoutNAV": money(equity.closeout_nav),
        "marginCloseoutMarginUsed": money(equity.used),
        "marginCloseoutPercent": ratio(equity.closeout_percent),
        "marginCloseoutPositionValue": money(equity.position_value),
        "withdrawalLimit": money(min(equity.available, max(ZERO, equity.balance))),
        "marginCallMarginUsed": money(equity.used),
        "marginCallPercent": ratio(equity.call_percent),
    }


def summary_json(account: Account) -> Json:
    """AccountSummary."""
    state = account.state
    said: Json = {
        "id": state.account_id,
        "alias": state.alias or "Primary",
        "currency": state.currency,
        "balance": money(state.balance),
        "createdByUserID": account.user_id,
        "createdTime": state.created,
        "guaranteedStopLossOrderMode": "DISABLED",
        "pl": money(state.pl),
        "resettablePL": money(state.pl),
        "resettablePLTime": "0",
        "financing": money(state.financing),
        "commission": "0.0000",
        "dividendAdjustment": "0.0000",
        "guaranteedExecutionFees": "0.0000",
        "openTradeCount": len(state.open),
        "openPositionCount": len({trade.instrument for trade in state.open.values()}),
        "pendingOrderCount": len(state.pending),
        "hedgingEnabled": False,
        **_equity_json(measure(state, account.market)),
        "lastTransactionID": account.last_id,
    }
    if state.margin_rate is not None:
        said["marginRate"] = plain(state.margin_rate)
    if state.last_fill_time is not None:
        said["lastOrderFillTimestamp"] = state.last_fill_time
    if state.margin_call_time is not None:
        said.update(marginCallEnterTime=state.margin_call_time, marginCallExtensionCount=0)
    return said


def account_json(account: Account) -> Json:
    """Account: the summary with open trades, positions and pending orders."""
    state = account.state
    return {
        **summary_json(account),
        "trades": [trade_json(account, trade, summary=True) for trade in state.open.values()],
        "positions": [position_json(account, name) for name in sorted(state.totals)],
        "orders": [order_json(account, order) for order in state.pending.values()],
    }


def changes_json(account: Account, since: int) -> tuple[Json, Json]:
    """AccountChanges since a transaction, and AccountChangesState."""
    state, after = account.state, account.transactions[since:]
    orders: dict[str, dict[int, None]] = {"Created": {}, "Cancelled": {}, "Filled": {}, "Triggered": {}}
    trades: dict[str, dict[int, None]] = {"Opened": {}, "Reduced": {}, "Closed": {}}
    touched: dict[str, None] = {}
    for said in after:
        kind = said["type"]
        if kind.endswith("_ORDER") and kind != "ORDER":
            orders["Created"][int(said["id"])] = None
        elif kind == "ORDER_CANCEL":
            orders["Cancelled"][int(said["orderID"])] = None
        elif kind == "ORDER_FILL":
            orders["Filled"][int(said["orderID"])] = None
            touched[said["instrument"]] = None
            for name, parts in (
                ("Opened", [said["tradeOpened"]] if "tradeOpened" in said else []),
                ("Reduced", [said["tradeReduced"]] if "tradeReduced" in said else []),
                ("Closed", said.get("tradesClosed", [])),
            ):
                trades[name].update({int(part["tradeID"]): None for part in parts})
    changes: Json = {
        f"orders{name}": [order_json(account, state.orders[order]) for order in ids] for name, ids in orders.items()
    }
    for name, found in trades.items():
        changes[f"trades{name}"] = [trade_json(account, state.trades[trade], summary=True) for trade in found]
    changes["positions"] = [position_json(account, name) for name in touched]
    changes["transactions"] = after
    return changes, _dynamic_json(account)


def _dynamic_json(account: Account) -> Json:
    state, market = account.state, account.market
    trades = [
        {
            "id": str(trade.id),
            "unrealizedPL": money(unrealized(trade, market)),
            "marginUsed": money(margin_of(state, market, trade.instrument, trade.units)),
        }
        for trade in state.open.values()
    ]
    positions: list[Json] = []
    for name in sorted({trade.instrument for trade in state.open.values()}):
        position = position_json(account, name)
        positions.append(
            {
                "instrument": name,
                "netUnrealizedPL": position["unrealizedPL"],
                "longUnrealizedPL": position["long"]["unrealizedPL"],
                "shortUnrealizedPL": position["short"]["unrealizedPL"],
                "marginUsed": position["marginUsed"],
            }
        )
    orders = [_dynamic_order(account, order) for order in state.pending.values() if order.state == PENDING]
    return {
        **_equity_json(measure(state, market)),
        "orders": [order for order in orders if len(order) > 1],
        "trades": trades,
        "positions": positions,
    }


def _dynamic_order(account: Account, order: Order) -> Json:
    said: Json = {"id": str(order.id)}
    if order.kind == "TRAILING_STOP_LOSS" and order.mark is not None:
        said["trailingStopValue"] = price_text(order.mark, account.market.instruments[order.instrument].precision)
    return said


def price_json(account: Account, name: str, price: Price, tradeable: bool) -> Json:
    """ClientPrice; an instrument that can't be traded shows no tiers."""
    precision = account.market.instruments[name].precision
    bids, asks = (
        [{"price": price_text(tier.price, precision), "liquidity": tier.liquidity} for tier in tiers]
        for tiers in (price.bids, price.asks)
    )
    rate = plain(account.market.to_home(account.market.instruments[name].quote))
    return {
        "type": "PRICE",
        "instrument": name,
        "time": rfc3339(price.time),
        "status": "tradeable" if tradeable else "non-tradeable",
        "tradeable": tradeable,
        "bids": bids,
        "asks": asks,
        "closeoutBid": price_text(price.bids[-1].price, precision),
        "closeoutAsk": price_text(price.asks[-1].price, precision),
        "quoteHomeConversionFactors": {"positiveUnits": rate, "negativeUnits": rate},
    }


def instrument_json(instrument: Instrument, interest: Interest) -> Json:
    """Instrument."""
    metal = instrument.base.startswith("X")
    least, most = trailing_limits(instrument)
    days: list[dict[str, Any]] = [
        {"dayOfWeek": day, "daysCharged": DAYS_CHARGED.get(place, 0)} for place, day in enumerate(_DAYS)
    ]
    rates = {f"{name}Rate": plain(interest.rate(instrument.name, side)) for name, side in (("long", 1), ("short", -1))}
    return {
        "name": instrument.name,
        "type": "METAL" if metal else "CURRENCY",
        "displayName": instrument.name.replace("_", "/"),
        "pipLocation": instrument.pip_location,
        "displayPrecision": instrument.precision,
        "tradeUnitsPrecision": 0,
        "minimumTradeSize": "1",
        "maximumTrailingStopDistance": price_text(most, instrument.precision),
        "minimumTrailingStopDistance": price_text(least, instrument.precision),
        "maximumPositionSize": "0",
        "maximumOrderUnits": str(UNITS_MAXIMUM),
        "marginRate": plain(instrument.margin_rate),
        "guaranteedStopLossOrderMode": "DISABLED",
        "tags": [{"type": "ASSET_CLASS", "name": "COMMODITY" if metal else "CURRENCY"}],
        "financing": {**rates, "financingDaysOfWeek": days},
    }


def conversion_json(account: Account, currency: str) -> Json:
    """HomeConversions of one currency."""
    market = account.market
    gain, loss = (plain(market.exchange(currency, sign)) for sign in (ONE, -ONE))
    return {
        "currency": currency,
        "accountGain": gain,
        "accountLoss": loss,
        "positionValue": plain(market.to_home(currency)),
    }
