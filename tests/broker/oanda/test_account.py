"""The account: each order ends once, each transaction counts once, and an answer that is lost is never guessed."""

import asyncio

import pytest

from broker.errors import BadInput
from broker.oanda import Adopted, Alarm, Doubted, Ended, Filled, Noted, OrderLimits, Outcome
from tests.broker.oanda.desk import Desk
from tests.broker.oanda.rig import EUR_USD, LIMITS, Rig, database, entry, leave, order, rig
from tests.broker.oanda.virtual import run


def outcome(made: Rig, n: int) -> Outcome:
    """What became of an order, by the log."""
    intent = made.log.intent(f"mt-test-{n}")
    assert intent is not None
    return intent.outcome


def test_an_entry_is_filled_and_its_stop_seen() -> None:
    """201 is not a fill: the fill comes from the transactions, the stop is seen in them, and the position follows."""

    async def main() -> None:
        async with rig(Desk()) as made:
            made.account.submit(entry(1))
            await made.until(lambda: made.heard.of(Filled))
            filled = made.heard.of(Filled)[0]
            assert (filled.fill.order_id, filled.fill.units, filled.fill.price) == ("mt-test-1", 1000, 138689)
            assert (filled.fill.bid, filled.fill.ask, filled.external) == (138676, 138689, False)
            await made.until(lambda: made.account.book.state.trades[3].stop)
            assert made.account.book.state.trades[3].stop == 138689 - 300
            assert made.desk.posted[0]["stopLossOnFill"] == {"distance": "0.00300", "timeInForce": "GTC"}
            assert made.desk.posted[0]["priceBound"] == "1.38889"
            assert (made.account.position(EUR_USD), outcome(made, 1)) == (1000, Outcome.FILLED)
            made.account.submit(leave(2, -1000))
            await made.until(lambda: made.account.position(EUR_USD) == 0)
            assert made.desk.posted[1]["positionFill"] == "REDUCE_ONLY"
            assert made.heard.of(Alarm) == []

    run(main)


@pytest.mark.parametrize("fault", ["lose", "after:503", "half", "late:12"])
def test_a_lost_answer_is_resolved_from_the_log_and_never_resent(fault: str) -> None:
    """R9, R10: the order was executed, its answer lost: UNKNOWN, then FILLED, one POST in all."""

    async def main() -> None:
        async with rig(Desk()) as made:
            made.desk.deaf, made.desk.lag = True, 3
            made.desk.script = [fault]
            made.account.submit(entry(1))
            await made.until(lambda: made.heard.of(Doubted))
            made.account.submit(entry(2))
            assert made.heard.of(Ended)[-1].cancel.reason == "unresolved"
            made.desk.lag = 0
            await made.until(lambda: outcome(made, 1) is Outcome.FILLED)
            await made.until(lambda: made.account.ready)
            assert len(made.desk.posted) == 1
            assert made.account.position(EUR_USD) == made.units() == 1000

    run(main)


@pytest.mark.parametrize("fault", ["drop", "status:503", "throttle:1"])
def test_an_order_that_never_arrived_is_ended_and_not_sent_again(fault: str) -> None:
    """R10: the log does not know it after 15 s and a line of the stream: cancelled, and trading goes on."""

    async def main() -> None:
        async with rig(Desk()) as made:
            made.desk.script = [fault]
            made.account.submit(entry(1))
            await made.until(lambda: made.heard.of(Doubted))
            assert not made.account.ready
            began = asyncio.get_running_loop().time()
            await made.until(lambda: outcome(made, 1) is Outcome.CANCELLED)
            assert asyncio.get_running_loop().time() - began > 14
            assert made.desk.posted == []
            assert made.heard.of(Ended)[0].cancel.reason == "never_arrived"
            made.account.submit(entry(2))
            await made.until(lambda: outcome(made, 2) is Outcome.FILLED)

    run(main)


