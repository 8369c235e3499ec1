"""The API as a server on loopback."""

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from broker.errors import BadInput
from daemon import __version__
from daemon.web.guard import Guard
from daemon.web.hub import Hub
from daemon.web.metrics import Metrics
from daemon.web.office import MOST_ROWS, Office, Order, Query
from daemon.web.routes import COMMANDS, LONGEST_REASON, PAIR, V1, VERSION, VIEWS, WHO, openapi

STATIC = Path(__file__).parent / "static"
BODY_BYTES = 1 << 14
BEAT_S = 15.0
PIECE = 50  # rows that are encoded at once
LOOPBACK = frozenset(("127.0.0.1", "::1", "localhost"))
_REACHED = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "::1": "[::1]"}
_KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".txt": "text/plain"}


class Web:
    """Serves an office.

    Args:
        token: the bearer token. host, port: where to listen; port 0 picks a free one.
        hosts: names by which we may be called besides loopback.

    Raises:
        BadInput: it would be open to other machines without a word of who may call.
    """

    def __init__(
        self, office: Office, hub: Hub, metrics: Metrics, token: str, host: str, port: int, hosts: frozenset[str]
    ) -> None:
        if host not in LOOPBACK and not hosts:
            raise BadInput(
                f"{host} is open to other machines",
                where="[api] host",
                mend="use 127.0.0.1, or name in [api] hosts by which names it may be called",
            )
        self._office, self._hub, self._metrics = office, hub, metrics
        self._guard = Guard(token, lambda: self.port, hosts)
        self._host, self.port = host, port
        self._runner: web.AppRunner | None = None

    def app(self) -> web.Application:
        """The API as an aiohttp application."""
        app = web.Application(middlewares=[self._guard.admit], client_max_size=BODY_BYTES)
        app.add_routes(
            [
                web.get("/health/live", self._live, allow_head=False),
                web.get("/health/ready", self._ready, allow_head=False),
                web.get("/metrics", self._measured, allow_head=False),
                web.get(f"{V1}/events", self._events, allow_head=False),
                web.get(f"{V1}/openapi.json", self._described, allow_head=False),
                *(web.get(f"{V1}/{name}", self._viewer(name), allow_head=False) for name in VIEWS),
                *(web.post(f"{V1}/{name}", self._actor(name)) for name in COMMANDS),
                web.get("/", _file("index.html"), allow_head=False),
                *(web.get(f"/static/{path.name}", _file(path.name)) for path in sorted(STATIC.glob("*.*"))),
            ]
        )
        return app

    async def start(self) -> str:
        """Listen; the URL from this machine.

        Raises:
            BadInput: the port is taken, or the address is not ours.
        """
        self._runner = web.AppRunner(self.app(), access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self.port).start()
        except OSError as error:
            await self._runner.cleanup()
            what = f"can't listen: {error.strerror or error}"
            raise BadInput(what, where=f"[api] {self._host}:{self.port}", mend="choose another port") from error
        self.port = self._runner.addresses[0][1]
        host = _REACHED.get(self._host, self._host)
        return f"http://{host}:{self.port}"

    async def close(self) -> None:
        """Stop listening; whoever listens to events is let go."""
        self._hub.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _live(self, _request: web.Request) -> web.Response:
        return web.json_response({"live": True})

    async def _ready(self, _request: web.Request) -> web.Response:
        health = self._office.health()
        return web.json_response({"ready": health.ready, "why": health.why}, status=200 if health.ready else 503)

    async def _measured(self, _request: web.Request) -> web.Response:
        self._metrics.refresh(self._metrics)
        body = await asyncio.to_thread(self._metrics.exposition)
        return web.Response(body=body, headers={"Content-Type": self._metrics.content_type})

    async def _described(self, _request: web.Request) -> web.Response:
        return web.json_response(openapi(__version__))

    def _viewer(self, name: str) -> Callable[[web.Request], Any]:
        async def view(request: web.Request) -> web.Response:
            query = _query(request, VIEWS[name].rows)
            text = await in_pieces(await self._office.view(name, query))
            return web.Response(text=text, content_type="application/json")

        return view

    def _actor(self, name: str) -> Callable[[web.Request], Any]:
        async def act(request: web.Request) -> web.Response:
            order = _order(name, await _body(request))
            return web.json_response({"command": name, "done": True, **await self._office.act(order)}, dumps=_strict)

        return act

    async def _events(self, request: web.Request) -> web.StreamResponse:
        after = request.headers.get("Last-Event-ID")
        if after is not None and not re.fullmatch("[0-9]{1,18}", after, re.ASCII):
            raise BadInput("is no event's number", where="Last-Event-ID")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await response.prepare(request)
        await response.write(b": welcome\n\n")
        messages = self._hub.listen(int(after) if after is not None else None)
        beating = asyncio.create_task(_beat(response))
        try:
            async for message in messages:
                await response.write(message)
        except ConnectionResetError:
            pass  # who listened has gone
        finally:
            beating.cancel()
            await messages.aclose()
        return response


