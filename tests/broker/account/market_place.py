"""An account on a market of three instruments, as the tests of this folder use it."""

from decimal import Decimal
from typing import Any

from broker.account import Account, Market, Price, Tier
from broker.account.placing import create_order
from broker.account.rollover import Interest
from broker.instruments import instrument
from broker.rates import Rates
from broker.types import SECOND

START = 1_398_902_400 * SECOND
"""Thursday 2014-05-01, midnight UTC; New York's 17:00 is 21:00Z."""

NAMES = ("EUR_USD", "GBP_JPY", "USD_JPY")
Json = dict[str, Any]


def new_account(
    balance: str = "100000", financing: str = "0", currency: str = "USD", fee: Decimal = Decimal(0)
) -> Account:
    """An account with money; GBP/USD is 1.5 and USD/JPY 100 unless shown."""
    rates = Rates({"GBP_USD": Decimal("1.5"), "USD_JPY": Decimal(100), "EUR_USD": Decimal("1.1")})
    market = Market({name: instrument(name) for name in NAMES}, currency, rates, fee)
    market.open.update(NAMES)
    account = Account("101-004-1234567-001", market, Interest(other=Decimal(financing)))
    account.open(Decimal(balance), START)
    return account


def show(account: Account, bid: str, ask: str, name: str = "EUR_USD", after: float = 1.0, depth: int = 10**7) -> None:
    """A quote of one tier, some seconds after the last."""
    time = account.now + int(after * SECOND)
    account.quote(name, Price(time, (Tier(Decimal(bid), depth),), (Tier(Decimal(ask), depth),)))


def order(account: Account, kind: str = "MARKET", units: int | str = 1000, **more: Any) -> list[Json]:
    """Ask for an order of EUR/USD."""
    asked = {"type": kind, "instrument": "EUR_USD", "units": str(units), **more}
    return create_order(account, asked)


def kinds(written: list[Json]) -> list[str]:
    """Types of transactions, with the reason of a cancellation or rejection."""
    return [_kind(one) for one in written]


def _kind(one: Json) -> str:
    reason = one.get("rejectReason") or (one["reason"] if one["type"] == "ORDER_CANCEL" else None)
    return one["type"] if reason is None else f"{one['type']}:{reason}"
