"""What can go wrong between us and OANDA, sorted as `broker.errors` sorts it.

Transient
├── Unsent        not a byte of the request left: doing it again is safe
├── Lost          it may have been carried out, but its answer did not arrive
├── Unavailable   an answer that is no answer: 5xx, 429, HTML (it, too, may have been carried out)
└── StreamLost    a stream ended, stalled or broke
Refused
└── Denied        400, 404, 405, 416: a business answer with its code
Fatal
└── Unauthorised  401, 403: the token or the account is wrong

None of them holds the request, its headers or the token.
"""

from collections.abc import Mapping
from typing import Any

from broker.errors import Fatal, Refused, Transient

LONGEST_MESSAGE = 300


class Failure(Exception):
    """What all failures of a request have.

    Args:
        what: one line without secrets.
        status: HTTP status; 0 without an answer.
        code: OANDA's `errorCode`, or "".
        request_id: OANDA's `RequestID` header, or "": what their support asks for.
        body: the answer's JSON object, which may hold a reject transaction.
        retry_after: seconds that the server asks us to wait; 0 where it does not.
    """

    def __init__(
        self,
        what: str,
        *,
        status: int = 0,
        code: str = "",
        request_id: str = "",
        body: Mapping[str, Any] | None = None,
        retry_after: float = 0.0,
    ) -> None:
        self.status, self.code, self.request_id = status, code, request_id
        self.body: Mapping[str, Any] = body or {}
        self.retry_after = retry_after
        facts = (f"status {status}" if status else "", code, f"RequestID {request_id}" if request_id else "")
        known = ", ".join(fact for fact in facts if fact)
        what = what if len(what) <= LONGEST_MESSAGE else what[:LONGEST_MESSAGE] + "..."
        super().__init__(f"{what} ({known})" if known else what)


class Unsent(Failure, Transient):
    """The request never left."""


class Lost(Failure, Transient):
    """The request may have arrived; its answer did not."""


class Unavailable(Failure, Transient):
    """The server, or something before it, could not answer now."""


class StreamLost(Failure, Transient):
    """A stream ended, stalled or broke: every way to lose it is this one event."""


class Denied(Failure, Refused):
    """OANDA answered no."""


class Unauthorised(Failure, Fatal):
    """The token is invalid or revoked, or it may not use this account."""
