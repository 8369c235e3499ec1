"""The emulator as a server: its API and, on another port, its control plane."""

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from broker.account import Account, BadRequest
from broker.bars import BarSize
from broker.emulator.answers import BASE_URL, FORBIDDEN, REQUEST_ID, UNAUTHORIZED, Absent, OutOfRange, error, wants_unix
from broker.emulator.control import Control
from broker.emulator.exchange import Exchange
from broker.emulator.faults import Faults
from broker.emulator.params import flag, instrument_list, is_account_id
from broker.emulator.playback import Playback
from broker.emulator.reading import Reading
from broker.emulator.streams import Streams
from broker.emulator.trading import Trading
from broker.errors import BadInput
from broker.types import MINUTE

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
LOOPBACK = frozenset(("127.0.0.1", "::1", "localhost"))
_BODY_MAXIMUM = 1 << 18
_BORN_MAXIMUM = 1000
_HTML = "<html><body><h1>502 Bad Gateway</h1></body></html>"
_MINUTE_BARS = BarSize(clock=True, size=MINUTE)


@dataclass(frozen=True, slots=True)
class Settings:
    """How the emulator is served and played.

    Attributes:
        token: the bearer token that every request must carry.
        control: path of the control plane, better a secret.
        port: 0 picks a free one.
        exposed: allows a `host` that is not loopback.
        speed: emulated over wall time, 0 as fast as the client reads.
        bar, latency: of the client, for lock-step; latency in ns.
    """

    token: str = field(repr=False)
    control: str = field(repr=False, default="control")
    host: str = "127.0.0.1"
    port: int = 0
    exposed: bool = False
    speed: float = 1.0
    repeat: bool = False
    bar: BarSize = _MINUTE_BARS
    latency: int = 0


