"""The transport over real sockets on loopback and in memory: typed failures, no write twice, and no token in sight."""

import asyncio
import gzip
import io
import logging
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random

import aiohttp
import pytest
from aiohttp import web

from broker.errors import BadInput, Transient
from broker.oanda import (
    Access,
    Denied,
    Hosts,
    Lost,
    Pace,
    Secret,
    StreamLost,
    TokenBucket,
    Transport,
    Unauthorised,
    Unavailable,
    Unsent,
    Waits,
)
from broker.oanda.endpoints import (
    AccountCandles,
    AccountDetails,
    AccountSummary,
    APIRequest,
    OrderCreate,
    PricingStream,
    TradeClose,
    TransactionsSinceID,
)
from broker.oanda.failures import Failure
from tests.broker.oanda.desk import ACCOUNT, TOKEN
from tests.broker.oanda.virtual import VirtualLoop, run

QUICK = Waits(connect=0.5, answer=0.5, silence=0.3, retry_first=0.01, retry_longest=0.05)
Handler = Callable[[web.Request], object]


def generous() -> Pace:
    """A pace that no test waits for."""
    return Pace(TokenBucket(1e6, 1e3, reserve=1.0), TokenBucket(1e6, 1e3))


@asynccontextmanager
async def served(handler: Handler, waits: Waits = QUICK, pace: Pace | None = None) -> AsyncIterator[Transport]:
    """A transport to a server on loopback that answers everything with `handler`."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)  # type: ignore[arg-type]
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    base = f"http://{host}:{port}"
    access = Access(Secret(TOKEN), ACCOUNT, Hosts(base, base))
    transport = Transport(access, pace or generous(), waits, Random(0), lambda: 1_000_000_000_000_000_000)
    try:
        yield transport
    finally:
        await transport.close()
        await runner.cleanup()


def order() -> OrderCreate:
    """Some write."""
    return OrderCreate(ACCOUNT, data={"order": {"units": "1"}})


async def test_a_request_says_what_oanda_wants() -> None:
    """Token, times as RFC 3339, JSON bodies, flags and lists as text; an empty body is an object."""
    seen: list[tuple[web.BaseRequest, str]] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((request, await request.text()))
        return web.json_response({"n": 1.5}, headers={"RequestID": "42"})

    async with served(handler) as transport:
        params = {"flag": True, "list": ["A", "B"], "none": None, "id": 7}
        answer = await transport.send(TransactionsSinceID(ACCOUNT, params=params))
        await transport.send(TradeClose(ACCOUNT, tradeID="5"))
        candles = AccountCandles(ACCOUNT, "EUR_USD", {"price": "BA"})
        await transport.send(candles)
    assert (answer.body, answer.request_id) == ({"n": "1.5"}, "42")
    (first, _), (second, text), (third, _) = seen
    assert first.headers["Authorization"] == f"Bearer {TOKEN}"
    assert first.headers["Accept-Datetime-Format"] == "RFC3339"
    assert dict(first.query) == {"flag": "true", "list": "A,B", "id": "7"}
    assert (second.content_type, text) == ("application/json", "{}")
    assert third.path == f"/v3/accounts/{ACCOUNT}/instruments/EUR_USD/candles"


async def test_gzip_is_understood_and_connections_are_kept() -> None:
    """Candles come gzipped; a second request uses the first one's connection."""
    peers = set()

    async def handler(request: web.Request) -> web.Response:
        assert request.transport is not None
        peers.add(request.transport.get_extra_info("peername"))
        packed = gzip.compress(b'{"a": "b"}')
        return web.Response(body=packed, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"})

    async with served(handler) as transport:
        for _ in range(3):
            assert (await transport.send(AccountDetails(ACCOUNT))).body == {"a": "b"}
    assert len(peers) == 1


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (400, '{"errorMessage": "bad", "errorCode": "X"}', Denied),
        (404, '{"errorMessage": "none", "errorCode": "NO_SUCH_ORDER"}', Denied),
        (416, "{}", Denied),
        (401, "{}", Unauthorised),
        (403, "<html>", Unauthorised),
        (400, '{"errorMessage": "Insufficient authorization to perform request."}', Unauthorised),
        (429, "", Unavailable),
        (502, "<html>bad gateway</html>", Unavailable),
        (504, '{"errorMessage":"Timeout waiting for response."}', Unavailable),
        (302, "", Unavailable),
        (200, "<html>maintenance</html>", Lost),
        (200, "[1]", Lost),
        (200, '{"a":', Lost),
    ],
)
@pytest.mark.parametrize("request_", [order(), AccountDetails(ACCOUNT)], ids=["write", "read"])
async def test_every_answer_has_its_type(status: int, text: str, kind: type[Failure], request_: APIRequest) -> None:
    """The failure says what to do; reads are tried three times where it may help, writes never."""
    calls = []

    async def handler(_: web.Request) -> web.Response:
        calls.append(1)
        return web.Response(status=status, text=text, headers={"RequestID": "r-9", "Location": "/elsewhere"})

    async with served(handler) as transport:
        with pytest.raises(kind, match=r"OrderCreate|AccountDetails") as caught:
            await transport.send(request_)
    assert caught.value.request_id == "r-9"
    assert caught.value.status == status
    again = issubclass(kind, Transient) and request_.method == "GET"
    assert len(calls) == (3 if again else 1)


