"""oandapyV20's request objects, carried by aiohttp: one session a host, shared pace, typed failures.

The seam is the connector: `connector()` makes the aiohttp connector of each session. Over the network it is the
usual one; a simulation hands in `aiohttp.UnixConnector`, whose connections its event loop makes in memory
(`loop.create_unix_connection`), so that the code from here down to the bytes is the code that trades (docs/oanda.md).

Only GETs are sent again. A write that has no answer is Lost, and what became of it is in the transaction log alone.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from random import Random
from types import SimpleNamespace
from typing import Any

import aiohttp

from broker.errors import Transient
from broker.oanda.access import Access
from broker.oanda.endpoints import APIRequest, checked_path
from broker.oanda.failures import Denied, Failure, Lost, StreamLost, Unauthorised, Unavailable, Unsent
from broker.oanda.lines import Lines
from broker.oanda.pacing import CONNECTIONS_PER_S, REQUESTS_PER_S, Backoff, TokenBucket
from broker.types import SECOND

LARGEST_ANSWER = 64 << 20  # bytes; 5000 candles have about 2 MB
KEPT_S = 75.0
_BLOCK = 1 << 16
_UNSENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
_BROKEN = (aiohttp.ClientError, TimeoutError, OSError, ValueError)


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds and counts of the transport.

    Attributes:
        connect: until a connection stands. answer: until a request is answered, connecting included.
        silence: without a line until a stream is dead; OANDA says 10.
        reads: attempts of a GET. retry_first, retry_longest: the range of waits between them.
    """

    connect: float = 10.0
    answer: float = 10.0
    silence: float = 10.0
    reads: int = 3
    retry_first: float = 1.0
    retry_longest: float = 8.0


