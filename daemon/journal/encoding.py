"""Events as canonical bytes and back: the same event always gives the same bytes, and they give it again."""

import json
from collections.abc import Mapping
from typing import get_args

from broker.canonical import built, fields, text
from daemon import events
from daemon.events import Input, Output

KINDS: Mapping[str, type] = {kind.__name__: kind for kind in get_args(events.Input) + get_args(events.Output)}
"""Every kind of event by the name under which it is kept."""


def encode(event: Input | Output) -> bytes:
    """Canonical JSON of its fields.

    >>> encode(events.Beat(7))
    b'{"time":7}'
    """
    return text(fields(event))


def decode(kind: str, body: bytes) -> Input | Output:
    """The event that `encode` was given.

    >>> decode("Beat", b'{"time":7}')
    Beat(time=7)

    Raises:
        ValueError: the bytes are of no event of that kind that this version knows.
    """
    try:
        event: Input | Output = built(KINDS[kind], json.loads(body))
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise ValueError(f"no {kind} that this version knows: {error!r}") from error
    return event