class Emulator:
    """Serves an exchange.

    Raises:
        BadInput: it would be open to other machines, or its port is taken.
    """

    def __init__(self, exchange: Exchange, settings: Settings, faults: Faults | None = None) -> None:
        if settings.host not in LOOPBACK and not settings.exposed:
            raise BadInput(
                f"{settings.host} is open to other machines",
                where="--host",
                mend="use 127.0.0.1, or add --expose if that is what you mean",
            )
        if not settings.token:
            raise BadInput("the token is empty", where="--token")
        self.exchange, self.settings = exchange, settings
        self.faults = faults or Faults()
        self.streams = Streams(exchange, self.faults, conflate=settings.speed > 0)
        self.playback = Playback(
            exchange, self.streams, settings.speed, settings.repeat, settings.bar, settings.latency
        )
        self._runners: list[web.AppRunner] = []
        self._site: web.TCPSite | None = None
        self._port = settings.port
        self._control_port = 0
        self._task: asyncio.Task[None] | None = None
        self._requests = 0
        self._born: list[tuple[float, int]] = []  # requests that wrote: when, and after which transaction
        self._past: Account | None = None
        self._refusal: asyncio.Task[None] | None = None

    def app(self) -> web.Application:
        """The API as an aiohttp application."""
        app = web.Application(middlewares=[self._guard], client_max_size=_BODY_MAXIMUM)
        account = "/v3/accounts/{accountID}"
        app.add_routes([web.get(f"{account}/pricing/stream", self._pricing)])
        app.add_routes([web.get(f"{account}/transactions/stream", self._transactions)])
        app.add_routes(Reading(self.exchange, self._seen).routes())
        app.add_routes(Trading(self.exchange, self.playback).routes())
        return app

    def control(self) -> web.Application:
        """The control plane as an aiohttp application; on loopback, whatever the API's host."""
        app = web.Application()
        app.add_routes(
            Control(self.exchange, self.playback, self.streams, self.faults).routes(f"/{self.settings.control}")
        )
        return app

    async def start(self) -> dict[str, Any]:
        """Listen and play.

        Returns:
            Where: `rest`, `stream`, `account` and `control`.
        """
        await self._listen()
        runner = web.AppRunner(self.control(), access_log=None)
        await runner.setup()
        self._runners.append(runner)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self._control_port = runner.addresses[0][1]
        self._task = asyncio.create_task(self.playback.run())
        return {
            "rest": self.base,
            "stream": self.base,
            "account": self.exchange.account.account_id,
            "control": f"http://127.0.0.1:{self._control_port}/{self.settings.control}",
        }

    @property
    def base(self) -> str:
        """The API's URL."""
        host = f"[{self.settings.host}]" if ":" in self.settings.host else self.settings.host
        return f"http://{host}:{self._port}"

    async def stop(self) -> None:
        """Close streams and sockets, and write the last state."""
        for task in (self._task, self._refusal):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        self.streams.close()
        for runner in self._runners:
            await runner.cleanup()
        self.exchange.close()

    async def _listen(self) -> None:
        runner = web.AppRunner(self.app(), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        self._runners.append(runner)
        self._site = web.TCPSite(runner, self.settings.host, self._port, reuse_address=True)
        try:
            await self._site.start()
        except OSError as problem:
            raise BadInput(f"port {self._port} can't be had: {problem.strerror}", where="--port") from None
        self._port = runner.addresses[0][1]

    async def _refuse(self) -> None:
        """Close the listening socket for a while; open connections stay."""
        if self._site is None or self._site._server is None:
            return
        server, self._site = self._site._server, None
        server.close()
        await asyncio.sleep(self.faults.value("refuse_s"))
        await self._listen()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """What every request passes: its number, the faults, the token, the account, and the shape of errors."""
        self._requests += 1
        number = str(24_000_000_000_000_000 + self._requests)
        REQUEST_ID.set(number)
        BASE_URL.set(self.base)
        try:
            response = await self._faulty(request, handler)
        except BadRequest as refused:
            response = error(400, refused.message)
        except Absent as absent:
            response = error(404, absent.message, absent.code)
        except OutOfRange as beyond:
            response = error(416, beyond.message)
        except web.HTTPException as failed:
            response = error(failed.status, FORBIDDEN if failed.status == 403 else failed.reason)
            if "Allow" in failed.headers:
                response.headers["Allow"] = failed.headers["Allow"]
        if not response.prepared:
            response.headers["RequestID"] = number
        return response

    async def _faulty(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The handler's answer, or what goes wrong with it."""
        faults, writes = self.faults, request.method not in ("GET", "HEAD")
        if faults.hits("refuse") and (self._refusal is None or self._refusal.done()):
            self._refusal = asyncio.create_task(self._refuse())
        if faults.hits("limited"):
            limited = error(429, "Rate limit exceeded")
            limited.headers["Retry-After"] = "1"
            return limited
        if faults.hits("unavailable"):
            return error(faults.pick((503, 504)), "Timeout waiting for response.")
        if faults.hits("html"):
            return web.Response(text=_HTML, status=502, content_type="text/html")
        if writes and faults.hits("unsent"):
            return _broken(request)
        before = len(self.exchange.account.transactions)
        response = await self._allowed(request, handler)
        if len(self.exchange.account.transactions) > before:
            self._born.append((asyncio.get_running_loop().time(), before))
            del self._born[:-_BORN_MAXIMUM]
        if response.prepared:
            return response
        if faults.hits("late"):
            await asyncio.sleep(faults.value("late_s"))
        if writes and faults.hits("lost"):
            return _broken(request)
        if isinstance(response, web.Response) and response.text and faults.hits("garbled"):
            return web.Response(text=response.text[: len(response.text) // 2], status=response.status)
        return response

    async def _allowed(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(given, f"Bearer {self.settings.token}".encode()) or self.faults.value("revoked"):
            return error(401, UNAUTHORIZED)
        account = request.match_info.get("accountID")
        if account is not None and not is_account_id(account):
            raise BadRequest.of("accountID")
        if account is not None and account != self.exchange.account.account_id:
            return error(403, FORBIDDEN)
        return await handler(request)

    def _seen(self) -> Account:
        """The account as reads see it by now: as it trades, or `read_lag_s` behind its latest requests."""
        lag, whole = self.faults.value("read_lag_s"), self.exchange.account
        now = asyncio.get_running_loop().time()
        self._born = [(time, before) for time, before in self._born if time + lag > now]
        if not self._born:
            return whole
        if self._past is None or len(self._past.transactions) != self._born[0][1]:
            self._past = whole.at(self._born[0][1])
        return self._past

    async def _pricing(self, request: web.Request) -> web.StreamResponse:
        """GET .../pricing/stream."""
        names = instrument_list(request, self.exchange.instruments, required=True)
        snapshot = flag(request, "snapshot", True)
        response = await _begin(request)
        subscriber = self.streams.subscribe("pricing", names, wants_unix(request))
        for name in names if snapshot else ():
            subscriber.offer(name, self.exchange.price_json(name), self.exchange.now, False)
        await subscriber.serve(response)
        return response

    async def _transactions(self, request: web.Request) -> web.StreamResponse:
        """GET .../transactions/stream."""
        response = await _begin(request)
        subscriber = self.streams.subscribe("transactions", unix=wants_unix(request))
        await subscriber.serve(response)
        return response


def _broken(request: web.Request) -> web.Response:
    """No answer: the connection is reset."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


async def _begin(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/octet-stream", "RequestID": REQUEST_ID.get()})
    response.enable_chunked_encoding()
    await response.prepare(request)
    return response
