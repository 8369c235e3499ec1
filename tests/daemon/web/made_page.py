"""A daemon as the page sees it: documents of every kind, in which every name is as hostile as can be."""

from typing import Any

from broker.errors import BadInput
from broker.rfc3339 import rfc3339
from broker.types import MINUTE
from daemon.web import Health, Order, Query

HOSTILE = '<img src=x onerror="window.hit=1"><script>window.hit=1</script>{{7*7}}\u202e&amp;'
START = 1_577_836_800_000_000_000
BARS = 300


def at(minute: int) -> str:
    """A time of the recording."""
    return rfc3339(START + minute * MINUTE)


def bar(minute: int) -> dict[str, Any]:
    """A closed bar; pips fall and rise."""
    bid = 1.1 + 0.0005 * ((minute * 7) % 11 - 5)
    made = {"time": at(minute), "instrument": "EUR_USD", "bid": bid, "ask": bid + 0.0001, "pips": 0.0}
    return {**made, "equity_pips": float((minute * 13) % 29 - minute // 20)}


def decision(minute: int) -> dict[str, Any]:
    """A decision with its search; every third vetoed, every fifth without a search."""
    search: dict[str, Any] = {
        "policy": [0.25, 0.75, 0.0, 0.0],
        "visits": [1, 3, 0, 0],
        "q": [0.5, 1.25, None, None],
        "outcome": [0.5, 0.3, 0.2],
        "value": 1.0,
    }
    common = {"seq": minute, "time": at(minute), "instrument": "EUR_USD", "action": "BUY", "target": 1, "position": 0}
    veto = HOSTILE if minute % 2 else "spread"
    return {
        **common,
        **(search if minute % 5 else dict.fromkeys(search)),
        "model": HOSTILE,
        "veto": None if minute % 3 else veto,
    }


def trade(minute: int) -> dict[str, Any]:
    """A round trip of three minutes."""
    prices = {"open_price": 1.1, "close_price": 1.1001, "pips": 1.0 if minute % 2 else -1.5, "pnl": "0.10"}
    times = {"open_time": at(minute - 3), "close_time": at(minute), "bars": 3}
    named = {"instrument": "EUR_USD", "side": "long", "model": HOSTILE, "exit_reason": HOSTILE, "units": 1000}
    return {**prices, **times, **named, "currency": "USD", "reward": 1.0}


def model(version: str, parent: str | None, state: str, passed: bool | None) -> dict[str, Any]:
    """A row of the registry."""
    reasons = [] if passed else [HOSTILE, "12 trades are fewer than 100"]
    judged = {"passed": passed, "quality_score": 3.25, "reasons": reasons, "why": HOSTILE}
    return {"version": version, "parent": parent, "state": state, "metrics": {"held_out": {"pips": 1.5}}, **judged}


class Shown:
    """An office that shows made documents, and does what it is told.

    Attributes:
        badge: the mode shown. orders: what was asked for.
    """

    def __init__(self, badge: str = "PAPER") -> None:
        self.badge, self.state, self.orders = badge, "resume", list[Order]()
        self.bars = [bar(minute) for minute in range(BARS)]

    def health(self) -> Health:
        """As ever."""
        return Health(False, HOSTILE)

    async def view(self, name: str, query: Query) -> dict[str, Any]:
        """A document; rows the latest first."""
        match name:
            case "bars":
                return {"bars": self.bars[::-1][: query.limit]}
            case "decisions":
                return {"decisions": [decision(minute) for minute in range(BARS)][::-1][: query.limit]}
            case "trades":
                return {"trades": [trade(minute) for minute in range(10, BARS, 10)][::-1]}
            case "positions":
                return {"positions": [self._position()]}
            case "models":
                rows = [model(HOSTILE, "b" * 16, "best", True), model("b" * 16, None, HOSTILE, False)]
                return {"best": HOSTILE, "models": rows}
            case "store":
                figures = {"size": 1234, "capacity": 50000, "trades": 99, "evicted": 0, "quarantined": 1}
                return {**figures, "quality": {"min": 0.1, "p50": 2.5, "max": 9.0}, "integrity": HOSTILE}
            case "risk":
                return self._risk()
        return self._status()

    async def act(self, order: Order) -> dict[str, Any]:
        """Keep it; states change, a swap finds no model."""
        self.orders.append(order)
        if order.command == "swap":
            raise BadInput("no such model", where=HOSTILE)
        self.state = order.command
        return {"state": self.state}

    def _position(self) -> dict[str, Any]:
        named = {"instrument": HOSTILE, "side": "long", "model": HOSTILE, "units": 1000, "bars": 7}
        prices = {"open_price": 1.1, "open_pips": 2.5, "stop_price": 1.09, "take_profit_price": 1.12}
        return {**named, **prices, "open_time": at(BARS - 7)}

    def _risk(self) -> dict[str, Any]:
        limits = {"max_daily_loss": 500.0, "max_drawdown": 1000.0, "max_exposure": 0.0, "max_orders_per_minute": 10}
        used = {"daily_loss": 450.0, "drawdown": 20.0, "exposure": 1100.0, "orders_in_a_minute": 2}
        return {"limits": {**limits, "units": 1000, "risk_per_trade": 0.0}, "used": used, "barred": []}

    def _status(self) -> dict[str, Any]:
        running = {"job": "train", "state": "running", "detail": "step 300/1200  4 s", "last_outcome": None}
        failed = {"job": HOSTILE, "state": "idle", "detail": "", "last_outcome": "failed", "last_detail": HOSTILE}
        return {
            "version": "0",
            "mode": "paper",
            "badge": self.badge,
            "state": self.state,
            "ready": False,
            "why": HOSTILE,
            "clock": at(BARS),
            "started": at(0),
            "instruments": ["EUR_USD", HOSTILE],
            "strategy": HOSTILE,
            "model": {"version": HOSTILE, "probation": True},
            "streams": {
                "prices": {"age_s": 0.25, "reconnects": 2},
                "transactions": {"age_s": None, "reconnects": 0},
            },
            "account": {"balance": 1e5, "equity": 100002.5, "tripped": "", "currency": HOSTILE},
            "counts": {"decisions": 300, "trades": 29, "orders_sent": 58, "quotes_dropped": 1},
            "barred": {HOSTILE: HOSTILE},
            "net_pips": -7.5,
            "jobs": [running, {**failed, "last_seconds": 3.5}],
            "coming": {HOSTILE: at(BARS + 60)},
        }