@pytest.mark.parametrize("way", ["hang", "close", "half"])
async def test_a_write_without_an_answer_is_lost_and_sent_once(way: str) -> None:
    """R9: time-out, reset and a body that ends too soon: the write may have happened."""
    calls = []

    async def handler(request: web.Request) -> web.StreamResponse:
        calls.append(1)
        if way == "hang":
            await asyncio.sleep(5)
        response = web.StreamResponse(headers={"Content-Length": "100"})
        if way == "half":
            await response.prepare(request)
            await response.write(b'{"order')
        assert request.transport is not None
        request.transport.close()
        return response

    async with served(handler) as transport:
        with pytest.raises(Lost):
            await transport.send(order())
    assert calls == [1]


async def test_nothing_leaves_where_nobody_listens() -> None:
    """A refused connection is Unsent: the order never left."""

    async def handler(_: web.Request) -> web.Response:
        return web.Response()

    async with served(handler) as transport:
        base = transport.access.hosts.rest
    access = Access(Secret(TOKEN), ACCOUNT, Hosts(base, base))
    transport = Transport(access, generous(), QUICK, Random(0), lambda: 0)
    with pytest.raises(Unsent):
        await transport.send(order())
    with pytest.raises(StreamLost):
        async with transport.stream(PricingStream(ACCOUNT, params={"instruments": "EUR_USD"})):
            pytest.fail("opened")
    await transport.close()


@pytest.mark.parametrize(("header", "least"), [("2", 2.0), ("Fri, 31 Dec 1999 23:59:59 GMT", 0.0), ("soon", 0.0)])
def test_the_server_may_ask_for_patience(header: str, least: float) -> None:
    """429 with Retry-After, as seconds, a date or nonsense: the next read waits at least that long."""

    async def main() -> None:
        app, times = web.Application(), []

        async def handler(_: web.Request) -> web.Response:
            times.append(asyncio.get_running_loop().time())
            if len(times) == 1:
                return web.Response(status=429, headers={"Retry-After": header})
            return web.json_response({})

        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app)
        await runner.setup()
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        assert runner.server is not None
        loop.listeners["x"] = runner.server
        access = Access(Secret(TOKEN), ACCOUNT, Hosts("http://a.test", "http://b.test"))
        transport = Transport(access, generous(), Waits(), Random(0), lambda: 0, lambda: aiohttp.UnixConnector("x"))
        await transport.send(AccountSummary(ACCOUNT))
        assert transport.throttled == 1
        assert times[1] - times[0] >= max(least, 0.5)
        await transport.close()
        await runner.cleanup()

    run(main)


def everything_said(failure: BaseException) -> str:
    """All that a careless log could show of a failure: texts, attributes, causes, and every frame's variables."""
    chain, parts = [failure], []
    while chain:
        found = chain.pop()
        shown = traceback.TracebackException.from_exception(found, capture_locals=True)
        parts += ["".join(shown.format()), repr(found), str(found), repr(vars(found))]
        chain += [error for error in (found.__cause__, found.__context__) if error is not None]
    return "\n".join(parts)


