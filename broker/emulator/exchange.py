"""The emulated exchange: one account, the recorded quotes shown to it, and who listens."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, TypeVar

from broker.account import Account, Price, Tier
from broker.account.closing import configure
from broker.account.views import price_json
from broker.calendar import near_weekend, week_close
from broker.emulator.history import History
from broker.emulator.indicative import indicative_quote
from broker.emulator.store import StateFile
from broker.errors import BadInput
from broker.types import Instrument

Json = dict[str, Any]
Result = TypeVar("Result")

TIER_UNITS = 10_000_000
"""Liquidity of each of the two tiers that a recorded quote stands for, as EUR_USD has; the second is a point worse."""


class Exchange:
    """Applies quotes and requests to the account, keeps them, and tells the listeners.

    Args:
        instruments: all that are known, those of the history with their files' precision.
        store: where the account survives a restart.
    """

    def __init__(
        self,
        account: Account,
        history: History,
        instruments: Mapping[str, Instrument],
        store: StateFile | None = None,
    ) -> None:
        self.account, self.history, self.instruments = account, history, dict(instruments)
        self.on_price: list[Callable[[str, Json], None]] = []
        self.on_transaction: list[Callable[[Json], None]] = []
        self._store, self._published = store, 0
        self._halted: set[str] = set()
        self._changed = False

    @property
    def now(self) -> int:
        """The emulated time, ns."""
        return self.account.now

    def start(self, balance: Decimal, margin_rate: Decimal | None = None) -> None:
        """Open the account, or take it up where the state file left it; show the first quote.

        Args:
            balance, margin_rate: of a new account; no rate of its own, and the instruments' count.

        Raises:
            BadInput: the state is another account's.
        """
        for name, instrument in self.instruments.items():
            bid, ask = indicative_quote(instrument)
            self.account.market.prices[name] = self._price(name, self.history.start, bid, ask)
        transactions, meta = self._store.read() if self._store is not None else ([], {})
        if transactions:
            self._resume(transactions, meta)
            return
        self.account.open(balance, self.history.next_time())
        if margin_rate is not None:
            configure(self.account, {"marginRate": str(margin_rate)})
        self.show_next()

    def _resume(self, transactions: list[Json], meta: Json) -> None:
        account = self.account
        if transactions[0]["accountID"] != account.account_id or transactions[0]["homeCurrency"] != account.market.home:
            raise BadInput(
                f"this is the state of account {transactions[0]['accountID']} in {transactions[0]['homeCurrency']}",
                where="--state",
                mend="name another file, or give --account and --currency as they were",
            )
        marks = {int(order): Decimal(mark) for order, mark in meta["marks"].items()}
        account.load(transactions, marks, int(meta["clock"]))
        self._published = len(transactions)
        self.history.shift = int(meta["shift"])
        self.history.seek(account.now)
        self._halted = set(meta["halted"])
        account.market.open = set(meta["open"])
        for name, (time, bids, asks) in meta["prices"].items():
            tiers = (tuple(Tier(Decimal(price), units) for price, units in side) for side in (bids, asks))
            if name in self.instruments:
                account.market.show(name, Price(int(time), *tiers))

    def show_next(self) -> str:
        """Show the next recorded quote; which instrument's it was."""
        history, place = self.history, self.history.next
        name: str = history.names[history.which[place]]
        time = int(history.time[place]) + history.shift
        history.next += 1
        self._show(name, self._price(name, time, int(history.bid[place]), int(history.ask[place])))
        return name

    def set_price(self, name: str, price: Price) -> None:
        """Show a price that is in no file; it opens the instrument unless that was halted by hand."""
        scale = 10 ** self.instruments[name].precision
        self.history.add(name, price.time, int(price.bid * scale), int(price.ask * scale))
        self._show(name, price)

    def next_free_time(self, name: str) -> int:
        """Now, or a millisecond after the instrument's last price if that is from now."""
        return max(self.now, self.account.market.prices[name].time + 1_000_000)

    def halt(self, name: str, halted: bool) -> None:
        """Stop or resume trading in an instrument, until told otherwise."""
        (self._halted.add if halted else self._halted.discard)(name)
        self.account.halt(name, halted)
        self.publish()
        self._tell(name)

    def advance(self, to: int) -> None:
        """Move the clock where no quote does."""
        self.account.advance(to)
        self.publish()

    def rest(self) -> None:
        """Close for the week-end what has no quotes in it; the next quote opens it again."""
        if not near_weekend(self.now, 0):
            return
        close = week_close(self.now)
        market = self.account.market
        for name in [name for name in market.open if market.prices[name].time <= close]:
            self.account.halt(name, True)
            self._tell(name)

    def do(self, action: Callable[[Account], Result], halted: bool = False) -> Result:
        """Carry out a client's request, as it stands or while everything is `halted`."""
        market = self.account.market
        tradeable = market.open
        market.open = set() if halted else tradeable
        try:
            return action(self.account)
        finally:
            market.open = tradeable
            self.publish()

    def price_json(self, name: str) -> Json:
        """ClientPrice of an instrument now."""
        market = self.account.market
        return price_json(self.account, name, market.prices[name], market.is_tradeable(name))

    def publish(self) -> None:
        """Keep what is new, then tell the listeners."""
        fresh = self.account.transactions[self._published :]
        if not fresh:
            return
        self._published += len(fresh)
        self.save(fresh)
        for said in fresh:
            for listener in self.on_transaction:
                listener(said)

    def save(self, fresh: list[Json] | None = None) -> None:
        """Write transactions, the clock and all that a restart needs."""
        if self._store is None:
            return
        market = self.account.market
        shown = (name for name in market.prices if name in market.open or name in self.history.names)
        prices = {name: _written(market.prices[name]) for name in shown}
        marks = {str(order): str(mark) for order, mark in self.account.marks().items()}
        meta: Json = {"clock": self.now, "shift": self.history.shift, "marks": marks, "prices": prices}
        meta.update(open=sorted(market.open), halted=sorted(self._halted))
        self._store.write(fresh or [], meta)

    def close(self) -> None:
        """Write the last state and close its file."""
        self.save()
        if self._store is not None:
            self._store.close()

    def _show(self, name: str, price: Price) -> None:
        if name not in self._halted:
            self.account.market.open.add(name)
        self.account.quote(name, price)
        self.publish()
        self._tell(name)

    def _tell(self, name: str) -> None:
        if self.on_price:
            said = self.price_json(name)
            for listener in self.on_price:
                listener(name, said)

    def _price(self, name: str, time: int, bid: int, ask: int) -> Price:
        exponent = -self.instruments[name].precision
        bids, asks = (
            tuple(Tier(Decimal(points + step * side).scaleb(exponent), TIER_UNITS) for step in (0, 1))
            for points, side in ((bid, -1), (ask, 1))
        )
        return Price(time, bids, asks)


def _written(price: Price) -> list[Any]:
    """A price as the state file has it: time, bids, asks."""
    return [price.time, *([(str(tier.price), tier.liquidity) for tier in side] for side in (price.bids, price.asks))]