async def _beat(response: web.StreamResponse) -> None:
    """A comment now and then, so that a listener who is gone is noticed."""
    while True:
        await asyncio.sleep(BEAT_S)
        await response.write(b": beat\n\n")


async def in_pieces(document: dict[str, Any]) -> str:
    """A document as JSON text; between pieces of its lists the event loop has its turn."""
    parts = []
    for name, value in document.items():
        if not isinstance(value, list):
            parts.append(f"{_strict(name)}: {_strict(value)}")
            continue
        rows = []
        for place in range(0, len(value), PIECE):
            rows.append(_strict(value[place : place + PIECE])[1:-1])
            await asyncio.sleep(0)
        parts.append(f"{_strict(name)}: [{', '.join(rows)}]")
    return f"{{{', '.join(parts)}}}"


def _strict(document: Any) -> str:
    return json.dumps(document, allow_nan=False)


def _query(request: web.Request, rows: bool) -> Query:
    known = {"limit", "instrument"} if rows else set()
    given = dict(request.query)
    if unknown := given.keys() - known:
        raise BadInput(
            "is not known here", where=f"?{min(unknown)}", mend=f"known: {', '.join(sorted(known)) or 'none'}"
        )
    limit, instrument = given.get("limit", "100"), given.get("instrument")
    if not re.fullmatch("[0-9]{1,4}", limit, re.ASCII) or not 1 <= int(limit) <= MOST_ROWS:
        raise BadInput(f"must be from 1 to {MOST_ROWS}", where="?limit")
    if instrument is not None and not re.fullmatch(PAIR, instrument):
        raise BadInput("is no instrument", where="?instrument", mend="as in EUR_USD")
    return Query(int(limit), instrument)


async def _body(request: web.Request) -> dict[str, Any]:
    sent = await request.read()
    if not sent:
        return {}
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType
    try:
        body = json.loads(sent.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise BadInput("is no JSON document", where="body") from error
    if not isinstance(body, dict):
        raise BadInput("is no JSON object", where="body", mend='as in {"reason": "..."}')
    return body


def _order(name: str, body: dict[str, Any]) -> Order:
    rules = {"reason": rf"[^\x00-\x1f\x7f\ud800-\udfff]{{0,{LONGEST_REASON}}}", "who": WHO}
    if COMMANDS[name].version:
        rules["version"] = VERSION
        if "version" not in body:
            raise BadInput(
                "is missing", where="body: version", mend="name a model: a version or its first 8 characters"
            )
    for key, value in body.items():
        if key not in rules:
            raise BadInput("is not known", where=f"body: {key[:40]}", mend=f"known: {', '.join(rules)}")
        if not isinstance(value, str) or not re.fullmatch(rules[key], value):
            raise BadInput(f"must match {rules[key]}", where=f"body: {key}")
    return Order(name, body.get("who", "api"), body.get("reason", ""), body.get("version", ""))


def _file(name: str) -> Callable[[web.Request], Any]:
    """A file of the page, read once."""
    path = STATIC / name
    body, kind = path.read_bytes(), _KINDS[path.suffix]

    async def serve(_request: web.Request) -> web.Response:
        return web.Response(body=body, content_type=kind, charset="utf-8")

    return serve
