"""Events as canonical bytes and back: the same event always gives the same bytes, and they give it again."""

import dataclasses
import json
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np

from daemon import events
from daemon.events import Input, Output

KINDS: Mapping[str, type] = {kind.__name__: kind for kind in get_args(events.Input) + get_args(events.Output)}
"""Every kind of event by the name under which it is kept."""

_TAG = "is"


def encode(event: Input | Output) -> bytes:
    """Canonical JSON: keys sorted, floats in their shortest form, decimals as text.

    >>> encode(events.Beat(7))
    b'{"time":7}'
    """
    plain = {field.name: _plain(getattr(event, field.name)) for field in dataclasses.fields(event)}
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_number).encode()


def decode(kind: str, body: bytes) -> Input | Output:
    """The event that `encode` was given.

    >>> decode("Beat", b'{"time":7}')
    Beat(time=7)

    Raises:
        ValueError: the bytes are of no event of that kind that this version knows.
    """
    try:
        built: Input | Output = _built(KINDS[kind], json.loads(body))
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise ValueError(f"no {kind} that this version knows: {error!r}") from error
    return built


def _plain(value: Any) -> Any:
    """A value as JSON has it; a dataclass says which it is."""
    if dataclasses.is_dataclass(value):
        inner = {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {_TAG: type(value).__name__, **inner}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return value.tolist()
    return str(value) if isinstance(value, Decimal) else value


def _number(value: object) -> int | float:
    """A number of numpy's as Python's own."""
    if isinstance(value, np.integer | np.bool_):
        return int(value)
    if isinstance(value, np.floating):
        return float(value)
    raise TypeError(f"{type(value).__name__} can't be kept")


def _built(hint: Any, raw: Any) -> Any:
    """A value of a type from what `_plain` made of it."""
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        hints = _hints(hint)
        return hint(**{name: _built(hints[name], item) for name, item in raw.items() if name != _TAG})
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return None if raw is None else _built(_alternative(hint, raw), raw)
    if origin is tuple:
        inner = get_args(hint)
        kinds = [inner[0]] * len(raw) if inner[-1] is Ellipsis else inner
        return tuple(_built(kind, item) for kind, item in zip(kinds, raw, strict=True))
    if origin is np.ndarray:
        return np.array(raw, np.float64)
    if isinstance(hint, type) and issubclass(hint, Decimal | Enum):
        return hint(raw)
    return raw


def _alternative(hint: Any, raw: Any) -> Any:
    """Which type of a union a value is of: the one it names, or the one that is not None."""
    kinds = [kind for kind in get_args(hint) if kind is not NoneType]
    if isinstance(raw, dict):
        return {kind.__name__: kind for kind in kinds}[raw[_TAG]]
    return kinds[0]


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)
