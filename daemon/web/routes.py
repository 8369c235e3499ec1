"""Every route of the API in one table: it serves the requests, and it is the OpenAPI file."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from daemon.web.office import MOST_ROWS

V1 = "/api/v1"
LONGEST_REASON = 200
WHO = r"^[A-Za-z0-9_.@-]{1,40}$"
PAIR = r"^[A-Z]{3}_[A-Z]{3}$"
VERSION = r"^[A-Za-z0-9_-]{8,64}$"

Schema = Mapping[str, Any]
TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}
ROWS: Schema = {"type": "array", "items": {"type": "object"}}
THING: Schema = {"type": "object"}


def maybe(schema: Schema) -> Schema:
    """The same, or null."""
    return {"type": [schema["type"], "null"]}


@dataclass(frozen=True, slots=True)
class View:
    """A document that can be asked for.

    Attributes:
        about: one line. rows: whether `limit` and `instrument` choose among its rows.
        holds: its keys, each with a schema.
    """

    about: str
    holds: Mapping[str, Schema]
    rows: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """Something that can be asked to be done."""

    about: str
    version: bool = False


VIEWS: Mapping[str, View] = {
    "status": View(
        "how the daemon is: mode, state, clock, model, streams, account, jobs",
        {
            "version": TEXT,
            "mode": TEXT,
            "badge": TEXT,
            "state": TEXT,
            "ready": FLAG,
            "why": TEXT,
            "clock": maybe(TEXT),
            "started": TEXT,
            "instruments": {"type": "array", "items": TEXT},
            "strategy": TEXT,
            "model": THING,
            "streams": THING,
            "account": THING,
            "counts": THING,
            "jobs": ROWS,
        },
    ),
    "positions": View("what is held, as the broker confirmed it", {"positions": ROWS}),
    "trades": View("completed trades, the latest first", {"trades": ROWS}, rows=True),
    "decisions": View("decisions with their evidence, the latest first", {"decisions": ROWS}, rows=True),
    "bars": View("closed bars with the pips made by then, the latest first", {"bars": ROWS}, rows=True),
    "models": View("the model registry", {"best": maybe(TEXT), "models": ROWS}),
    "store": View("the experience store", {"size": COUNT, "capacity": COUNT, "trades": COUNT}),
    "risk": View("limits, and how much of them is used", {"limits": THING, "used": THING, "barred": ROWS}),
    "config": View("the effective configuration, secrets masked, and where each value came from", {}),
}

COMMANDS: Mapping[str, Command] = {
    "pause": Command("no new entries; exits go on"),
    "resume": Command("trade again"),
    "reduce": Command("no new entries, and positions are closed at their next bar"),
    "flatten": Command("close everything at once, and pause"),
    "halt": Command("obey the strategy no more; stops and loss limits still close"),
    "reload": Command("read the config again"),
    "swap": Command("let another model decide", version=True),
    "rollback": Command("return to the model that was best before"),
    "stop": Command("end the daemon as SIGTERM does"),
}

ERROR: Schema = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["what", "where", "mend"],
            "properties": {"what": TEXT, "where": TEXT, "mend": TEXT},
        }
    },
}


def openapi(version: str) -> dict[str, Any]:
    """The OpenAPI 3.1 document of the whole API."""
    paths: dict[str, Any] = {
        "/health/live": {"get": {**_get("whether the process answers", _object({"live": FLAG})), "security": []}},
        "/health/ready": {"get": _ready()},
        "/metrics": {"get": _get("metrics for Prometheus", TEXT, "text/plain")},
        f"{V1}/events": {"get": _events()},
        f"{V1}/openapi.json": {"get": _get("this document", THING)},
        "/": {
            "get": {**_get("the dashboard's page, which asks for the token itself", TEXT, "text/html"), "security": []}
        },
    }
    paths |= {f"{V1}/{name}": {"get": _view(view)} for name, view in VIEWS.items()}
    paths |= {f"{V1}/{name}": {"post": _command(command)} for name, command in COMMANDS.items()}
    return {
        "openapi": "3.1.0",
        "info": {"title": "micro-trader", "version": version, "description": "The daemon's local API."},
        "security": [{"token": []}],
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "paths": paths,
    }


def _object(holds: Mapping[str, Schema]) -> Schema:
    return {"type": "object", "required": list(holds), "properties": dict(holds)}


def _answers(schema: Schema, kind: str, *failures: str) -> dict[str, Any]:
    wrong = {
        "description": "what is wrong, where, and how to mend it",
        "content": {"application/json": {"schema": ERROR}},
    }
    good = {"description": "the document", "content": {kind: {"schema": schema}}}
    return {"200": good} | dict.fromkeys(("400", "401", "403", "405", "421", *failures), wrong)


def _get(about: str, schema: Schema, kind: str = "application/json") -> dict[str, Any]:
    return {"summary": about, "responses": _answers(schema, kind)}


def _ready() -> dict[str, Any]:
    schema = _object({"ready": FLAG, "why": TEXT})
    found = _get("whether ticks and orders are alive", schema)
    found["responses"]["503"] = {"description": "not now", "content": {"application/json": {"schema": schema}}}
    return found


def _events() -> dict[str, Any]:
    found = _get("server-sent events: decisions, orders, trades, status, jobs", TEXT, "text/event-stream")
    last = {
        "name": "Last-Event-ID",
        "in": "header",
        "required": False,
        "schema": {"type": "string", "pattern": "^[0-9]{1,18}$"},
    }
    return {**found, "parameters": [last]}


def _view(view: View) -> dict[str, Any]:
    found = _get(view.about, _object(view.holds))
    if view.rows:
        limit = {"type": "integer", "minimum": 1, "maximum": MOST_ROWS, "default": 100}
        found["parameters"] = [
            {"name": "limit", "in": "query", "required": False, "schema": limit},
            {"name": "instrument", "in": "query", "required": False, "schema": {"type": "string", "pattern": PAIR}},
        ]
    return found


def _command(command: Command) -> dict[str, Any]:
    holds: dict[str, Schema] = {
        "reason": {"type": "string", "maxLength": LONGEST_REASON},
        "who": {"type": "string", "pattern": WHO},
    }
    needed = []
    if command.version:
        holds["version"] = {"type": "string", "pattern": VERSION}
        needed.append("version")
    body = {"type": "object", "properties": holds, "required": needed, "additionalProperties": False}
    done = _object({"command": TEXT, "done": FLAG})
    return {
        "summary": command.about,
        "requestBody": {"required": bool(needed), "content": {"application/json": {"schema": body}}},
        "responses": _answers(done, "application/json", "409", "413", "415"),
    }
