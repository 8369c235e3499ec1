"""An entry counts on what was sent before it: it leaves only when that has ended as it should."""

import pytest

from broker.oanda import Ended
from tests.broker.oanda.desk import Desk
from tests.broker.oanda.rig import EUR_USD, entry, leave, order, rig
from tests.broker.oanda.virtual import run


@pytest.mark.parametrize(
    ("fault", "reason", "held"),
    [
        ("late:3", "", -1000),
        ("lose", "unresolved", 0),
        ("status:503", "unresolved", 1000),
        ("bad:NO", "not_flat", 1000),
    ],
)
def test_an_entry_waits_for_the_exit_before_it(fault: str, reason: str, held: int) -> None:
    """Else an exit that is lost or refused leaves a position that the entry adds to (faults of the service, seed 2)."""

    async def main() -> None:
        async with rig(Desk()) as made:
            made.account.submit(entry(1))
            await made.until(lambda: made.account.position(EUR_USD) == 1000)
            made.desk.script, made.desk.deaf = [fault], True
            made.account.submit(leave(2, -1000))
            made.account.submit(entry(3, -1000))
            await made.until(lambda: not made.log.open())
            rejected = {one.cancel.order_id: one.cancel.reason for one in made.heard.of(Ended)}
            assert rejected.get("mt-test-3", "") == reason
            assert made.units() == held

    run(main)


@pytest.mark.parametrize("slow", [False, True])
def test_a_reversal_never_adds(slow: bool) -> None:
    """Where the reversal before it was refused, one back would add to the position that is still there; also where
    the refusal came while the disk still took down the one back (faults of the service, seed 16)."""

    async def main() -> None:
        async with rig(Desk()) as made:
            made.account.submit(entry(1))
            await made.until(lambda: made.account.position(EUR_USD) == 1000)
            waiting = []

            async def durable() -> None:
                waiting.append(1)
                if slow and len(waiting) == 2:
                    await made.until(lambda: made.heard.of(Ended))

            made.log.durable = durable
            made.desk.script = ["bad:NO"]
            made.account.submit(order(2, -2000, reason="reverse"))
            made.account.submit(order(3, 2000, reason="reverse"))
            await made.until(lambda: not made.log.open())
            assert [one.cancel.reason for one in made.heard.of(Ended)] == ["NO", "not_flat"]
            assert made.units() == 1000

    run(main)
