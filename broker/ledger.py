"""The ledger: fills become a position, and positions become trades with their AMDDP1 reward.

AMDDP1 (rules): the open position's pips are sampled at the quote that filled its entry, at each bar close and at the
quote that fills its close; `hwm = max(hwm, pnl)` from 0, `dd = hwm - pnl`, and where `dd` grew since the sample before,
the growth is added to `dd_sum`. `reward = pips - 0.01 dd_sum`, at least 0.01 for a winner (profit protection).
"""

from dataclasses import dataclass
from decimal import Decimal

from broker.errors import Fatal
from broker.rates import exchanged
from broker.types import Fill, Financing, Instrument, Order, Trade

DRAWDOWN_PENALTY = 0.01
PROFIT_PROTECTION = 0.01
EXTERNAL = "external"
"""The model of a position that is none of ours."""
_MONEY_DIGITS = 4


def amddp1(pips: float, dd_sum: float) -> float:
    """Reward of a completed trade, pips.

    >>> amddp1(2.0, 50.0), amddp1(0.1, 50.0), amddp1(-3.0, 10.0)
    (1.5, 0.01, -3.1)
    """
    reward = pips - DRAWDOWN_PENALTY * dd_sum
    return max(reward, PROFIT_PROTECTION) if pips > 0 else reward


@dataclass(slots=True)
class Excursion:
    """How far an open position has been from its best, in pips (AMDDP1).

    >>> e = Excursion()
    >>> for pnl in (-1.0, 2.0, 0.5, 1.0, 0.0): e.sample(pnl)
    >>> e.hwm, e.dd, e.dd_sum, e.dd_max
    (2.0, 2.0, 3.5, 2.0)
    """

    hwm: float = 0.0
    dd: float = 0.0
    dd_max: float = 0.0
    dd_sum: float = 0.0
    pnl: float = 0.0

    def sample(self, pnl: float) -> None:
        """Take in the pips that closing now would bring."""
        self.pnl = pnl
        self.hwm = max(self.hwm, pnl)
        dd = self.hwm - pnl
        if dd > self.dd:
            self.dd_sum += dd - self.dd
        self.dd = dd
        self.dd_max = max(self.dd_max, dd)


@dataclass(slots=True)
class Position:
    """An open position: one side, one entry.

    Attributes:
        financing, financing_quote: interest booked so far, in money's 0.0001 of the account's and the quote currency.
    """

    units: int
    open_time: int
    open_price: int
    model: str
    stop_price: int
    take_profit_price: int
    bars: int
    excursion: Excursion
    financing: int = 0
    financing_quote: int = 0

    @property
    def side(self) -> int:
        """1 long, -1 short."""
        return 1 if self.units > 0 else -1