def test_an_order_that_arrives_after_all_is_booked_as_ours() -> None:
    """Even an order given up as never arrived is known when it shows: its fill counts, once, under its id."""

    async def main() -> None:
        async with rig(Desk()) as made:
            made.desk.script = ["drop"]
            made.account.submit(entry(1))
            await made.until(lambda: outcome(made, 1) is Outcome.CANCELLED)
            made.desk.add("MARKET_ORDER", instrument=EUR_USD, units="1000", clientExtensions={"id": "mt-test-1"})
            made.desk.fill(1000, {"tradeClientExtensions": {"id": "mt-test-1"}})
            await made.until(lambda: made.heard.of(Filled))
            assert (made.heard.of(Filled)[0].external, outcome(made, 1)) == (False, Outcome.FILLED)
            await made.until(lambda: made.desk.orders)
            assert [a.kind for a in made.heard.of(Alarm)] == ["stop_missing", "stop_restored"]

    run(main)


@pytest.mark.parametrize(
    ("fault", "expected", "reason"),
    [
        (["", "reject:INSUFFICIENT_MARGIN"], Outcome.REJECTED, "INSUFFICIENT_MARGIN"),
        (["", "cancel:MARKET_HALTED"], Outcome.CANCELLED, "MARKET_HALTED"),
        (["bad:UNITS_INVALID"], Outcome.REJECTED, "UNITS_INVALID"),
    ],
)
def test_every_answer_is_one_outcome(fault: list[str], expected: Outcome, reason: str) -> None:
    """R9: reject, cancel at 201 and 400 without a transaction each end the order once, with the broker's reason."""

    async def main() -> None:
        async with rig(Desk()) as made:
            made.desk.script = fault
            made.account.submit(entry(1))
            await made.until(lambda: made.heard.of(Ended))
            assert (outcome(made, 1), made.heard.of(Ended)[0].cancel.reason) == (expected, reason)
            await asyncio.sleep(60)
            assert len(made.heard.of(Ended)) == 1
            assert made.account.ready

    run(main)


def test_transactions_count_once_however_often_they_come() -> None:
    """R5: answer, stream, sinceid and changes all bring the same transactions; each is applied once, in order."""

    async def main() -> None:
        async with rig(Desk()) as made:
            for n in range(5):
                made.account.submit(entry(2 * n))
                await made.until(lambda: made.account.position(EUR_USD) == 1000)
                made.account.submit(leave(2 * n + 1, -1000))
                await made.until(lambda: made.account.position(EUR_USD) == 0)
                made.account.book.offer(made.desk.log)
                made.account.book.offer(reversed(made.desk.log))
            await asyncio.sleep(61)
            rows = made.db.execute("SELECT id FROM oanda_transactions ORDER BY id").fetchall()
            assert [row[0] for row in rows] == list(range(2, len(made.desk.log) + 1))
            fills = made.db.execute("SELECT fill FROM heard WHERE kind = 'Filled'").fetchall()
            assert len(fills) == len(set(fills)) == 10
            assert made.account.book.state.cursor == len(made.desk.log)

    run(main)


def test_a_gap_is_read_before_what_follows_it() -> None:
    """A transaction that arrives ahead of others waits until `sinceid` has brought them."""

    async def main() -> None:
        async with rig(Desk()) as made:
            made.desk.deaf = True
            made.desk.add("CLIENT_CONFIGURE")
            made.desk.fill(500)
            made.desk.deaf = False
            made.desk.add("CLIENT_CONFIGURE")
            await made.until(lambda: made.account.book.state.cursor == 4, 5)
            assert [e.transaction for e in made.heard.applied if isinstance(e, Filled | Noted)] == [2, 3, 4]

    run(main)


def test_reads_may_lag_writes() -> None:
    """hootnot#204: what GETs do not show yet is waited for, not taken for missing."""

    async def main() -> None:
        async with rig(Desk()) as made:
            made.desk.deaf, made.desk.lag, made.desk.script = True, 3, ["lose"]
            made.account.submit(entry(1))
            await asyncio.sleep(8)
            assert outcome(made, 1) is Outcome.UNKNOWN
            made.desk.lag = 0
            await made.until(lambda: outcome(made, 1) is Outcome.FILLED)
            await made.until(lambda: made.account.ready)
            assert made.account.position(EUR_USD) == 1000
            assert made.heard.of(Adopted) == []

    run(main)


