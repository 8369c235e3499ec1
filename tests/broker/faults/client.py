"""The trading client as a process of its own, with waits scaled down; started, and killed, by `processes`.

OANDA_TOKEN=... python -m tests.broker.faults.client DATABASE REST_URL LIFE [--settle]
"""

import argparse
import asyncio
import os
from pathlib import Path
from random import Random

from broker.clock import SystemClock
from broker.durable import Threaded, connect
from broker.oanda import Access, FeedWaits, Hosts, KeeperWaits, Pace, Secret, Waits
from tests.broker.faults.trader import Patience, Trader, Watched

ACCOUNT = "101-004-1000000-001"
WAITS = Waits(connect=1.0, answer=1.0, silence=2.0, retry_first=0.05, retry_longest=0.4)
PATIENCE = Patience(
    KeeperWaits(
        reconcile=1.0,
        doubt=0.2,
        settle=1.0,
        stop_patience=0.2,
        retry_first=0.05,
        retry_longest=0.5,
        healthy=2.0,
        barred=0.5,
    ),
    FeedWaits(retry_first=0.05, retry_longest=0.5, healthy=2.0, barred=0.5),
    pause=0.15,
)


async def main(database: Path, rest: str, life: str, settling: bool) -> None:
    """Trade until killed, or settle and end."""
    disk, dice, now = Threaded(connect(database)), Random(life), SystemClock().now
    access = Access(Secret(os.environ["OANDA_TOKEN"]), ACCOUNT, Hosts(rest, rest))
    transport = Watched(access, Pace.usual(), WAITS, dice, now)
    trader = Trader(transport, disk, life, PATIENCE, dice, now)
    try:
        await trader.run(trader.settle if settling else trader.trade)
    finally:
        await transport.close()
        disk.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("database", type=Path)
    parser.add_argument("rest")
    parser.add_argument("life")
    parser.add_argument("--settle", action="store_true")
    options = parser.parse_args()
    asyncio.run(main(options.database, options.rest, options.life, options.settle))
