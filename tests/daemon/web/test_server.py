"""The API over loopback: who gets in, what is asked, what is answered."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.errors import BadInput, Refused
from daemon.web import Health, Hub, Metrics, Order, Query, Web
from daemon.web.routes import COMMANDS, V1, VIEWS, openapi
from daemon.web.server import PIECE, in_pieces

TOKEN = "a-token-of-the-tests-0123456789"
GETS = ["/health/ready", "/metrics", f"{V1}/events", f"{V1}/openapi.json", *(f"{V1}/{name}" for name in VIEWS)]
POSTS = [f"{V1}/{name}" for name in COMMANDS]


class Desk:
    """An office that keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Query | Order] = []
        self.now = Health(True)

    def health(self) -> Health:
        """As set."""
        return self.now

    async def view(self, name: str, query: Query) -> dict[str, Any]:
        """Nothing of everything that is promised."""
        self.asked.append(query)
        empty = {"string": "", "integer": 0, "number": 0.0, "boolean": False, "array": [], "object": {}}
        kinds = {key: schema["type"] for key, schema in VIEWS[name].holds.items()}
        return {key: None if isinstance(kind, list) else empty[kind] for key, kind in kinds.items()}

    async def act(self, order: Order) -> dict[str, Any]:
        """Refuses one version, knows no other."""
        self.asked.append(order)
        if order.version == "not-there":
            raise BadInput("no model not-there", where="version", mend="see models")
        if order.command == "rollback":
            raise Refused("no model was best before")
        if order.command == "reload":
            raise RuntimeError("secret details")
        return {"state": order.command}


class Client:
    """A session with the server, and the desk behind it."""

    def __init__(self, url: str, session: aiohttp.ClientSession, desk: Desk, hub: Hub, web: Web) -> None:
        self.url, self.session, self.desk, self.hub, self.web = url, session, desk, hub, web

    async def __call__(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        """Status and document of a request with the token."""
        options.setdefault("headers", {"Authorization": f"Bearer {TOKEN}"})
        async with self.session.request(method, self.url + path, **options) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if answer.content_type == "application/json" else text


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """A server of its own for each test."""
    desk, hub = Desk(), Hub()
    web = Web(desk, hub, Metrics(), TOKEN, "127.0.0.1", 0, frozenset({"box.example"}))
    url = await web.start()
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        yield Client(url, session, desk, hub, web)
    await web.close()


@pytest.mark.parametrize(
    "given", ["", "Bearer", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", "Bearer é"]
)
async def test_nothing_answers_without_the_token(client: Client, given: str) -> None:
    """Every route but liveness and the page wants the whole token, and says so."""
    headers = {"Authorization": given} if given else {}
    for method, paths in (("GET", GETS), ("POST", POSTS)):
        for path in paths:
            status, said = await client(method, path, headers=headers)
            assert (status, said["error"]["where"]) == (401, "Authorization"), path
    assert client.desk.asked == []
    assert (await client("GET", "/health/live", headers=headers))[0] == 200
    assert (await client("GET", "/", headers=headers))[0] == 200


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("Host", "evil.example", 421),
        ("Host", "127.0.0.1:1", 421),
        ("Host", "box.example", 200),
        ("Host", "box.example:80", 200),
        ("Origin", "http://evil.example", 403),
        ("Origin", "null", 403),
    ],
)
async def test_pages_of_other_sites_are_kept_out(client: Client, name: str, value: str, status: int) -> None:
    """A name that is not ours (DNS rebinding) and another site's origin are refused, token or not."""
    headers = {"Authorization": f"Bearer {TOKEN}", name: value}
    assert (await client("GET", f"{V1}/status", headers=headers))[0] == status
    assert (await client("GET", "/", headers=headers))[0] == status


