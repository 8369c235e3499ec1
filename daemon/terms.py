"""The account that the config describes: what its broker asks for and pays."""

from collections.abc import Mapping
from decimal import Decimal

from broker.account.rollover import Interest
from broker.purse import Terms
from daemon.config import Config


def terms_of(config: Config) -> Terms:
    """The terms in the sections [account] and [paper]."""
    return Terms(
        margin=config.paper.margin,
        margin_rate=decimal(config.account.margin_rate),
        interest=interest_of(config),
        conversion_fee=decimal(config.account.conversion_fee),
        commission_pips=decimal(config.paper.commission_pips),
    )


def interest_of(config: Config) -> Interest:
    """What positions earn or pay at 17:00 New York."""
    return Interest(decimals(config.account.financing_long), decimals(config.account.financing_short))


def decimal(value: float) -> Decimal:
    """A number of the config as it was written.

    >>> decimal(0.1)
    Decimal('0.1')
    """
    return Decimal(str(value))


def decimals(table: Mapping[str, float]) -> dict[str, Decimal]:
    """A table of the config as it was written."""
    return {name: decimal(value) for name, value in table.items()}