def test_what_others_do_is_marked_external() -> None:
    """R22: foreign trades, financing, margin calls and closeouts are booked and marked, never taken for ours."""

    async def main() -> None:
        async with rig(Desk()) as made:
            made.desk.fill(700)
            made.desk.add("DAILY_FINANCING", financing="-1.5", accountBalance="99998.5")
            made.desk.add("MARGIN_CALL_ENTER")
            made.desk.add("NEVER_HEARD_OF", anything=[1])
            made.desk.fill(-700, reason="MARKET_ORDER_MARGIN_CLOSEOUT")
            await made.until(lambda: made.account.book.state.cursor == 6)
            first, last = made.heard.of(Filled)
            assert (first.external, first.fill.order_id, first.fill.reason) == (True, "", "external")
            assert (last.external, last.fill.reason) == (True, "risk")
            kinds = [(n.kind, str(n.amount)) for n in made.heard.of(Noted)]
            assert kinds == [("money", "-1.5"), ("margin_call", "0"), ("unknown", "0")]
            await made.until(lambda: not made.account.book.state.doubtful)
            assert str(made.account.book.state.balance) == "100000.0"

    run(main)


def test_a_difference_is_adopted_and_told() -> None:
    """The broker is right: where its trades differ from the log's, they are taken, and an event says so."""

    async def main() -> None:
        async with rig(Desk()) as made:
            made.desk.trades[77] = {"units": -300, "price": 138000, "instrument": EUR_USD}
            await made.until(lambda: made.heard.of(Adopted))
            assert made.heard.of(Adopted) == [Adopted(EUR_USD, 0, -300)]
            assert made.account.position(EUR_USD) == -300

    run(main)


@pytest.mark.parametrize(
    ("limits", "sent", "day", "reason"),
    [
        (LIMITS, order(1, 10_001), 2, "size"),
        (OrderLimits(10_000, 100, 20.0), order(1, 101), 0, "size"),
        (LIMITS, order(1, 1000, stop=0), 2, "no_stop"),
        (LIMITS, leave(1, -1000), 2, "position_gone"),
        (LIMITS, order(1, -2000, reason="reverse"), 2, "position_gone"),
    ],
)
def test_orders_are_checked_once_more(limits: OrderLimits, sent: object, day: int, reason: str) -> None:
    """Size, the first day's size, the stop and the position are checked inside the client, whoever decided."""

    async def main() -> None:
        async with rig(Desk(), limits=limits, day=day * 86_400 * 10**9) as made:
            made.account.submit(sent)  # type: ignore[arg-type]
            assert made.heard.of(Ended)[0].cancel.reason == reason
            await asyncio.sleep(1)
            assert made.desk.posted == []

    run(main)


def test_entries_need_a_live_stream_and_an_open_market() -> None:
    """R14: nothing new on stale or halted prices, or before the log agrees; an exit goes, without a bound."""

    async def main() -> None:
        async with rig(Desk()) as made:
            made.account.submit(entry(1))
            await made.until(lambda: made.account.position(EUR_USD) == 1000)
            made.desk.price(tradeable=False)
            await asyncio.sleep(0.1)
            made.account.submit(entry(2))
            made.desk.mute = True
            made.desk.cut("pricing")
            made.desk.cut("transactions")
            await asyncio.sleep(30)
            made.account.submit(entry(3))
            assert [e.cancel.reason for e in made.heard.of(Ended)] == ["halted", "stale"]
            made.account.submit(leave(4, -1000))
            await made.until(lambda: len(made.desk.posted) == 2)
            assert "priceBound" not in made.desk.posted[1]

    run(main)


