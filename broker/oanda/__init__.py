"""The client of OANDA's v20 API (docs/oanda.md).

`Transport` carries requests, `PriceFeed` follows prices, `Account` sends orders and follows the transaction log.
"""

from broker.oanda.access import LIVE, PRACTICE, Access, Hosts, Secret, hosts_of
from broker.oanda.account import Account, OrderLimits
from broker.oanda.events import (
    Accepted,
    Adopted,
    Alarm,
    Doubted,
    Ended,
    Event,
    Filled,
    Listener,
    Noted,
    Outcome,
)
from broker.oanda.failures import Denied, Lost, StreamLost, Unauthorised, Unavailable, Unsent
from broker.oanda.feed import Backfill, Down, FeedEvent, FeedWaits, Gap, PriceFeed
from broker.oanda.history import GRANULARITIES, candles, instruments
from broker.oanda.keeping import KeeperWaits
from broker.oanda.orderlog import OrderLog
from broker.oanda.pacing import TokenBucket
from broker.oanda.recording import Recorder
from broker.oanda.transport import Answer, Pace, Transport, Waits
from broker.oanda.wire import Beat, Candle, Price

__all__ = [
    "GRANULARITIES",
    "LIVE",
    "PRACTICE",
    "Accepted",
    "Access",
    "Account",
    "Adopted",
    "Alarm",
    "Answer",
    "Backfill",
    "Beat",
    "Candle",
    "Denied",
    "Doubted",
    "Down",
    "Ended",
    "Event",
    "FeedEvent",
    "FeedWaits",
    "Filled",
    "Gap",
    "Hosts",
    "KeeperWaits",
    "Listener",
    "Lost",
    "Noted",
    "OrderLimits",
    "OrderLog",
    "Outcome",
    "Pace",
    "Price",
    "PriceFeed",
    "Recorder",
    "Secret",
    "StreamLost",
    "TokenBucket",
    "Transport",
    "Unauthorised",
    "Unavailable",
    "Unsent",
    "Waits",
    "candles",
    "hosts_of",
    "instruments",
]
