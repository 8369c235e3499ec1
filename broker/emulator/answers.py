"""Answers in OANDA's shape: JSON with the times as the client wants them, and errors with their bodies."""

import json
from contextvars import ContextVar
from typing import Any

from aiohttp import web

from broker.account.numbers import parse_time
from broker.errors import Refused
from broker.types import SECOND

Json = dict[str, Any]
TIME_FIELDS = frozenset(
    "time createTime createdTime openTime closeTime filledTime cancelledTime gtdTime timestamp lastOrderFillTimestamp "
    "marginCallEnterTime lastMarginCallExtensionTime from to".split()
)
UNAUTHORIZED = "Insufficient authorization to perform request."
REQUEST_ID: ContextVar[str] = ContextVar("REQUEST_ID")
"""Number of the request being answered."""

BASE_URL: ContextVar[str] = ContextVar("BASE_URL")
"""Where the API is served, whatever host the client named."""

FORBIDDEN = "The provided request was forbidden."


class Absent(Refused):
    """404: no such order, trade or transaction."""

    def __init__(self, code: str, message: str) -> None:
        self.code, self.message = code, message
        super().__init__(message)


class OutOfRange(Refused):
    """416: no such range of transactions."""

    def __init__(self, field: str) -> None:
        self.message = f"Invalid value specified for '{field}'. The transaction range is not valid"
        super().__init__(self.message)


def in_unix_time(said: Any) -> Any:
    """The same JSON with UNIX times: seconds and nine decimals."""
    if isinstance(said, list):
        return [in_unix_time(one) for one in said]
    if isinstance(said, dict):
        return {name: _unix(value) if name in TIME_FIELDS else in_unix_time(value) for name, value in said.items()}
    return said


def _unix(value: Any) -> Any:
    if not isinstance(value, str) or not value.endswith("Z"):
        return in_unix_time(value)
    time = parse_time(value)
    return f"{time // SECOND}.{time % SECOND:09d}"


def wants_unix(request: web.Request) -> bool:
    """Whether the client asked for UNIX times."""
    return request.headers.get("Accept-Datetime-Format", "RFC3339").upper() == "UNIX"


def answer(request: web.Request, said: Json, status: int = 200) -> web.Response:
    """A JSON answer."""
    if wants_unix(request):
        said = in_unix_time(said)
    return web.Response(text=json.dumps(said), status=status, content_type="application/json")


def error(status: int, message: str, code: str | None = None) -> web.Response:
    """An error's answer."""
    said = {"errorMessage": message, **({"errorCode": code} if code is not None else {})}
    return web.Response(text=json.dumps(said), status=status, content_type="application/json")
