"""Who is let in, what is refused, and how errors and lists look."""

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from broker.emulator import Emulator, Settings
from broker.errors import BadInput
from tests.broker.emulator.served import ACCOUNT, TOKEN, new_exchange, served, still_file


async def test_the_token_is_required(tmp_path: Path) -> None:
    """401 without it, with another one and with rubbish, on paths that exist and on those that don't."""
    async with served(new_exchange([still_file(tmp_path)])) as client, aiohttp.ClientSession() as stranger:
        for path in ("/v3/accounts", f"/v3/accounts/{ACCOUNT}/pricing/stream?instruments=EUR_USD", "/nowhere"):
            for header in (
                {},
                {"Authorization": TOKEN},
                {"Authorization": "Bearer x"},
                {"Authorization": "Bearer \xe9"},
            ):
                async with stranger.get(client.where["rest"] + path, headers=header) as response:
                    assert response.status == 401
                    assert await response.json() == {"errorMessage": "Insufficient authorization to perform request."}


def test_only_loopback_unless_told_twice(tmp_path: Path) -> None:
    """An address that others can reach needs --host and --expose."""
    exchange = new_exchange([still_file(tmp_path)])
    for host in ("0.0.0.0", "::", "192.168.1.1", "example.org"):
        with pytest.raises(BadInput, match="open to other machines"):
            Emulator(exchange, Settings(token="x", host=host))
    with pytest.raises(BadInput, match="token"):
        Emulator(exchange, Settings(token=""))


def test_the_token_is_not_in_the_settings_text() -> None:
    """What prints or logs settings tells no secret."""
    assert "hush" not in repr(Settings(token="hush", control="hush"))


@pytest.mark.parametrize(
    "path",
    [
        "orders/..%2f..%2fx", "orders/%40a%2fb", "orders/%40a%0d%0aX-Evil:%201", "orders/1%3f", "orders/1%23",
        "orders/-1",
        "trades/%40%25", "trades/%E2%80%AE", "positions/EUR%2FUSD", "positions/eur_usd", "positions/..",
        "instruments/EUR_USD%0d%0a/candles", "transactions/1%0a", "transactions/%D9%A1", "transactions/1e3",
        "pricing?instruments=EUR_USD%0d%0aX:1", "pricing?instruments=../x", "pricing", "pricing?instruments=",
        "orders?ids=1,x", "orders?count=0", "orders?count=501", "orders?count=x", "orders?state=SOME",
        "orders?beforeID=x",
        "changes", "changes?sinceTransactionID=-1", "transactions?type=x", "transactions?type=AAA",
        "transactions?type=ORDER,", "transactions?from=yesterday",
        "transactions?pageSize=1001", "pricing/stream?instruments=NO_SUCH",
        "pricing/stream?instruments=EUR_USD&snapshot=x",
    ],
)  # fmt: skip
async def test_paths_and_headers_cannot_be_broken(path: str, tmp_path: Path) -> None:
    """Ids, names and parameters that are none are a 400 (or 404) with a message, and no header of theirs appears."""
    async with served(new_exchange([still_file(tmp_path)])) as client:
        url = URL(f"{client.where['rest']}/v3/accounts/{ACCOUNT}/{path}", encoded=True)
        async with client.session.get(url) as response:
            assert response.status in (400, 404)
            assert set(json.loads(await response.text())) <= {"errorMessage", "errorCode"}
            assert not {"X", "X-Evil"} & set(response.headers)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b"[" * 5000, b'{"order":NaN}', b'{"order":{"type":"MARKET"', b"{}"],
)
async def test_bodies_that_are_no_object_are_refused(body: bytes, tmp_path: Path) -> None:
    """A 400 without a transaction."""
    async with served(new_exchange([still_file(tmp_path)])) as client:
        async with client.session.post(f"{client.where['rest']}{client.account}/orders", data=body) as response:
            assert response.status == 400
            assert "errorMessage" in await response.json()
        assert client.emulator.exchange.account.last_id == "2"


async def test_other_accounts_methods_and_paths(tmp_path: Path) -> None:
    """403 for another account, 400 for what is none, 405 for a method, 404 for a path; always a message."""
    async with served(new_exchange([still_file(tmp_path)])) as client:
        for method, path, status in (
            ("GET", "/v3/accounts/101-004-1234567-002", 403),
            ("GET", "/v3/accounts/me", 400),
            ("DELETE", f"/v3/accounts/{ACCOUNT}", 405),
            ("POST", f"/v3/accounts/{ACCOUNT}/pricing", 405),
            ("GET", "/v3/instruments/EUR_USD/orderBook", 404),
            ("GET", "/v3/users/7", 403),
        ):
            got, said = await client.call(method, path)
            assert (got, set(said)) == (status, {"errorMessage"})


