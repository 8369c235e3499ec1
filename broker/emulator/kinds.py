"""The words by which transactions are filtered: their types, and three groups of them."""

from aiohttp import web

from broker.account import BadRequest

FUNDING = frozenset(("TRANSFER_FUNDS", "TRANSFER_FUNDS_REJECT"))
ADMIN = frozenset(("CREATE", "CLOSE", "REOPEN", "CLIENT_CONFIGURE", "CLIENT_CONFIGURE_REJECT"))
_REJECTABLE = (
    "MARKET_ORDER LIMIT_ORDER STOP_ORDER MARKET_IF_TOUCHED_ORDER TAKE_PROFIT_ORDER STOP_LOSS_ORDER "
    "TRAILING_STOP_LOSS_ORDER ONE_CANCELS_ALL_ORDER ORDER_CANCEL ORDER_CLIENT_EXTENSIONS_MODIFY "
    "TRADE_CLIENT_EXTENSIONS_MODIFY"
).split()
_OTHERS = (
    "ORDER FUNDING ADMIN ONE_CANCELS_ALL_ORDER_TRIGGERED ORDER_FILL MARGIN_CALL_ENTER MARGIN_CALL_EXTEND "
    "MARGIN_CALL_EXIT DELAYED_TRADE_CLOSURE DAILY_FINANCING RESET_RESETTABLE_PL"
).split()
FILTERS = FUNDING | ADMIN | {*_REJECTABLE, *_OTHERS} | {f"{kind}_REJECT" for kind in _REJECTABLE}


def asked_kinds(request: web.Request) -> frozenset[str] | None:
    """The query's `type`, None where it is not given.

    Raises:
        BadRequest: a word that filters nothing.
    """
    if "type" not in request.query:
        return None
    kinds = frozenset(request.query["type"].split(","))
    if not kinds <= FILTERS:
        raise BadRequest.of("type")
    return kinds


def is_of(kind: str, kinds: frozenset[str]) -> bool:
    """Whether a transaction's type is among these words."""
    groups = {"ORDER": "ORDER" in kind, "FUNDING": kind in FUNDING, "ADMIN": kind in ADMIN}
    return kind in kinds or any(groups.get(one, False) for one in kinds)
