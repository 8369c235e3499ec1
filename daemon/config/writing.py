"""Writes the configuration: TOML for a run's folder, the commented template, the reference, and a document."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from daemon.config.keys import Key
from daemon.config.reading import KEYS, PREFIX, SECTIONS
from daemon.config.sections import Config

BARE = re.compile(r"[A-Za-z0-9_-]+")
NAMES = {str: "text", int: "whole number", float: "number", bool: "true, false", tuple[str, ...]: "list of texts"}
MASK = "***"
SECRET = re.compile("token|secret|passw|credential|(^|[^a-z])(api_?)?key")


def to_toml(config: Config) -> str:
    """The effective config as TOML; loading it gives an equal config."""
    lines = [f"{name} = {_toml(value)}" for name, value in _values(config, "")]
    for section in SECTIONS:
        lines += ["", f"[{section}]", *(f"{name} = {_toml(value)}" for name, value in _values(config, section))]
    for strategy, settings in config.strategies.items():
        own = (f"{_name(name)} = {_toml(value)}" for name, value in settings.items())
        lines += ["", f"[strategies.{_name(strategy)}]", *own]
    return "\n".join(lines) + "\n"


def template() -> str:
    """The commented config.toml: every key with its documentation, unit and default."""
    lines = [
        "# Configuration of micro-trader: every key with its default. Leave out what you don't change.",
        f"# The environment overrides a key: {PREFIX}SECTION__KEY, or {PREFIX}KEY for those before the first section.",
        "# Unknown keys are errors. Secrets don't belong here. More: docs/configuration.md",
    ]
    for key in (key for key in KEYS.values() if not key.section and key.name != "strategies"):
        lines += ["", f"# {_comment(key)}", f"{key.name} = {_toml(key.default)}"]
    for section in SECTIONS:
        lines += ["", "", f"[{section}]  # {_about(section)}"]
        for key in _keys(section):
            lines += [f"# {_comment(key)}", f"{_short(key)} = {_toml(key.default)}"]
    lines += ["", "", f"# {KEYS['strategies'].doc}:", "# [strategies.ema-cross]", "# fast = 10", "# slow = 30"]
    return "\n".join(lines) + "\n"


def reference() -> str:
    """docs/configuration.md: tables of every key, and how a value is found."""
    parts = [REFERENCE_HEAD.format(prefix=PREFIX), *_table(key for key in KEYS.values() if not key.section)]
    for section in SECTIONS:
        parts += ["", f"## [{section}]", "", _about(section), "", *_table(_keys(section))]
    return "\n".join(parts) + "\n"


def shown(config: Config) -> dict[str, Any]:
    """The effective config as a document: nested as in TOML, and under `origins` where each value came from."""
    nested: dict[str, Any] = dict(_values(config, ""))
    nested |= {section: dict(_values(config, section)) for section in SECTIONS}
    nested["strategies"] = _masked(config.strategies)
    return {**nested, "origins": dict(config.origins)}


def rows(config: Config) -> dict[str, str]:
    """Each key's value as TOML writes it, with where it came from."""
    found: dict[str, str] = {}
    for key in KEYS.values():
        value = getattr(getattr(config, key.section) if key.section else config, _short(key))
        value = _masked(value) if key.name == "strategies" else value
        found[key.name] = f"{_toml(value)}  ({config.origins[key.name]})"
    return found


def _masked(strategies: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Settings of strategies; what a name calls a secret is not shown. No key of the program's own holds one."""
    return {
        name: {word: MASK if SECRET.search(word.lower()) else value for word, value in settings.items()}
        for name, settings in strategies.items()
    }


REFERENCE_HEAD = """\
# Configuration

<!-- Written by `make docs` from daemon/config/sections.py; a test holds the two together. -->

Every key has a default; `config.toml` in the repository's root lists them all with comments, and
`micro-trader config init` writes the same file. A value is looked for in this order, the first found wins:

1. the command line (`--bar`, `--seed`, ...);
2. the environment: `{prefix}SECTION__KEY`, or `{prefix}KEY` for keys without a section, as TOML writes the value
   (quotes may be left out, and a list may be written with commas);
3. the file: `--config FILE`, else `config.toml` in the current folder, if there is one;
4. the default.

The state folder is `--state DIR`, else `$STATE_DIRECTORY`, else `[state] dir`. `micro-trader config show` says where
each value came from. Unknown keys and values of the wrong type or out of range are errors (exit code 2), in the file
and in the environment alike, reported with their line.

A strategy's own settings stand in a table of its name, such as `[strategies.ema-cross]`; the strategy checks them.

## Without a section
"""


def _values(config: Config, section: str) -> Iterator[tuple[str, Any]]:
    owner = getattr(config, section) if section else config
    for key in _keys(section):
        if key.name != "strategies":
            value = getattr(owner, _short(key))
            yield _short(key), list(value) if isinstance(value, tuple) else value


def _keys(section: str) -> list[Key]:
    return [key for key in KEYS.values() if key.section == section]


def _short(key: Key) -> str:
    return key.name.rpartition(".")[2]


def _about(section: str) -> str:
    return (getattr(Config(), section).__doc__ or "").strip().splitlines()[0]


def _comment(key: Key) -> str:
    notes = [key.unit, key.rule.says if key.rule else ""]
    return key.doc + "".join(f" [{note}]" for note in notes if note)


def _table(keys: Iterable[Key]) -> list[str]:
    rows = ["| key | default | type | unit | allowed | what it is |", "|---|---|---|---|---|---|"]
    for key in keys:
        says = key.rule.says if key.rule else ""
        cells = [f"`{_short(key)}`", f"`{_toml(key.default)}`", NAMES.get(key.kind, "table"), key.unit, says, key.doc]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return rows


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_name(name)} = {_toml(item)}" for name, item in value.items()) + "}"
    return repr(value)


def _name(name: str) -> str:
    return name if BARE.fullmatch(name) else _toml(name)
