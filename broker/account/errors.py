"""What a request may be refused with."""

from typing import Any

from broker.errors import Refused

Json = dict[str, Any]


class BadRequest(Refused):
    """The request can't be understood; it leaves no transaction.

    Args:
        message: OANDA's words, like `Invalid value specified for 'order.units'`.
    """

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)

    @classmethod
    def of(cls, field: str) -> "BadRequest":
        """The usual one: a field's value is wrong."""
        return cls(f"Invalid value specified for '{field}'")


class Rejected(Refused):
    """The account rejects what the request asks for; a reject transaction follows.

    Args:
        reason: one of OANDA's TransactionRejectReason.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)