async def test_our_own_page_may_ask(client: Client) -> None:
    """Its origin is our address."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Origin": client.url}
    assert (await client("POST", f"{V1}/pause", headers=headers))[0] == 200


async def test_every_answer_keeps_scripts_out(client: Client) -> None:
    """The headers that keep a browser from running or framing anything are there, on errors too."""
    for path in ("/", f"{V1}/status", "/nowhere"):
        async with client.session.get(client.url + path) as answer:
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            assert "unsafe" not in answer.headers["Content-Security-Policy"]
            assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_views_take_rows_and_instrument(client: Client) -> None:
    """Limit and instrument reach the office; what is none is refused with its name."""
    assert (await client("GET", f"{V1}/trades?limit=7&instrument=EUR_USD"))[0] == 200
    assert client.desk.asked == [Query(7, "EUR_USD")]
    for query in ("limit=0", "limit=1001", "limit=x", "instrument=eurusd", "instrument=", "offset=1", "limit=%D9%A3"):
        status, said = await client("GET", f"{V1}/trades?{query}")
        assert (status, said["error"]["where"]) == (400, f"?{query.partition('=')[0]}")
    assert (await client("GET", f"{V1}/status?limit=3"))[0] == 400


async def test_commands_carry_who_and_why(client: Client) -> None:
    """Both are handed on; without a body it was the API, without a reason."""
    assert (await client("POST", f"{V1}/pause", json={"who": "anna", "reason": "news at 14:30"})) == (
        200,
        {"command": "pause", "done": True, "state": "pause"},
    )
    assert (await client("POST", f"{V1}/swap", json={"version": "3d26e9c4"}))[0] == 200
    assert (await client("POST", f"{V1}/halt"))[0] == 200
    assert client.desk.asked == [
        Order("pause", "anna", "news at 14:30"),
        Order("swap", "api", "", "3d26e9c4"),
        Order("halt", "api", ""),
    ]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("swap", {"version": "not-there"}, 400),
        ("swap", {}, 400),
        ("swap", {"version": "../../etc"}, 400),
        ("pause", {"version": "3d26e9c4"}, 400),
        ("pause", {"who": "a b"}, 400),
        ("pause", {"reason": "x" * 201}, 400),
        ("pause", {"reason": "line\nbreak"}, 400),
        ("pause", {"reason": 7}, 400),
        ("pause", {"reason": "\ud800"}, 400),
        ("pause", [1], 400),
        ("rollback", {}, 409),
        ("reload", {}, 500),
    ],
)
async def test_what_is_refused(client: Client, path: str, body: Any, status: int) -> None:
    """Each refusal is a document with what is wrong; a bug's details stay in the log.

    Half of a surrogate pair is no text: the journal could not write it, and the daemon would end.
    """
    got, said = await client("POST", f"{V1}/{path}", json=body)
    assert (got, set(said["error"])) == (status, {"what", "where", "mend"})
    assert "secret" not in json.dumps(said)


async def test_methods_and_paths_that_are_none(client: Client) -> None:
    """404 and 405, as documents too; a body that is too large or no JSON is refused."""
    assert (await client("GET", f"{V1}/nothing"))[0] == 404
    assert (await client("DELETE", f"{V1}/status"))[0] == 405
    assert (await client("GET", f"{V1}/pause"))[0] == 405
    assert (await client("GET", "/static/../server.py"))[0] == 404
    assert (await client("POST", f"{V1}/pause", data=b"{" * 20_000))[0] == 413
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    assert (await client("POST", f"{V1}/pause", data=b"{", headers=headers))[0] == 400
    assert (await client("POST", f"{V1}/pause", data=b"\xff\x11", headers=headers))[0] == 400
    assert (await client("POST", f"{V1}/pause", data=b"[" * 10_000, headers=headers))[0] == 400
    assert (await client("POST", f"{V1}/pause", data="x"))[0] == 415


async def test_readiness_is_a_status(client: Client) -> None:
    """503 with the reason while ticks or orders are not alive."""
    assert await client("GET", "/health/ready") == (200, {"ready": True, "why": ""})
    client.desk.now = Health(False, "no price for 30 s")
    assert await client("GET", "/health/ready") == (503, {"ready": False, "why": "no price for 30 s"})


async def test_events_arrive_and_can_be_caught_up_on(client: Client) -> None:
    """Each event reaches a listener once, in order; who comes back is told what it missed."""

    async def listen(events: int, **headers: str) -> list[dict[str, str]]:
        found: list[dict[str, str]] = []
        headers["Authorization"] = f"Bearer {TOKEN}"
        async with client.session.get(f"{client.url}{V1}/events", headers=headers) as answer:
            assert answer.content_type == "text/event-stream"
            event: dict[str, str] = {}
            async for line in answer.content:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name and value and name != "":
                    event[name] = value
                elif event.pop("", None) is not None or event:
                    found.append(event)
                    event = {}
                if len(found) == events:
                    return found
        return found

    first = asyncio.create_task(listen(2))
    while client.hub.listeners < 1:  # noqa: ASYNC110 - the server has no event for it
        await asyncio.sleep(0.01)
    for number in range(3):
        client.hub.publish("decision", {"seq": number})
    assert [json.loads(event["data"])["seq"] for event in await first] == [0, 1]
    again = await listen(2, **{"Last-Event-ID": "1"})
    assert [(event["id"], event["event"]) for event in again] == [("2", "decision"), ("3", "decision")]
    assert (await client("GET", f"{V1}/events", headers={"Authorization": f"Bearer {TOKEN}", "Last-Event-ID": "x"}))[
        0
    ] == 400


async def test_the_document_and_the_routes_are_one(client: Client) -> None:
    """Each route that answers is in the OpenAPI file and the other way round; views answer as it says."""
    status, said = await client("GET", f"{V1}/openapi.json")
    assert (status, said) == (200, openapi(said["info"]["version"]))
    served = {
        (route.method.lower(), route.resource.canonical)
        for route in client.web.app().router.routes()
        if route.resource is not None and not route.resource.canonical.startswith("/static/") and route.method != "HEAD"
    }
    assert served == {(method, path) for path, methods in said["paths"].items() for method in methods}
    for name in VIEWS:
        status, document = await client("GET", f"{V1}/{name}")
        schema = said["paths"][f"{V1}/{name}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        assert set(schema["required"]) <= document.keys()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["reason", "who", "version"]) | st.text(), inner),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from(POSTS + GETS + ["/"]),
    body=JSON,
    query=st.dictionaries(st.sampled_from(["limit", "x"]), st.text()),
)
def test_whatever_is_sent(path: str, body: Any, query: dict[str, str]) -> None:
    """No request makes the server fail; whatever is refused is a document."""

    async def ask() -> None:
        desk = Desk()
        web = Web(desk, Hub(), Metrics(), TOKEN, "127.0.0.1", 0, frozenset())
        url = await web.start()
        headers = {"Authorization": f"Bearer {TOKEN}"}
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.post(url + path, json=body, params=query, headers=headers) as answer,
            ):
                assert answer.status in {200, 400, 405, 409} or (path.endswith("reload") and answer.status == 500)
                if answer.status != 200:
                    assert set((await answer.json())["error"]) == {"what", "where", "mend"}
        finally:
            await web.close()

    asyncio.run(ask())


async def test_addresses_that_will_not_do(client: Client) -> None:
    """A port that is taken; an address that others reach without a word of who may call."""
    made: Callable[..., Web] = lambda **more: Web(Desk(), Hub(), Metrics(), TOKEN, **more)  # noqa: E731
    with pytest.raises(BadInput, match="can't listen"):
        await made(host="127.0.0.1", port=client.web.port, hosts=frozenset()).start()
    with pytest.raises(BadInput, match="open to other machines"):
        made(host="0.0.0.0", port=0, hosts=frozenset())


VALUES = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False), st.text(), st.lists(st.integers(), max_size=3 * PIECE)
)


@given(st.dictionaries(st.text(max_size=5), VALUES))
def test_a_long_answer_is_made_in_pieces(document: dict[str, Any]) -> None:
    """It is the same text, and between its pieces the event loop has a turn."""

    async def made() -> tuple[str, int]:
        writing, turns = asyncio.create_task(in_pieces(document)), 0
        while not writing.done():
            await asyncio.sleep(0)
            turns += 1
        return writing.result(), turns

    text, turns = asyncio.run(made())
    assert text == json.dumps(document)
    assert turns >= sum(-(-len(value) // PIECE) for value in document.values() if isinstance(value, list))