@pytest.mark.parametrize("way", ["hang", "close", "echo", "401", "refused"])
async def test_the_token_is_nowhere(way: str, caplog: pytest.LogCaptureFixture) -> None:
    """R26: not in texts, tracebacks with variables, causes, logs or reprs, even where the server echoes it."""
    caplog.set_level(logging.DEBUG)

    async def handler(request: web.Request) -> web.Response:
        if way == "hang":
            await asyncio.sleep(5)
        if way == "close":
            assert request.transport is not None
            request.transport.close()
        status = 401 if way == "401" else 400
        return web.json_response({"errorMessage": f"what is {request.headers['Authorization']}?"}, status=status)

    async with served(handler) as transport:
        if way == "refused":
            closed = Access(Secret(TOKEN), ACCOUNT, Hosts("http://127.0.0.1:9", "http://127.0.0.1:9"))
            transport = Transport(closed, generous(), QUICK, Random(0), lambda: 0)
        for request in (order(), AccountDetails(ACCOUNT)):
            with pytest.raises(Failure) as caught:
                await transport.send(request)
            assert TOKEN not in everything_said(caught.value)
        shown = io.StringIO()
        print(transport, vars(transport), transport.access, transport.access.token, file=shown)
        assert TOKEN not in shown.getvalue() + caplog.text
        await transport.close()


async def test_a_request_id_that_echoes_the_token_is_masked() -> None:
    """The id of a failed write is logged (R26), and the server chooses it."""

    async def handler(request: web.Request) -> web.Response:
        return web.json_response({}, status=400, headers={"RequestID": request.headers["Authorization"]})

    async with served(handler) as transport:
        with pytest.raises(Denied) as caught:
            await transport.send(AccountDetails(ACCOUNT))
        assert (caught.value.request_id, TOKEN in str(caught.value)) == ("Bearer ***", False)


async def test_a_stream_that_echoes_the_token_is_masked() -> None:
    """What a recording or the order log keeps of a stream never holds it, in whatever pieces it comes."""

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for piece in (b'{"said": "', TOKEN[:7].encode(), TOKEN[7:].encode(), b'"}\n'):
            await response.write(piece)
            await asyncio.sleep(0.01)
        return response

    async with (
        served(handler) as transport,
        transport.stream(PricingStream(ACCOUNT, params={"instruments": "EUR_USD"})) as lines,
    ):
        assert await anext(lines) == b'{"said": "***"}'


@pytest.mark.parametrize(
    "bad", ["1/2", "..", "1?x=y", "1#x", "a b", "1\r\nHost: evil", "%2e%2e", "", "é", "1/../2", "a" * 200, "@", "{x}"]
)
def test_ids_cannot_change_the_path(bad: str) -> None:
    """Path injection through account, trade, order or instrument is refused before anything is sent."""

    async def main() -> None:
        access = Access(Secret(TOKEN), ACCOUNT, Hosts("http://a.test", "http://b.test"))
        transport = Transport(access, generous(), Waits(), Random(0), lambda: 0, lambda: aiohttp.UnixConnector("x"))
        for request in (AccountDetails(bad), TradeClose(ACCOUNT, tradeID=bad), AccountCandles(ACCOUNT, bad, {})):
            with pytest.raises(BadInput, match="change the request's path"):
                await transport.send(request)

    run(main)


async def test_streams_are_not_followed_elsewhere_and_not_kept_open() -> None:
    """A refused stream is the same typed failure; a silent one is lost after its time."""
    state = {"status": 200}

    async def handler(request: web.Request) -> web.StreamResponse:
        if state["status"] != 200:
            return web.json_response({"errorMessage": "no"}, status=state["status"])
        assert request.headers["Accept-Encoding"] == "identity"
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"a": 1}\n{"b"')
        await response.write(b": 2}\n")
        await asyncio.sleep(5)
        return response

    async with served(handler) as transport:
        request = PricingStream(ACCOUNT, params={"instruments": "EUR_USD"})
        async with transport.stream(request) as lines:
            assert [await anext(lines), await anext(lines)] == [b'{"a": 1}', b'{"b": 2}']
            with pytest.raises(StreamLost, match="silent"):
                await anext(lines)
        for status, kind in ((400, Denied), (401, Unauthorised), (503, StreamLost)):
            state["status"] = status
            with pytest.raises(kind):
                async with transport.stream(request):
                    pytest.fail("opened")