@dataclass(frozen=True, slots=True)
class Pace:
    """The buckets that everything talking to one broker shares; orders find a reserve."""

    requests: TokenBucket
    connections: TokenBucket

    @classmethod
    def usual(cls) -> "Pace":
        """What OANDA recommends."""
        return cls(TokenBucket(REQUESTS_PER_S, 20.0, reserve=5.0), TokenBucket(CONNECTIONS_PER_S, 2.0))


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole 2xx answer: its JSON object, numbers as text."""

    status: int
    body: Mapping[str, Any]
    request_id: str


def warm_connector() -> aiohttp.BaseConnector:
    """Connections over the network, kept past the next poll (30 s), so that an order finds one open."""
    return aiohttp.TCPConnector(keepalive_timeout=KEPT_S, ttl_dns_cache=300)


class Transport:
    """Sends requests and opens streams.

    Args:
        access: token, account, hosts.
        pace: shared by all transports of the process.
        waits: time-outs.
        dice: jitter.
        now: ns since the epoch, for `Retry-After` dates.
        connector: makes each session's connector. traces: told of what the sessions do.
    """

    def __init__(
        self,
        access: Access,
        pace: Pace,
        waits: Waits,
        dice: Random,
        now: Callable[[], int],
        connector: Callable[[], aiohttp.BaseConnector] = warm_connector,
        traces: Sequence[aiohttp.TraceConfig] = (),
    ) -> None:
        self.access, self.waits = access, waits
        self.throttled = 0  # answers 429 so far
        self._pace, self._dice, self._now, self._connector = pace, dice, now, connector
        self._traces = traces
        self._sessions: dict[str, aiohttp.ClientSession] = {}

    async def close(self) -> None:
        """Close every connection."""
        while self._sessions:
            await self._sessions.popitem()[1].close()

    async def send(self, request: APIRequest) -> Answer:
        """Send once; a GET up to `waits.reads` times.

        Raises:
            Unsent, Lost, Unavailable: as in `failures`; for a GET, of the last attempt.
            Denied, Unauthorised: OANDA said no.
            BadInput: an id that would change the path.
        """
        path = checked_path(request)
        if request.method != "GET":
            return await self._once(request, path)
        backoff = Backoff(self.waits.retry_first, self.waits.retry_longest, self._dice.random)
        for _ in range(self.waits.reads - 1):
            try:
                return await self._once(request, path)
            except Transient as failure:
                asked = failure.retry_after if isinstance(failure, Failure) else 0.0
            await asyncio.sleep(min(max(asked, backoff.next()), self.waits.retry_longest))
        return await self._once(request, path)

    async def _once(self, request: APIRequest, path: str) -> Answer:
        await self._pace.requests.take(urgent=request.method != "GET")
        timeout = aiohttp.ClientTimeout(total=self.waits.answer, connect=self.waits.connect)
        failure: Failure
        try:
            async with self._request(self.access.hosts.rest, request, path, timeout) as response:
                return self._understood(response, await self._read(response.content), request)
        except _UNSENT as error:
            failure = Unsent(f"no connection for {_name(request)}: {_reason(error)}")
        except _BROKEN as error:
            failure = Lost(f"no answer to {_name(request)}: {_reason(error)}")
        raise failure  # out here, so that no aiohttp error with its headers hangs on to it

    @asynccontextmanager
    async def stream(self, request: APIRequest) -> AsyncIterator[Lines]:
        """An open stream's lines.

        Raises:
            StreamLost: it could not be opened, or was lost. Denied, Unauthorised: it was refused.
        """
        path = checked_path(request)
        timeout = aiohttp.ClientTimeout(total=None, connect=self.waits.connect)
        opening = self._request(self.access.hosts.stream, request, path, timeout)
        failure = response = None
        try:
            async with asyncio.timeout(self.waits.answer):
                response = await opening.__aenter__()
                if response.status != 200:
                    self._understood(response, await self._read(response.content), request)
        except _BROKEN as error:
            failure = StreamLost(f"no stream from {_name(request)}: {_reason(error)}")
        except Unavailable as error:
            failure = StreamLost(str(error), status=error.status, retry_after=error.retry_after)
        if failure is not None or response is None:
            raise failure or StreamLost("no stream")
        try:
            yield Lines(_Content(response.content), self.waits.silence, clean=self.access.token.scrub)
        finally:
            response.close()

    def _request(
        self, base: str, request: APIRequest, path: str, timeout: aiohttp.ClientTimeout
    ) -> "aiohttp.client._BaseRequestContextManager[aiohttp.ClientResponse]":
        streaming = bool(getattr(request, "STREAM", False))
        headers = {
            "Authorization": f"Bearer {self.access.token.reveal()}",
            "Accept-Datetime-Format": "RFC3339",
            "Accept-Encoding": "identity" if streaming else "gzip, deflate",
        }
        body = None
        if request.method != "GET":
            headers["Content-Type"] = "application/json"
            body = json.dumps(getattr(request, "data", None) or {}).encode()
        params = getattr(request, "params", None) if request.method == "GET" else None
        return self._session(base).request(
            request.method,
            base + path,
            params={key: _param(value) for key, value in (params or {}).items() if value is not None},
            data=body,
            headers=headers,
            timeout=timeout,
            allow_redirects=False,
        )

    def _session(self, base: str) -> aiohttp.ClientSession:
        if base not in self._sessions:
            tracing = aiohttp.TraceConfig()
            tracing.on_connection_create_start.append(self._before_connecting)
            self._sessions[base] = aiohttp.ClientSession(
                connector=self._connector(),
                cookie_jar=aiohttp.DummyCookieJar(),
                trace_configs=[tracing, *self._traces],
                trust_env=False,
            )
        return self._sessions[base]

    async def _before_connecting(self, _session: aiohttp.ClientSession, _context: SimpleNamespace, _: Any) -> None:
        await self._pace.connections.take()

    async def _read(self, content: aiohttp.StreamReader) -> bytes:
        """A whole body, without the token that an angry server may echo."""
        parts, size = [], 0
        async for block in content.iter_chunked(_BLOCK):
            parts.append(block)
            size += len(block)
            if size > LARGEST_ANSWER:
                raise ValueError("too large an answer")
        return self.access.token.scrub(b"".join(parts))

    def _understood(self, response: aiohttp.ClientResponse, raw: bytes, request: APIRequest) -> Answer:
        """The answer, or the failure that it is."""
        status = response.status
        request_id = self.access.token.scrub(response.headers.get("RequestID", "").encode()).decode()[:100]
        body = decoded(raw)
        if 200 <= status < 300:
            if body is None:
                raise Lost(f"an answer to {_name(request)} that is no JSON", status=status, request_id=request_id)
            return Answer(status, body, request_id)
        said = str((body or {}).get("errorMessage", "no message"))
        what = f"{_name(request)}: {' '.join(said.split())}"
        code = str((body or {}).get("errorCode", ""))[:100]
        kind = _kind(status, said)
        if kind is Unavailable:
            self.throttled += status == 429
            wait = self._retry_after(response.headers.get("Retry-After", ""))
            raise Unavailable(what, status=status, code=code, request_id=request_id, retry_after=wait)
        raise kind(what, status=status, code=code, request_id=request_id, body=body)

    def _retry_after(self, text: str) -> float:
        """Seconds until the time that a Retry-After header names, in either form; 0 for nonsense."""
        if text.isascii() and text.isdigit():
            return float(text[:6])
        try:
            when = parsedate_to_datetime(text)
        except (ValueError, TypeError):
            return 0.0
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        return max(0.0, when.timestamp() - self._now() / SECOND)


class _Content:
    """aiohttp's body, with its errors as ours."""

    def __init__(self, content: aiohttp.StreamReader) -> None:
        self._content = content

    async def readany(self) -> bytes:
        try:
            return await self._content.readany()
        except (aiohttp.ClientError, OSError) as error:
            reason = _reason(error)
        raise StreamLost(f"broke: {reason}")


def decoded(raw: bytes) -> Mapping[str, Any] | None:
    """The JSON object in an answer, numbers as text so that no digit is lost; None if it is something else."""
    try:
        body = json.loads(raw.decode(), parse_float=str, parse_int=str, parse_constant=str)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _kind(status: int, said: str) -> type[Failure]:
    """The failure that a status is; some wrong tokens are told as 400."""
    if status in (401, 403) or (status == 400 and "nsufficient authorization" in said):
        return Unauthorised
    return Denied if 400 <= status < 500 and status not in (408, 425, 429) else Unavailable


def _param(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case list() | tuple():
            return ",".join(map(str, value))
    return str(value)


def _name(request: APIRequest) -> str:
    return f"{request.method} {type(request).__name__}"


def _reason(error: Exception) -> str:
    """What happened, without the URL and the headers that aiohttp's own texts may hold."""
    inner = getattr(error, "os_error", error)
    return (inner.strerror or type(inner).__name__) if isinstance(inner, OSError) else type(inner).__name__
