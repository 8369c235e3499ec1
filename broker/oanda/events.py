"""What the account tells: each event comes from one transaction, and comes once."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from broker.types import Cancel, Fill


class Outcome(StrEnum):
    """What became of an order. SENDING until its answer is here; only the last three are ends."""

    SENDING = "sending"
    UNKNOWN = "unknown"
    PENDING = "pending"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"


ENDS = frozenset({Outcome.FILLED, Outcome.CANCELLED, Outcome.REJECTED})


@dataclass(frozen=True, slots=True)
class Filled:
    """An order or a held level was filled.

    Attributes:
        transaction: its id.
        fill: `order_id` is ours, or "" for a held level and for what is external.
        external: neither this program nor a level it set asked for it: a hand, another program, a margin closeout.
        client_id: of the order, or of the trade whose level it was; "" where it is external.
        opened: the trade it opened, 0 where it opened none.
        pnl, financing, balance: account currency.
        reason: OANDA's word for it.
    """

    transaction: int
    fill: Fill
    external: bool
    client_id: str
    opened: int
    pnl: Decimal
    financing: Decimal
    balance: Decimal
    reason: str


@dataclass(frozen=True, slots=True)
class Ended:
    """One of our orders ended without a fill; `transaction` is 0 where it never reached the account."""

    transaction: int
    cancel: Cancel


@dataclass(frozen=True, slots=True)
class Accepted:
    """One of our orders was created and waits for its end."""

    transaction: int
    client_id: str


@dataclass(frozen=True, slots=True)
class Doubted:
    """The answer to an order is lost: UNKNOWN, until the transaction log tells."""

    client_id: str
    instrument: str
    why: str


@dataclass(frozen=True, slots=True)
class Adopted:
    """The account differed from the ledger, and the account is right: an alarm."""

    instrument: str
    ours: int
    theirs: int


@dataclass(frozen=True, slots=True)
class Noted:
    """Anything else in the log: money moved, margin called, settings changed, a type we do not know.

    Attributes:
        kind: `money`, `margin_call`, `external_order`, `unknown`, `unreadable`, or `routine`.
        amount: account currency, 0 where nothing moved.
        parts: of it, what each instrument's position earned or paid.
    """

    transaction: int
    time: int
    kind: str
    type: str
    amount: Decimal = Decimal(0)
    parts: tuple[tuple[str, Decimal], ...] = ()


@dataclass(frozen=True, slots=True)
class Alarm:
    """For a person: `unauthorised`, `order_failed`, `stop_missing`, `stop_restored`, `level` or `log`."""

    kind: str
    text: str


Event = Filled | Ended | Accepted | Doubted | Adopted | Noted | Alarm


class Listener(Protocol):
    """Who hears the account's events, each once, in order."""

    def record(self, events: tuple[Event, ...]) -> None:
        """Hand in what is to be kept of them: it joins the transaction that moves the cursor past them."""
        ...

    def apply(self, events: tuple[Event, ...]) -> None:
        """Act on them; what is written meanwhile joins the same transaction.

        They are not durable yet: whatever leaves the process because of them must wait for that.
        """
        ...
