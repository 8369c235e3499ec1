"""Seeded runs of all faults together: whatever the wire does, the books are right when it settles."""

import asyncio
from random import Random

import pytest

from broker.oanda import Doubted, Ended, Filled, Outcome
from tests.broker.oanda.desk import Desk
from tests.broker.oanda.rig import EUR_USD, Rig, database, entry, leave, rig
from tests.broker.oanda.virtual import run

WRITES = ["", "", "", "lose", "drop", "half", "late:3", "late:14", "after:502", "status:503", "throttle:2", "bad:NO"]
READS = ["", "", "", "drop", "half", "status:504", "late:4", "late:12", "throttle:1", "lose"]
LIMIT = 10_000


def disturb(desk: Desk, dice: Random) -> None:
    """One fault, or an end of one."""
    match dice.randrange(10):
        case 0 | 1:
            desk.cut(dice.choice(["transactions", "pricing"]))
        case 2:
            desk.say(dice.choice(["transactions", "pricing"]), b'{"type": "PRI')
        case 3:
            desk.deaf = not desk.deaf
        case 4:
            desk.mute = not desk.mute
        case 5:
            desk.gets = [dice.choice(READS) for _ in range(dice.randrange(8))]
        case 6:
            for message in dice.sample(desk.log, min(len(desk.log), 5)):
                desk.say("transactions", repr(message).replace("'", '"').encode() + b"\n")
        case 7:
            desk.say("transactions", b"<html>502</html>\n")
        case 8:
            desk.lag = dice.choice([0, 0, 1])
        case 9:
            desk.fill(dice.choice([-100, 100]))


def calm(desk: Desk) -> None:
    """Every fault ends."""
    desk.deaf = desk.mute = False
    desk.lag = 0
    desk.script, desk.gets = [], []
    desk.cut("transactions")
    desk.cut("pricing")


async def trade(made: Rig, dice: Random, numbers: range) -> None:
    """Orders at random times: entries while flat, exits while not, as a session would."""
    for n in numbers:
        await asyncio.sleep(dice.uniform(0.0, 20.0))
        if dice.random() < 0.7:
            disturb(made.desk, dice)
        made.desk.script = [dice.choice(WRITES)]
        open_orders = [i for i in made.log.open() if not i.order.id.endswith("bare")]
        if open_orders:
            continue
        held = made.account.position(EUR_USD)
        fresh = made.feed.fresh(EUR_USD) is not None
        made.account.submit(leave(n, -held) if held else entry(n, dice.choice([-1, 1]) * dice.randrange(1, LIMIT)))
        if not held and not fresh:
            last = made.heard.of(Ended)[-1].cancel
            assert (last.order_id, last.outcome) == (f"mt-test-{n}", "rejected"), "an entry while the stream is stale"


def check(made: Rig) -> None:
    """The ledger is the account's; every order ended once; every fill counted once; nothing was sent twice."""
    desk, ids = made.desk, [posted["clientExtensions"]["id"] for posted in made.desk.posted]
    assert len(ids) == len(set(ids)), "an order was doubled"
    assert made.account.position(EUR_USD) == made.units()
    assert made.account.book.state.cursor == len(desk.log)
    rows = made.db.execute("SELECT id, outcome FROM oanda_orders").fetchall()
    assert {outcome for _, outcome in rows} <= {"filled", "cancelled", "rejected"}, "an order was forgotten"
    executed = {m["clientExtensions"]["id"] for m in desk.log if m["type"] == "MARKET_ORDER"}
    assert {id_ for id_, outcome in rows if outcome == "filled"} <= executed <= {id_ for id_, _ in rows}
    fills = [r[0] for r in made.db.execute("SELECT fill FROM heard WHERE kind = 'Filled' ORDER BY n")]
    assert fills == [int(m["id"]) for m in desk.log if m["type"] == "ORDER_FILL"], "a fill was lost or counted twice"
    ours = [trade for trade in made.account.book.state.trades.values() if made.log.order(trade.client_id)]
    assert all(trade.stop_id for trade in ours), "a trade without its stop"


def peak(desk: Desk) -> int:
    """The largest position that the account ever held."""
    held = largest = 0
    for message in desk.log:
        if message["type"] == "ORDER_FILL":
            held += int(message["units"])
            largest = max(largest, abs(held))
    return largest


@pytest.mark.parametrize("seed", range(60))
def test_the_books_are_right_when_the_wire_calms(seed: int) -> None:
    """No order doubled or forgotten, no fill lost or counted twice, the limit kept, and trading goes on afterwards."""

    async def main() -> None:
        dice, desk, db = Random(seed), Desk(), database()
        for life in range(2):
            async with rig(desk, db, seed=seed) as made:
                await trade(made, dice, range(100 * life, 100 * life + 12))
                if life == 0:
                    calm(desk)
                    continue
                calm(desk)
                await asyncio.sleep(200)
                await made.until(lambda: made.account.ready and made.feed.fresh(EUR_USD))
                check(made)
                if held := made.account.position(EUR_USD):
                    made.account.submit(leave(998, -held))
                    await made.until(lambda: made.account.position(EUR_USD) == 0, 100)
                made.account.submit(entry(999))
                await made.until(lambda: made.account.position(EUR_USD) == 1000)
                assert peak(desk) <= LIMIT + 100 * sum(m["type"] == "ORDER_FILL" for m in desk.log)
                check(made)

    run(main)


def test_the_faults_do_bite() -> None:
    """The runs above are no fair weather: among them orders are doubted, resolved both ways, and streams lost."""
    ends: set[str] = set()
    doubts = reconnects = 0

    async def main(seed: int) -> None:
        nonlocal doubts, reconnects
        async with rig(Desk(), seed=seed) as made:
            await trade(made, Random(seed), range(20))
            calm(made.desk)
            await asyncio.sleep(200)
            doubts += len(made.heard.of(Doubted))
            reconnects += made.feed.reconnects + made.account.keeper.reconnects
            for doubted in made.heard.of(Doubted):
                intent = made.log.intent(doubted.client_id)
                assert intent is not None
                ends.add(intent.outcome)

    for seed in range(5):
        run(lambda seed=seed: main(seed))  # type: ignore[misc]
    assert doubts > 5
    assert reconnects > 20
    assert ends == {Outcome.FILLED, Outcome.CANCELLED}


def test_filled_events_carry_what_the_ledger_needs() -> None:
    """A fill's event names the order, the trade, the money and the quote; the cursor is past it."""

    async def main() -> None:
        async with rig(Desk()) as made:
            made.account.submit(entry(1, -500))
            await made.until(lambda: made.heard.of(Filled))
            event = made.heard.of(Filled)[0]
            assert (event.client_id, event.opened, event.reason) == ("mt-test-1", 3, "MARKET_ORDER")
            assert (str(event.balance), event.fill.units, event.fill.price) == ("100000.0", -500, 138676)
            cursor = made.db.execute("SELECT cursor FROM oanda_accounts").fetchone()[0]
            assert cursor >= event.transaction

    run(main)