class Ledger:
    """One instrument's position, from fills alone.

    Args:
        instrument: the pair.
        slippage_pips, commission_pips: what a market order and a completed trade cost; they belong to what the
            position would bring if closed now.
        conversion_fee: share of a profit taken by its conversion into the account's currency, or added to a loss.
    """

    def __init__(
        self,
        instrument: Instrument,
        *,
        slippage_pips: float = 0.0,
        commission_pips: float = 0.0,
        conversion_fee: Decimal = Decimal(0),
    ) -> None:
        self.instrument = instrument
        self.position: Position | None = None
        self._per_pip = instrument.points_per_pip
        self._slippage = -int(-slippage_pips * self._per_pip // 1)
        self._commission = commission_pips
        self._fee = conversion_fee

    @property
    def side(self) -> int:
        """Side held now: -1, 0, 1."""
        return self.position.side if self.position else 0

    @property
    def units(self) -> int:
        """Signed units held now."""
        return self.position.units if self.position else 0

    def open_pips(self, bid: int, ask: int) -> float:
        """Pips that a market order closing the position at this quote would bring, costs included; 0 when flat."""
        if self.position is None:
            return 0.0
        price = bid - self._slippage if self.position.units > 0 else ask + self._slippage
        return self._pips(self.position, price)

    def on_bar(self, bid: int, ask: int) -> None:
        """A bar closed while the position was open: sample its excursion at the quote known then."""
        if self.position is not None:
            self.position.bars += 1
            self.position.excursion.sample(self.open_pips(bid, ask))

    def on_fill(self, fill: Fill, order: Order | None, rate: Decimal | None, account: str) -> Trade | None:
        """Book a fill.

        Args:
            fill: what happened; `order` is what asked for it (None for a held level or the end).
            rate: account currency for one unit of the quote currency, or None where unknown.
            account: the account's currency.

        Returns:
            The trade that the fill completed, or None. A reversal completes one and opens another.

        Raises:
            Fatal: the fill would add to the position: one entry per position.
        """
        trade = None
        rest = fill.units
        if self.position is not None:
            if self.position.units * fill.units > 0:
                raise Fatal(f"fill {fill.order_id} of {fill.units} {fill.instrument} adds to an open position")
            closing = -self.position.units if abs(fill.units) >= abs(self.position.units) else fill.units
            trade = self._complete(self.position, fill, -closing, rate, account)
            rest = fill.units - closing
            self.position.units += closing
            if self.position.units == 0:
                self.position = None
        if rest:
            self._open(fill, order, rest)
        return trade

    def on_financing(self, said: Financing, account: str) -> None:
        """Interest was booked on the open position: a part of its trades' money, not of their pips."""
        if self.position is not None:
            amount = int(said.amount.scaleb(_MONEY_DIGITS))
            if said.currency == account:
                self.position.financing += amount
            else:
                self.position.financing_quote += amount

    def adopt(self, position: Position | None) -> None:
        """Take over what the broker holds: it is right."""
        self.position = position

    def add(self, fill: Fill) -> None:
        """Take over what the broker made of a fill on the side held, or while nothing was: nobody's trade."""
        before, price = self.units, self.position.open_price if self.position else 0
        units = before + fill.units
        mean = round((before * price + fill.units * fill.price) / units)
        self.position = Position(units, fill.time, mean, EXTERNAL, 0, 0, 0, Excursion())
        self.position.excursion.sample(self.open_pips(fill.bid, fill.ask))

    def _open(self, fill: Fill, order: Order | None, units: int) -> None:
        side = 1 if units > 0 else -1
        stop = order.stop_distance if order else 0
        take = order.take_profit_distance if order else 0
        self.position = Position(
            units=units,
            open_time=fill.time,
            open_price=fill.price,
            model=order.model if order else EXTERNAL,
            stop_price=fill.price - side * stop if stop else 0,
            take_profit_price=fill.price + side * take if take else 0,
            bars=0,
            excursion=Excursion(),
        )
        self.position.excursion.sample(self.open_pips(fill.bid, fill.ask))

    def _complete(self, held: Position, fill: Fill, units: int, rate: Decimal | None, account: str) -> Trade:
        pips = self._pips(held, fill.price)
        held.excursion.sample(pips)
        gross = Decimal(units * (fill.price - held.open_price)) * self.instrument.point
        cost = Decimal(str(self._commission)) * abs(units) * self.instrument.point * self.instrument.points_per_pip
        financing, pnl = self._financing(held, units, rate), gross - cost
        if rate is not None:
            pnl *= exchanged(pnl, rate, self._fee if account != self.instrument.quote else Decimal(0))
        return Trade(
            instrument=self.instrument.name,
            side=held.side,
            units=abs(units),
            open_time=held.open_time,
            open_price=held.open_price,
            close_time=fill.time,
            close_price=fill.price,
            pips=pips,
            pnl=pnl + financing if financing else pnl,
            currency=self.instrument.quote if rate is None else account,
            dd_sum=held.excursion.dd_sum,
            reward=amddp1(pips, held.excursion.dd_sum),
            bars=held.bars,
            model=held.model,
            exit_reason=fill.reason,
            stop_price=held.stop_price,
            take_profit_price=held.take_profit_price,
            financing=financing,
        )

    @staticmethod
    def _financing(held: Position, units: int, rate: Decimal | None) -> Decimal:
        """Take a part's share of the interest, in the currency of its profit."""
        mine, quoted = (amount * units // held.units for amount in (held.financing, held.financing_quote))
        held.financing -= mine
        held.financing_quote -= quoted
        return (mine + quoted * (1 if rate is None else rate)) * Decimal(1).scaleb(-_MONEY_DIGITS)

    def _pips(self, held: Position, price: int) -> float:
        return held.side * (price - held.open_price) / self._per_pip - self._commission
