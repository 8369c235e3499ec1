"""What a config key is: a dataclass field that carries its own documentation and the rule for its values."""

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass, replace
from math import isfinite
from typing import Any, TypeVar, cast, get_type_hints

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rule:
    """A restriction on a key's values: `allows` tests it, `says` completes the sentence "must be ..."."""

    says: str
    allows: Callable[[Any], bool]


def at_least(low: float) -> Rule:
    """Numbers from `low` on."""
    return Rule(f"at least {low}", lambda value: bool(value >= low))


def between(low: float, high: float) -> Rule:
    """Numbers from `low` to `high`, both allowed."""
    return Rule(f"from {low} to {high}", lambda value: bool(low <= value <= high))


def one_of(*words: str) -> Rule:
    """One of a few words."""
    return Rule(" or ".join(f'"{word}"' for word in words), lambda value: value in words)


def spelled(pattern: str, says: str) -> Rule:
    """Text, or a list of different texts, or a table's names, that match `pattern` in full."""

    def allows(value: Any) -> bool:
        words = [value] if isinstance(value, str) else list(value)
        return bool(words or isinstance(value, Mapping)) and all(re.fullmatch(pattern, word) for word in words)

    return Rule(says, allows)


def key(default: T, doc: str, rule: Rule | None = None, unit: str = "") -> T:
    """A dataclass field with its default, one line of documentation, its rule and its unit."""
    metadata = {"doc": doc, "rule": rule, "unit": unit}
    if isinstance(default, dict):
        return cast(T, field(default_factory=lambda: dict(default), metadata=metadata))
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the schema.

    Attributes:
        name: dotted, such as `risk.units`.
        kind: the type of its value.
        doc, unit: one line, and the unit or "".
        rule: restriction on its values, or None.
    """

    name: str
    kind: Any
    default: Any
    doc: str
    unit: str
    rule: Rule | None

    @property
    def section(self) -> str:
        """Name of the section, or "" at the top."""
        return self.name.rpartition(".")[0]

    def typed(self, value: Any) -> Any:
        """The value as the key's type.

        Raises:
            ValueError: it's of another type, or the rule forbids it; the text completes "<name> must be ...".
        """
        says, convert = KINDS[self.kind]
        try:
            typed = convert(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"{says}, not {_named(value)}") from error
        if self.rule is not None and not self.rule.allows(typed):
            raise ValueError(f"{self.rule.says}, not {_named(value)}")
        return typed


def keys_of(cls: type) -> dict[str, Key]:
    """Every key of a config class and its sections, in order, by dotted name."""
    found: dict[str, Key] = {}
    hints = get_type_hints(cls)
    for entry in fields(cls):
        kind = hints[entry.name]
        if is_dataclass(kind) and isinstance(kind, type):
            inner = {f"{entry.name}.{key.name}": key for key in keys_of(kind).values()}
            found |= {name: replace(key, name=name) for name, key in inner.items()}
        elif entry.metadata:
            found[entry.name] = _key(entry, kind)
    return found


def _key(entry: "Field[Any]", kind: Any) -> Key:
    default = entry.default if entry.default_factory is MISSING else entry.default_factory()
    return Key(entry.name, kind, default, entry.metadata["doc"], entry.metadata["unit"], entry.metadata["rule"])


def _strict(*types: type) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        if type(value) not in types:
            raise TypeError
        return value

    return convert


def _number(value: Any) -> float:
    number = float(_strict(int, float)(value))
    if not isfinite(number):
        raise ValueError
    return number


def _words(value: Any) -> tuple[str, ...]:
    words = tuple(_strict(str)(word) for word in _strict(list, tuple)(value))
    if len(set(words)) < len(words):
        raise ValueError
    return words


def _numbers(value: Any) -> dict[str, float]:
    return {name: _number(number) for name, number in _strict(dict)(value).items()}


def _tables(value: Any) -> dict[str, dict[str, Any]]:
    tables = {name: _strict(dict)(table) for name, table in _strict(dict)(value).items()}
    return {name: {word: _plain(item) for word, item in table.items()} for name, table in tables.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return _number(value) if isinstance(value, float) else _strict(str, int, bool)(value)


KINDS: Mapping[Any, tuple[str, Callable[[Any], Any]]] = {
    str: ("a text in quotes", _strict(str)),
    int: ("a whole number", _strict(int)),
    float: ("a number", _number),
    bool: ("true or false", _strict(bool)),
    tuple[str, ...]: ("a list of different texts", _words),
    Mapping[str, float]: ("a table of numbers", _numbers),
    Mapping[str, Mapping[str, Any]]: ("a table of tables with texts, numbers, booleans or lists of them", _tables),
}
"""For each type of value: how it's called, and what turns a TOML value into it."""


def _named(value: Any) -> str:
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_named, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)
