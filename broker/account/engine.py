"""The account's engine: writes transactions, moves time and prices, and does what they set off."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from broker.account.entities import DEPENDENTS, Json, Order, State, Trade
from broker.account.fills import fill
from broker.account.fold import apply
from broker.account.margin import measure
from broker.account.market import Market, Price
from broker.account.numbers import money, parse_time
from broker.account.rollover import DAYS_CHARGED, Interest, daily_financing, next_rollover, weekday_of
from broker.rfc3339 import rfc3339

_BUYS_BELOW = frozenset(("LIMIT", "TAKE_PROFIT"))
NEVER = (1 << 63) - 1


class Account:
    """One netting account, filled against the prices it is shown.

    Args:
        account_id: `{site}-{division}-{user}-{number}`.
        market: prices and conversions; the account alone shows it new prices.
        interest: what positions earn or pay at 17:00 New York.

    Attributes:
        near_stops: an entry whose stop lies within the spread is filled, and closed at the next price, as the paper
            broker does; OANDA cancels it.
    """

    def __init__(self, account_id: str, market: Market, interest: Interest | None = None) -> None:
        self.account_id, self.market, self.interest = account_id, market, interest or Interest()
        self.user_id = int(account_id.split("-")[2])
        self.state = State()
        self.transactions: list[Json] = []
        self.now = 0
        self.near_stops = False
        self._batch: str | None = None
        self._request: str | None = None
        self._expiries: dict[int, int] = {}
        self._rollover = NEVER

    def open(self, balance: Decimal, time: int) -> None:
        """Begin the account: its creation and its first money."""
        self.now, self._rollover = time, next_rollover(time)
        site, division, user, number = self.account_id.split("-")
        self.begin()
        self.emit(
            "CREATE",
            {
                "divisionID": int(division),
                "siteID": int(site),
                "accountUserID": int(user),
                "accountNumber": int(number),
                "homeCurrency": self.market.home,
            },
        )
        self.emit(
            "TRANSFER_FUNDS",
            {"amount": money(balance), "fundingReason": "CLIENT_FUNDING", "accountBalance": money(balance)},
        )

    def load(self, transactions: Iterable[Json], marks: Mapping[int, Decimal], time: int) -> None:
        """Fold what was written before; `marks` are what `marks()` gave, `time` the latest then."""
        for transaction in transactions:
            apply(self.state, transaction)
            self.transactions.append(transaction)
        for order in self.state.pending.values():
            order.mark = marks.get(order.id)
            self._note_expiry(order)
        self.now, self._rollover = time, next_rollover(time)

    def at(self, last: int) -> "Account":
        """The account as it was after transaction `last`, at the prices of now; not one to trade on."""
        past = Account(self.account_id, self.market, self.interest)
        past.load(self.transactions[:last], self.marks(), self.now)
        return past

    def marks(self) -> dict[int, Decimal]:
        """What pending orders remember besides transactions: trailing values, first prices."""
        return {order.id: order.mark for order in self.state.pending.values() if order.mark is not None}

    @property
    def next_id(self) -> int:
        """Id of the next transaction."""
        return len(self.transactions) + 1

    @property
    def last_id(self) -> str:
        """Id of the latest transaction."""
        return str(len(self.transactions))

    def begin(self, request: str | None = None) -> None:
        """Start a batch: what is written until the next shares a batchID and the client's request."""
        self._batch, self._request = None, request

    def emit(self, kind: str, said: Json) -> Json:
        """Write a transaction and do what it says."""
        number = str(self.next_id)
        self._batch = self._batch or number
        transaction: Json = {
            "id": number,
            "time": rfc3339(self.now),
            "userID": self.user_id,
            "accountID": self.account_id,
            "batchID": self._batch,
            **({"requestID": self._request} if self._request is not None else {}),
            "type": kind,
            **said,
        }
        apply(self.state, transaction)
        self.transactions.append(transaction)
        return transaction

    def add_order(self, kind: str, said: Json) -> Order:
        """Write an order's creation and start watching it."""
        order = self.state.orders[int(self.emit(f"{kind}_ORDER", said)["id"])]
        self._note_expiry(order)
        self._mark(order)
        return order

    def cancel(self, order: Order, reason: str, **more: str) -> Json:
        """Write an order's cancellation."""
        said: Json = {"orderID": str(order.id)}
        if order.client_id is not None:
            said["clientOrderID"] = order.client_id
        return self.emit("ORDER_CANCEL", {**said, "reason": reason, **more})

    def has_open_client_id(self, client_id: str | None) -> bool:
        """Whether an open trade has this id of the client's."""
        return client_id is not None and any(trade.client_id == client_id for trade in self.state.open.values())

    def quote(self, name: str, price: Price) -> None:
        """Show a newer price of an instrument, and do all that it sets off."""
        self.advance(price.time)
        self.market.show(name, price)
        if self.market.is_tradeable(name):
            self._trigger(name)
            self.check_margin()

    def halt(self, name: str, halted: bool) -> None:
        """Stop or resume trading in an instrument; a resumed one meets its pending orders at the price known."""
        if halted:
            self.market.open.discard(name)
        else:
            self.market.open.add(name)
            if name in self.market.prices:
                self._trigger(name)
                self.check_margin()

    def advance(self, to: int) -> None:
        """Move time, which never goes back: orders expire, and financing is paid, each when it is due."""
        if to >= self._rollover or self._expiries:
            while (due := min(self._rollover, *self._expiries.values(), NEVER)) <= to:
                self.now = max(self.now, due)
                for order_id in [order for order, when in self._expiries.items() if when <= due]:
                    del self._expiries[order_id]
                    if order_id in self.state.pending:
                        self.begin()
                        self.cancel(self.state.orders[order_id], "TIME_IN_FORCE_EXPIRED")
                if due == self._rollover:
                    self._pay(due)
        self.now = max(self.now, to)

    def try_now(self, order: Order) -> None:
        """Meet a new order with the market: fill it, cancel it, or leave it pending."""
        tradeable = self.market.is_tradeable(order.instrument)
        brief = order.details["timeInForce"] in ("FOK", "IOC")
        if order.kind == "MARKET":
            reason = fill(self, order)
            if reason is not None:
                self.cancel(order, reason)
        elif tradeable and self._is_triggered(order):
            self._fill_pending(order)
        if brief and order.id in self.state.pending:
            self.cancel(order, "TIME_IN_FORCE_EXPIRED" if tradeable else "MARKET_HALTED")
        self.check_margin()

    def check_margin(self) -> None:
        """Enter or leave a margin call; at half the margin used, close what can be closed."""
        state = self.state
        if not state.open:
            if state.margin_call_time is not None:
                self.begin()
                self.emit("MARGIN_CALL_EXIT", {})
            return
        equity = measure(state, self.market)
        if equity.closeout_percent >= 1:
            self._close_out()
            equity = measure(state, self.market)
        called = equity.call_percent >= 1
        if called != (state.margin_call_time is not None):
            self.begin()
            self.emit("MARGIN_CALL_ENTER" if called else "MARGIN_CALL_EXIT", {})

    def _close_out(self) -> None:
        for name in sorted({trade.instrument for trade in self.state.open.values()}):
            if not self.market.is_tradeable(name):
                continue
            self.begin()
            order = self.add_order(
                "MARKET",
                {
                    "instrument": name,
                    "units": str(-self.state.position(name)),
                    "timeInForce": "FOK",
                    "positionFill": "REDUCE_ONLY",
                    "marginCloseout": {"reason": "MARGIN_CHECK_VIOLATION"},
                    "reason": "MARGIN_CLOSEOUT",
                },
            )
            reason = fill(self, order)
            assert reason is None, reason

    def _pay(self, due: int) -> None:
        """Financing of a New York day."""
        days = DAYS_CHARGED.get(weekday_of(due), 0)
        if days and self.state.open:
            self.begin()
            self.emit("DAILY_FINANCING", daily_financing(self.state, self.market, self.interest, days))
        self._rollover = next_rollover(due)

    def _trigger(self, name: str) -> None:
        """Fill the pending orders that this price reaches, oldest first."""
        if not self.state.pending:
            return
        for order in self.state.pending_in(name):
            if order.id in self.state.pending and self._is_triggered(order):
                self.begin()
                self._fill_pending(order)

    def _fill_pending(self, order: Order) -> None:
        reason = fill(self, order)
        stays = order.kind in _BUYS_BELOW and reason in ("BOUNDS_VIOLATION", "INSUFFICIENT_LIQUIDITY")
        if reason is not None and not stays:
            self.cancel(order, reason)

    def _note_expiry(self, order: Order) -> None:
        life = order.details.get("timeInForce")
        if life == "GTD":
            self._expiries[order.id] = parse_time(order.details["gtdTime"])
        elif life == "GFD":
            self._expiries[order.id] = next_rollover(parse_time(order.time))

    def _side(self, order: Order) -> int:
        """1 where the order buys."""
        if order.kind in DEPENDENTS:
            assert order.trade_id is not None
            return -self.trade_of(order.trade_id).side
        return 1 if order.units > 0 else -1

    def trade_of(self, trade_id: int) -> Trade:
        """A trade, open or closed."""
        return self.state.trades[trade_id]

    def _reference(self, order: Order) -> Decimal:
        """The price that may trigger the order: the ask for buys and the bid for sells, unless it says otherwise."""
        price = self.market.prices[order.instrument]
        buys = self._side(order) > 0
        how = order.details.get("triggerCondition", "DEFAULT")
        if how == "MID":
            return price.mid
        asks = {"ASK": True, "BID": False, "INVERSE": not buys}.get(how, buys)
        return price.ask if asks else price.bid

    def _mark(self, order: Order) -> None:
        """Remember where the market stood when a trailing or if-touched order was made, or follow it."""
        if order.instrument not in self.market.prices:
            return
        if order.kind == "MARKET_IF_TOUCHED" and order.mark is None:
            order.mark = self._reference(order)
        elif order.kind == "TRAILING_STOP_LOSS":
            side, distance = self._side(order), Decimal(order.details["distance"])
            value = self._reference(order) + side * distance
            if order.mark is None or side * (value - order.mark) < 0:
                order.mark = value

    def _is_triggered(self, order: Order) -> bool:
        self._mark(order)
        price, side = self._reference(order), self._side(order)
        if order.kind == "TRAILING_STOP_LOSS":
            assert order.mark is not None
            return side * (price - order.mark) >= 0
        assert order.price is not None
        if order.kind in _BUYS_BELOW:
            return side * (price - order.price) <= 0
        if order.kind == "MARKET_IF_TOUCHED":
            assert order.mark is not None
            return price >= order.price if order.mark <= order.price else price <= order.price
        return side * (price - order.price) >= 0
