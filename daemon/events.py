"""What happens to a trading session, and what it does: every value that enters a Desk, and every one that leaves it.

Inputs are all that ever reaches the session, in the order in which they are taken; outputs follow from them alone.
Prices are integer points, times ns since the Unix epoch, UTC.
"""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from broker.oanda import Event
from broker.types import Bar, Cancel, Fill, Order, Trade
from strategy.plugin import Choice, Observation
from strategy.risk import Limits


class Command(StrEnum):
    """What an operator may ask for.

    PAUSE vetoes entries; exits go on. REDUCE does so too, and closes each position at its next bar. FLATTEN closes all
    at once and pauses. HALT obeys the strategy no more, in entries nor exits; loss limits and stops still close. All
    last, over restarts, until RESUME.
    """

    PAUSE = "pause"
    RESUME = "resume"
    REDUCE = "reduce"
    FLATTEN = "flatten"
    HALT = "halt"


@dataclass(frozen=True, slots=True)
class Opened:
    """A run began: at a start, and with each UTC day.

    Attributes:
        time: its start; `run` names it in order ids `mt-<run>-<n>`.
    """

    time: int
    run: str


@dataclass(frozen=True, slots=True)
class Quoted:
    """A valid quote."""

    instrument: str
    time: int
    bid: int
    ask: int


@dataclass(frozen=True, slots=True)
class Beat:
    """The stream's clock reached `time`, and no quote before it is still to come."""

    time: int


@dataclass(frozen=True, slots=True)
class Missed:
    """Quotes of an instrument between these times never came."""

    instrument: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Backfilled:
    """A bar of candles that stands in for missed quotes: it feeds features and is never decided upon."""

    instrument: str
    bar: Bar


@dataclass(frozen=True, slots=True)
class Told:
    """What the broker's account said."""

    event: Event


@dataclass(frozen=True, slots=True)
class Holding:
    """A position as the broker shows it; `stop` and `take`: levels, 0 for none; `order` ours that opened it, or ""."""

    instrument: str
    units: int
    price: int
    stop: int
    take: int
    order: str


@dataclass(frozen=True, slots=True)
class Reconciled:
    """How the account stands at the broker, who is right: at a start, and after a difference.

    Attributes:
        balance: account currency.
        holdings: every open position, also in instruments that are not traded here.
        orders: ids of ours that may still fill.
    """

    time: int
    balance: Decimal
    holdings: tuple[Holding, ...]
    orders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Barred:
    """New exposure is barred, or no longer where `why` is "".

    Attributes:
        by: who says so: `stream`, `account`, or another part of the service.
        why: becomes the veto's reason.
    """

    time: int
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class Operator:
    """Somebody said what to do: `who` (a name, `api`, `signal`, `file`), and for what `reason`."""

    time: int
    command: Command
    who: str
    reason: str


@dataclass(frozen=True, slots=True)
class Activated:
    """Another model decides from now on; `model` is its version, `folder` where it lies."""

    time: int
    model: str
    folder: str


@dataclass(frozen=True, slots=True)
class Limited:
    """The limits of [risk], with the news of their file: at a start, with each UTC day, and where they are changed."""

    time: int
    limits: Limits


Input = Opened | Quoted | Beat | Missed | Backfilled | Told | Reconciled | Barred | Operator | Activated | Limited


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision: what was seen, chosen, meant to be held after it (-1, 0, 1), why it was vetoed, who decided."""

    seen: Observation
    choice: Choice
    target: int
    veto: str | None
    model: str


@dataclass(frozen=True, slots=True)
class Sent:
    """An order goes to the broker."""

    order: Order


@dataclass(frozen=True, slots=True)
class Finished:
    """An order's end."""

    order: Order
    end: Fill | Cancel


@dataclass(frozen=True, slots=True)
class Traded:
    """A completed trade, and the fill that completed it."""

    trade: Trade
    fill: Fill


Output = Decided | Sent | Finished | Traded


class Journal(Protocol):
    """Where inputs are written before they are applied, and outputs before they are acted on."""

    def take(self, event: Input) -> None:
        """An input that is about to be applied."""
        ...

    def put(self, output: Output) -> None:
        """An output of the input taken last."""
        ...

    def together(self) -> AbstractContextManager[None]:
        """An input and all that comes of it: on record whole, or not at all, and then nothing after it either."""
        ...

    async def durable(self) -> None:
        """Return once everything taken and put so far is on the disk.

        Raises:
            StorageFault: it never will be.
        """
        ...


class NoJournal:
    """Keeps nothing: for sessions whose inputs are on record elsewhere, as a tick file is."""

    def take(self, event: Input) -> None:
        """Pass over it."""

    def put(self, output: Output) -> None:
        """Pass over it."""

    def together(self) -> AbstractContextManager[None]:
        """Nothing belongs together."""
        return nullcontext()

    async def durable(self) -> None:
        """Nothing to wait for."""