async def test_answers_carry_their_headers(tmp_path: Path) -> None:
    """RequestID always and in the transactions, Location for what was created, Link while a list goes on."""
    async with served(new_exchange([still_file(tmp_path)])) as client:
        url = f"{client.where['rest']}{client.account}/orders"
        asked: Any = {"order": {"type": "LIMIT", "instrument": "EUR_USD", "units": "1", "price": "1"}}
        for _ in range(3):
            async with client.session.post(url, json=asked, headers={"Host": "evil.example"}) as response:
                made = (await response.json())["orderCreateTransaction"]
                assert response.headers["Location"] == f"{url}/{made['id']}"
                assert response.headers["RequestID"] == made["requestID"]
        async with client.session.get(url, params={"count": "2"}) as response:
            page = await response.json()
            link = response.headers["Link"]
        assert [one["id"] for one in page["orders"]] == ["5", "4"]
        assert link.endswith('>; rel="next"')
        async with client.session.get(link[1:].split(">")[0]) as response:
            assert [one["id"] for one in (await response.json())["orders"]] == ["3"]
            assert "Link" not in response.headers


async def test_times_come_as_asked(tmp_path: Path) -> None:
    """RFC 3339 with nine decimals, or UNIX with nine; in answers and streams."""
    async with served(new_exchange([still_file(tmp_path)])) as client:
        headers = {"Accept-Datetime-Format": "UNIX"}
        _, said = await client.call("GET", "/transactions/1", headers=headers)
        assert said["transaction"]["time"] == "1398902400.000000000"
        said = await client.get("/transactions/1")
        assert said["transaction"]["time"] == "2014-05-01T00:00:00.000000000Z"
        url = f"{client.where['stream']}{client.account}/pricing/stream?instruments=EUR_USD"
        async with client.session.get(url, headers=headers) as response:
            assert json.loads(await response.content.readline())["time"] == "1398902400.000000000"


async def test_transactions_come_in_pages_and_by_type(tmp_path: Path) -> None:
    """Pages are links to ranges; the filter knows groups of types."""
    async with served(new_exchange([still_file(tmp_path)])) as client:
        for _ in range(3):
            await client.order()
        said = await client.get("/transactions", pageSize="3")
        assert (said["count"], len(said["pages"])) == (8, 3)
        found = []
        for page in said["pages"]:
            async with client.session.get(page) as response:
                found += (await response.json())["transactions"]
        assert [one["id"] for one in found] == [str(number) for number in range(1, 9)]
        orders = await client.get("/transactions/sinceid", id="2", type="ORDER")
        fills = await client.get("/transactions/sinceid", id="0", type="ORDER_FILL,CREATE")
        assert [len(one["transactions"]) for one in (orders, fills)] == [6, 4]


async def test_the_account_survives_a_restart(tmp_path: Path) -> None:
    """Orders, trades, trailing values, halts and the clock are in the state file."""
    files, state = [still_file(tmp_path)], tmp_path / "state.db"
    async with served(new_exchange(files, state)) as client:
        await client.order(trailingStopLossOnFill={"distance": "0.01"})
        await client.control("price", instrument="EUR_USD", bid="1.2", ask="1.2001")
        await client.order(kind="LIMIT", price="1.0", clientExtensions={"id": "mine"})
        await client.control("halt", instrument="EUR_USD", halted=True)
        before = await client.get("")
        clock = client.emulator.exchange.now
    async with served(new_exchange(files, state)) as client:
        assert await client.get("") == before
        assert client.emulator.exchange.now >= clock
        said = await client.get("/pricing", instruments="EUR_USD")
        assert (said["prices"][0]["tradeable"], said["prices"][0]["bids"][0]["price"]) == (False, "1.20000")
        await client.control("halt", instrument="EUR_USD", halted=False)
        await client.control("price", instrument="EUR_USD", bid="1.19", ask="1.1901")
        assert (await client.get("/openTrades"))["trades"] == []
        assert (await client.get("/orders/@mine"))["order"]["state"] == "PENDING"


def test_another_accounts_state_is_refused(tmp_path: Path) -> None:
    """A state file belongs to one account; a file of something else is none."""
    state = tmp_path / "state.db"
    exchange = new_exchange([still_file(tmp_path)], state)
    exchange.account.transactions[0]["accountID"] = "001-001-1-1"
    exchange.close()
    fresh = tmp_path / "other.db"
    fresh.write_text("not a database, but long enough to be read as one\n" * 9)
    with pytest.raises(BadInput, match="no state file"):
        new_exchange([still_file(tmp_path)], fresh)
