"""The fault plane over REST: what is done, what is answered, and that a seed repeats it."""

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from broker.emulator import Faults
from broker.emulator.faults import CHANCES
from broker.errors import BadInput
from tests.broker.emulator.served import Client, new_exchange, served, still_file


async def outcome(client: Client, units: int) -> str:
    """What a client sees of an order: a status, or that the connection broke, or that it can't be read."""
    try:
        status, said = await client.order(units)
    except aiohttp.ContentTypeError:
        return "html or garbled"
    except ValueError:
        return "half"
    except aiohttp.ClientConnectionError:
        return "broken"
    return f"{status} {'fill' if 'orderFillTransaction' in said else said['errorMessage'][:7]}"


@pytest.mark.parametrize(
    ("fault", "seen", "done"),
    [
        ("lost", "broken", True), ("unsent", "broken", False), ("limited", "429 Rate li", False),
        ("html", "html or garbled", False), ("garbled", "html or garbled", True),
    ],
)  # fmt: skip
async def test_each_fault_does_what_it_says(fault: str, seen: str, done: bool, tmp_path: Path) -> None:
    """Whether the deed was done is independent of what the client hears."""
    async with served(new_exchange([still_file(tmp_path)])) as client:
        await client.control("faults", next={fault: 1})
        assert await outcome(client, 7) == seen
        assert (client.emulator.exchange.account.state.position("EUR_USD") == 7) is done
        assert await outcome(client, 5) == "201 fill"


async def test_unavailable_is_json_with_a_server_error(tmp_path: Path) -> None:
    """503 or 504, as at week-end maintenance."""
    async with served(new_exchange([still_file(tmp_path)])) as client:
        await client.control("faults", next={"unavailable": 1})
        status, said = await client.call("GET", "/summary")
        assert status in (503, 504)
        assert said == {"errorMessage": "Timeout waiting for response."}


async def test_a_late_answer_is_of_what_was_done_at_once(tmp_path: Path) -> None:
    """The order is filled before the answer comes."""
    async with served(new_exchange([still_file(tmp_path)])) as client:
        await client.control("faults", next={"late": 1}, late_s=30)
        with pytest.raises(TimeoutError):
            await client.call("POST", "/orders", _market(3), timeout=aiohttp.ClientTimeout(total=0.2))
        assert client.emulator.exchange.account.state.position("EUR_USD") == 3


async def test_reads_may_lag_behind_writes(tmp_path: Path) -> None:
    """For a while the account is read as it was before a request, though that was answered; but not by number."""
    async with served(new_exchange([still_file(tmp_path)])) as client:
        await client.control("faults", read_lag_s=1000)
        _, said = await client.order(kind="LIMIT", price="1.0", clientExtensions={"id": "x"})
        number = said["orderCreateTransaction"]["id"]
        for path in (f"/orders/{number}", "/orders/@x"):
            assert (await client.call("GET", path))[0] == 404
        assert (await client.get("/pendingOrders"))["orders"] == []
        account = await client.get("")
        assert (account["account"]["orders"], account["lastTransactionID"]) == ([], "2")
        since = await client.get("/transactions/sinceid", id="0")
        assert (len(since["transactions"]), since["lastTransactionID"]) == (2, "2")
        changes = await client.get("/changes", sinceTransactionID=number)
        assert (changes["changes"]["transactions"], changes["state"]["orders"]) == ([], [])
        assert (await client.get(f"/transactions/{number}"))["transaction"]["id"] == number
        await client.control("faults", read_lag_s=0)
        assert (await client.call("GET", "/orders/@x"))[0] == 200


async def test_the_token_can_be_revoked(tmp_path: Path) -> None:
    """401 until it counts again."""
    async with served(new_exchange([still_file(tmp_path)])) as client:
        await client.control("faults", revoked=True)
        assert (await client.call("GET", "/summary"))[0] == 401
        await client.control("faults", clear=True)
        assert (await client.call("GET", "/summary"))[0] == 200


async def test_connections_can_be_refused(tmp_path: Path) -> None:
    """New ones, for a while; then the same port answers again."""
    async with served(new_exchange([still_file(tmp_path)])) as client:
        await client.control("faults", next={"refuse": 1}, refuse_s=0.3)
        await client.get("/summary")

        async def ask() -> int:
            async with aiohttp.ClientSession() as other, other.get(f"{client.where['rest']}/v3/accounts") as response:
                return response.status

        refused = 0
        for _ in range(2000):
            try:
                assert await ask() == 401
                if refused:
                    break
            except aiohttp.ClientConnectionError:
                refused += 1
        assert refused > 0
        assert (await client.call("GET", "/summary"))[0] == 200


async def test_a_seed_repeats_its_faults(tmp_path: Path) -> None:
    """The same requests meet the same faults; another seed brings others."""

    async def run(seed: int) -> tuple[list[str], Any]:
        faults = Faults.parse(f"seed={seed},lost=0.2,unsent=0.2,limited=0.2,html=0.1,garbled=0.1")
        async with served(new_exchange([still_file(tmp_path)]), faults) as client:
            seen = [await outcome(client, 1) for _ in range(30)]
            return seen, client.emulator.exchange.account.state.position("EUR_USD")

    first, again, other = await run(1), await run(1), await run(2)
    assert first == again != other
    assert {"broken", "429 Rate li", "201 fill"} <= set(first[0])


def test_faults_are_checked() -> None:
    """An unknown name or an impossible chance is refused, and nothing changes."""
    faults = Faults.parse("lost=0.5")
    for wrong in (
        {"lost": 2},
        {"none": 0.1},
        {"late_s": -1},
        {"next": {"late_s": 1}},
        {"next": {"lost": -1}},
        {"lost": "x"},
    ):
        with pytest.raises(ValueError, match=r"\w"):
            faults.change(wrong)
    assert faults.shown()["lost"] == 0.5
    for text in ("lost=2", "lost", "x=1", "{", '{"lost": []}'):
        with pytest.raises(BadInput):
            Faults.parse(text)
    assert Faults.parse('{"next": {"lost": 1}}').hits("lost")
    assert all(text for text in CHANCES.values())


def _market(units: int) -> Any:
    return {"order": {"type": "MARKET", "instrument": "EUR_USD", "units": units}}
