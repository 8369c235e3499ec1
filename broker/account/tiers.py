"""Price tiers: what an order takes of each, and the price that it pays for all."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from broker.account.numbers import ZERO


@dataclass(frozen=True, slots=True)
class Tier:
    """So many units can be had at this price."""

    price: Decimal
    liquidity: int


def walk(tiers: tuple[Tier, ...], units: int, bound: Decimal | None, endless: bool) -> list[tuple[Decimal, int]]:
    """What `units` (signed) take from the tiers, as (price, units) without sign; less where they or the bound end.

    Args:
        tiers: the best first.
        bound: the worst price.
        endless: the last tier has all that is needed.
    """
    left, taken = abs(units), []
    for place, tier in enumerate(tiers):
        worse = bound is not None and (tier.price > bound if units > 0 else tier.price < bound)
        if worse or not left:
            break
        some = left if endless and place == len(tiers) - 1 else min(left, tier.liquidity)
        left -= some
        if some:
            taken.append((tier.price, some))
    return taken


def mean_price(taken: list[tuple[Decimal, int]]) -> Decimal:
    """The price by volume of what was taken.

    >>> mean_price([(Decimal("1.1"), 3), (Decimal("1.2"), 1)])
    Decimal('1.125')
    """
    return sum((price * units for price, units in taken), ZERO) / sum(units for _, units in taken)


def against(price: Decimal, units: int, step: Decimal) -> Decimal:
    """A price as whole steps, rounded against whoever trades `units` (signed) at it.

    >>> against(Decimal("1.125"), 1, Decimal("0.01")), against(Decimal("1.125"), -1, Decimal("0.01"))
    (Decimal('1.13'), Decimal('1.12'))
    """
    return price.quantize(step, ROUND_CEILING if units > 0 else ROUND_FLOOR)
