"""Values of our types as JSON has them, and back: what is kept of a state or an event, and nothing that runs.

A dataclass becomes an object that says which it is; a tuple, a list; a Decimal, a text; an enum, its value.
"""

import dataclasses
import json
from decimal import Decimal
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np

TAG = "is"
_AS_IS = frozenset({int, float, str, bool, NoneType})


def text(plain: object) -> bytes:
    """What `plain` made as canonical bytes: keys sorted, floats in their shortest form.

    >>> text({"b": 0.1, "a": np.int64(1)})
    b'{"a":1,"b":0.1}'
    """
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_number).encode()


def plain(value: Any) -> Any:
    """A value as JSON has it.

    >>> plain((Decimal("0.10"), None))
    ['0.10', None]
    """
    kind: Any = type(value)
    if kind in _AS_IS:
        return value
    if (names := _names(kind)) is not None:
        known = {TAG: kind.__name__}
        for name in names:
            known[name] = plain(getattr(value, name))
        return known
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return value.tolist()
    return str(value) if isinstance(value, Decimal) else value


def fields(value: Any) -> dict[str, Any]:
    """The fields of a dataclass, each as JSON has it."""
    kind: Any = type(value)
    return {name: plain(getattr(value, name)) for name in _names(kind) or ()}


def built(hint: Any, raw: Any) -> Any:
    """A value of a type from what `plain` made of it.

    >>> built(tuple[Decimal, ...], ["0.10"])
    (Decimal('0.10'),)

    Raises:
        KeyError, TypeError, ValueError, ArithmeticError: it is of no such type.
    """
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        hints = _hints(hint)
        return hint(**{name: built(hints[name], item) for name, item in raw.items() if name != TAG})
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return None if raw is None else built(_alternative(hint, raw), raw)
    if origin is tuple:
        inner = get_args(hint)
        kinds = [inner[0]] * len(raw) if inner[-1] is Ellipsis else inner
        return tuple(built(kind, item) for kind, item in zip(kinds, raw, strict=True))
    if origin is list:
        return [built(get_args(hint)[0], item) for item in raw]
    if origin is np.ndarray:
        return np.array(raw, np.float64)
    if isinstance(hint, type) and issubclass(hint, Decimal | Enum):
        return hint(raw)
    return raw


def _alternative(hint: Any, raw: Any) -> Any:
    """Which type of a union a value is of: the one it names, or the one that is not None."""
    kinds = [kind for kind in get_args(hint) if kind is not NoneType]
    if isinstance(raw, dict):
        return {kind.__name__: kind for kind in kinds}[raw[TAG]]
    return kinds[0]


@cache
def _names(kind: Any) -> tuple[str, ...] | None:
    """The fields of a dataclass, None for any other type."""
    return tuple(field.name for field in dataclasses.fields(kind)) if dataclasses.is_dataclass(kind) else None


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _number(value: object) -> int | float:
    """A number of numpy's as Python's own."""
    if isinstance(value, np.integer | np.bool_):
        return int(value)
    if isinstance(value, np.floating):
        return float(value)
    raise TypeError(f"{type(value).__name__} can't be kept")
