"""Reading requests: path parts, query parameters and bodies, refused where they could break a path, a header or us."""

import json
import re
from typing import Any

from aiohttp import web

from broker.account import BadRequest
from broker.account.numbers import parse_time

Json = dict[str, Any]
COUNT_DEFAULT, COUNT_MAXIMUM = 50, 500
_ACCOUNT = re.compile(r"\d{1,4}-\d{1,4}-\d{1,12}-\d{1,6}", re.ASCII)
_INSTRUMENT = re.compile(r"[A-Z0-9]{2,12}_[A-Z0-9]{2,12}", re.ASCII)
_SPECIFIER = re.compile(r"\d{1,18}|@[ -~]{1,128}", re.ASCII)
_UNSAFE = re.compile(r"[/\\?#%]")
_NUMBER = re.compile(r"\d{1,18}", re.ASCII)


def is_account_id(text: str) -> bool:
    """Whether it has the form `{site}-{division}-{user}-{number}`."""
    return _ACCOUNT.fullmatch(text) is not None


def specifier(request: web.Request, name: str) -> str:
    """An order's or trade's id, or `@` and the client's own.

    Raises:
        BadRequest: neither.
    """
    text = request.match_info[name]
    if _SPECIFIER.fullmatch(text) is None or _UNSAFE.search(text):
        raise BadRequest.of(name)
    return text


def instrument_name(text: str, known: Any, field: str = "instrument") -> str:
    """The name of a known instrument.

    Raises:
        BadRequest: malformed or unknown.
    """
    if _INSTRUMENT.fullmatch(text) is None or text not in known:
        raise BadRequest.of(field)
    return text


def instrument_list(request: web.Request, known: Any, required: bool) -> tuple[str, ...]:
    """The query's csv `instruments`; none is all known where not required.

    Raises:
        BadRequest: missing, malformed or unknown.
    """
    text = request.query.get("instruments")
    if text is None or (not text and not required):
        if required:
            raise BadRequest.of("instruments")
        return tuple(known)
    names = text.split(",")
    return tuple(dict.fromkeys(instrument_name(name, known, "instruments") for name in names))


def whole(request: web.Request, name: str, default: int | None, most: int, least: int = 0) -> int:
    """A whole number of the query.

    Raises:
        BadRequest: missing without a default, malformed or out of range.
    """
    text = request.query.get(name)
    if text is None and default is not None:
        return default
    if text is None or _NUMBER.fullmatch(text) is None:
        raise BadRequest.of(name)
    value = int(text)
    if value > most and name == "count":
        raise BadRequest(f"Maximum value for '{name}' exceeded")
    if not least <= value <= most:
        raise BadRequest.of(name)
    return value


def flag(request: web.Request, name: str, default: bool) -> bool:
    """A boolean of the query, in any spelling of case.

    Raises:
        BadRequest: another word.
    """
    text = request.query.get(name)
    if text is None:
        return default
    if text.lower() not in ("true", "false", "1", "0"):
        raise BadRequest.of(name)
    return text.lower() in ("true", "1")


def time_of(request: web.Request, name: str) -> int | None:
    """A time of the query, ns.

    Raises:
        BadRequest: malformed.
    """
    text = request.query.get(name)
    if text is None:
        return None
    try:
        return parse_time(text.replace(" ", "+"))
    except ValueError:
        raise BadRequest.of(name) from None


def number_before(request: web.Request) -> int | None:
    """The query's `beforeID`."""
    return whole(request, "beforeID", None, 10**18) if "beforeID" in request.query else None


async def body_of(request: web.Request, may_be_empty: bool = False) -> Json:
    """The body, a JSON object.

    Raises:
        BadRequest: anything else.
    """
    raw = await request.read()
    if not raw.strip() and may_be_empty:
        return {}
    try:
        body = json.loads(raw, parse_float=str, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise BadRequest("Invalid JSON body, must be an object") from None
    if not isinstance(body, dict):
        raise BadRequest("Invalid JSON body, must be an object")
    return body


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
