"""OANDA's requests: oandapyV20's classes, the few that it lacks, and the check that a path is what it seems.

oandapyV20 writes ids into paths unquoted. A path is therefore held to its class's template: every placeholder may hold
letters, digits and `_ . - @` only, so that no id can change where a request goes.
"""

import re
from functools import cache

from broker.errors import BadInput

try:
    from oandapyV20.endpoints.accounts import AccountChanges, AccountDetails, AccountInstruments, AccountSummary
    from oandapyV20.endpoints.apirequest import APIRequest
    from oandapyV20.endpoints.instruments import InstrumentsCandles
    from oandapyV20.endpoints.orders import OrderCancel, OrderCreate, OrderDetails
    from oandapyV20.endpoints.pricing import PricingInfo, PricingStream
    from oandapyV20.endpoints.trades import OpenTrades, TradeClose, TradeCRCDO, TradeDetails
    from oandapyV20.endpoints.transactions import TransactionIDRange, TransactionsSinceID, TransactionsStream
except TypeError:  # it reads its own docstrings, which python -OO takes away
    raise BadInput("oandapyV20 needs its docstrings", where="python -OO", mend="run it without -OO") from None

__all__ = [
    "APIRequest",
    "AccountCandles",
    "AccountChanges",
    "AccountDetails",
    "AccountInstruments",
    "AccountSummary",
    "InstrumentsCandles",
    "OpenTrades",
    "OrderCancel",
    "OrderCreate",
    "OrderDetails",
    "PricingInfo",
    "PricingStream",
    "TradeCRCDO",
    "TradeClose",
    "TradeDetails",
    "TransactionIDRange",
    "TransactionsSinceID",
    "TransactionsStream",
    "checked_path",
]

_PLACE = re.compile(r"\{\w+\}")
_ID = r"@?[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}"


class AccountCandles(APIRequest):  # type: ignore[misc]
    """Candles as the account sees them (newer than oandapyV20)."""

    ENDPOINT = "v3/accounts/{accountID}/instruments/{instrument}/candles"

    def __init__(self, account: str, instrument: str, params: dict[str, str]) -> None:
        super().__init__(self.ENDPOINT.format(accountID=account, instrument=instrument))
        self.params = params


def checked_path(request: APIRequest) -> str:
    """The request's path, with its leading slash.

    Raises:
        BadInput: an id in it holds what no id has, such as a slash, a question mark or a line break.

    >>> checked_path(AccountSummary("101-001-1-001"))
    '/v3/accounts/101-001-1-001/summary'
    >>> checked_path(AccountSummary("101/../102"))
    Traceback (most recent call last):
    broker.errors.BadInput: an id that would change the request's path: '101/../102' in AccountSummary
    """
    path = str(request)
    if not _template(request.ENDPOINT).fullmatch(path):
        start, end = request.ENDPOINT.split("{")[0], request.ENDPOINT.rpartition("}")[2]
        shown = path.removeprefix(start).removesuffix(end)[:60]
        raise BadInput(f"an id that would change the request's path: {shown!r} in {type(request).__name__}")
    return f"/{path}"


@cache
def _template(endpoint: str) -> re.Pattern[str]:
    return re.compile(_ID.join(map(re.escape, _PLACE.split(endpoint))), re.ASCII)