def test_a_stream_that_dies_alone_is_noticed() -> None:
    """Lean#4045: each stream is watched by itself; after it comes back the log is read before it is trusted."""

    async def main() -> None:
        async with rig(Desk()) as made:
            made.desk.deaf = True
            made.desk.cut("transactions")
            await made.until(lambda: not made.account.ready)
            made.desk.fill(400)
            await made.until(lambda: made.account.ready)
            assert (made.account.position(EUR_USD), made.account.keeper.reconnects) == (400, 1)
            assert made.feed.reconnects == 0

    run(main)


def test_a_restart_goes_on_where_it_stopped() -> None:
    """State, cursor and open orders come from the database; what happened meanwhile is read, once."""

    async def main() -> None:
        desk, db = Desk(), database()
        async with rig(desk, db) as made:
            made.account.submit(entry(1))
            await made.until(lambda: made.account.position(EUR_USD) == 1000)
            desk.script = ["late:9"]
            made.account.submit(leave(2, -1000))
            await asyncio.sleep(0.01)
        desk.fill(50)
        async with rig(desk, db) as made:
            assert made.account.position(EUR_USD) == made.units() == 50
            assert outcome(made, 2) is Outcome.FILLED
            fills = db.execute("SELECT fill FROM heard WHERE kind = 'Filled'").fetchall()
            assert len(fills) == len(set(fills)) == 3
            with pytest.raises(BadInput, match="used before"):
                made.account.submit(entry(1))

    run(main)


def test_a_revoked_token_stops_trading_and_does_not_storm() -> None:
    """R11: 401 raises an alarm and nothing new goes out; it is asked again no faster than each minute."""

    async def main() -> None:
        async with rig(Desk()) as made:
            made.desk.token = "another"
            made.desk.cut("transactions")
            made.desk.cut("pricing")
            await asyncio.sleep(1)
            asked = len(made.desk.seen)
            await asyncio.sleep(600)
            assert len(made.desk.seen) - asked < 40
            assert {a.kind for a in made.heard.of(Alarm)} == {"unauthorised"}
            assert not made.account.ready
            made.desk.token = made.transport.access.token.reveal()
            await made.until(lambda: made.account.ready and made.feed.fresh(EUR_USD))

    run(main)


def test_accounts_of_another_kind_are_refused() -> None:
    """R1: hedging and MetaTrader accounts work otherwise than this program believes."""

    async def main(extra: dict[str, object]) -> None:
        desk = Desk()
        desk.account_extra = extra
        async with rig(desk):
            pytest.fail("started")

    for extra in ({"hedgingEnabled": True}, {"mt4AccountID": 7}):
        with pytest.raises(BadInput, match="not supported"):
            run(lambda extra=extra: main(extra))  # type: ignore[misc]


def test_a_log_shorter_than_remembered_is_never_taken() -> None:
    """What it holds was counted before: nothing is counted again, nothing new is opened, and a person is told."""

    async def main() -> None:
        async with rig(Desk()) as made:
            for _ in range(5):
                made.desk.fill(10)
            await made.until(lambda: made.account.book.state.cursor == 6)
            kept = made.desk.log[2:]
            del made.desk.log[2:]
            made.desk.cut("transactions")
            await asyncio.sleep(600)
            assert [a.kind for a in made.heard.of(Alarm)] == ["log"]
            assert (made.account.ready, made.account.book.state.cursor) == (False, 6)
            made.desk.log.extend(kept)
            await made.until(lambda: made.account.ready)
            assert len(made.heard.of(Filled)) == 5

    run(main)


def test_transactions_that_cannot_be_read_are_skipped_in_the_end() -> None:
    """A hole that no GET fills may not stop the account for ever: its word is taken, and told."""

    async def main() -> None:
        async with rig(Desk()) as made:
            made.desk.fill(30)
            hidden = made.desk.log[1]
            made.desk.deaf = True
            made.desk.fill(40)
            made.desk.log[2] = {**hidden, "id": "x"}
            made.desk.cut("transactions")
            await made.until(lambda: made.heard.of(Adopted), 900)
            assert (made.account.position(EUR_USD), made.account.book.state.cursor) == (70, 3)
            assert made.heard.of(Adopted) == [Adopted(EUR_USD, 30, 70)]

    run(main)


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
