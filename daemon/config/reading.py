"""Reads the configuration: defaults, then the file, the environment, the command line, each over the one before."""

import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from broker.errors import BadInput
from daemon.config.keys import Key, keys_of
from daemon.config.lines import line_of, lines_of
from daemon.config.sections import Config

PREFIX = "MICRO_TRADER__"
KEYS: Mapping[str, Key] = keys_of(Config)
SECTIONS = tuple(dict.fromkeys(key.section for key in KEYS.values() if key.section))


@dataclass(frozen=True, slots=True)
class Given:
    """A value that someone set, and where: `origin` goes into messages and into `config show`."""

    value: Any
    origin: str


def load(
    path: Path | None,
    environ: Mapping[str, str],
    flags: Mapping[str, tuple[str, Any]] | None = None,
) -> Config:
    """The effective configuration.

    Args:
        path: TOML file, or None for none.
        environ: environment; `MICRO_TRADER__SECTION__KEY` (or `MICRO_TRADER__KEY` at the top) overrides the file, and
            `STATE_DIRECTORY` overrides `state.dir`.
        flags: dotted key to (flag, value) of the command line.

    Raises:
        BadInput: a key is unknown or a value isn't allowed; says which, where, and what would be.
    """
    given: dict[str, Given] = {}
    if path is not None:
        given |= _from_file(path)
    given |= dict(_from_environment(environ))
    given |= {name: Given(value, flag) for name, (flag, value) in (flags or {}).items()}
    values = {name: _value(key, given.get(name)) for name, key in KEYS.items()}
    origins = {name: given[name].origin if name in given else "default" for name in KEYS}
    config = _built(values, origins)
    _agree(config)
    return config


def _from_file(path: Path) -> dict[str, Given]:
    text = _text(path)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _no_toml(path, text, error) from error
    lines = lines_of(text)
    found: dict[str, Given] = {}
    for name, value in _flat(document):
        where = f"{path}:{line_of(lines, name)}"
        if name in SECTIONS:
            raise BadInput(f"{name} must be a table, not a value", where=where, mend=f"write [{name}] above its keys")
        if name not in KEYS:
            raise _unknown(name, where, KEYS)
        found[name] = Given(value, where)
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(f"can't be read: {error.strerror}", where=str(path), mend="or leave --config out") from error
    except UnicodeDecodeError as error:
        raise BadInput("is not UTF-8 text", where=str(path)) from error


def _flat(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Dotted names and values of a TOML document; an empty section has none."""
    for name, value in document.items():
        if name in KEYS or not isinstance(value, dict) or (not value and name not in SECTIONS):
            yield name, value
        else:
            yield from ((f"{name}.{inner}", item) for inner, item in value.items())


def _no_toml(path: Path, text: str, error: tomllib.TOMLDecodeError) -> BadInput:
    message = str(error)
    at = re.search(r"\(at line (\d+), column \d+\)", message)
    line = at[1] if at else str(max(1, len(text.splitlines())))
    return BadInput(f"is not TOML: {re.sub(r' *[(]at .*[)]', '', message)}", where=f"{path}:{line}")


def _from_environment(environ: Mapping[str, str]) -> Iterator[tuple[str, Given]]:
    if state := environ.get("STATE_DIRECTORY", "").split(":")[0]:
        yield "state.dir", Given(state, "$STATE_DIRECTORY")
    for variable in sorted(environ):
        if not variable.startswith(PREFIX) or (variable == f"{PREFIX}STATE__DIR" and state):
            continue
        name = variable.removeprefix(PREFIX).lower().replace("__", ".")
        if name not in KEYS:
            raise _unknown(name, f"${variable}", KEYS)
        yield name, Given(_from_text(KEYS[name], environ[variable]), f"${variable}")


def _from_text(key: Key, text: str) -> Any:
    """A value of the environment: a text as it is, a list also with commas, everything else as TOML writes it."""
    if key.kind is str:
        return text
    if key.kind == tuple[str, ...] and not text.lstrip().startswith("["):
        return [word.strip() for word in text.split(",")]
    try:
        document = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return document["value"] if len(document) == 1 else text


def _value(key: Key, given: Given | None) -> Any:
    if given is None:
        return key.default
    try:
        return key.typed(given.value)
    except ValueError as error:
        raise BadInput(f"{key.name} must be {error}", where=given.origin, mend=key.doc) from error


def _built(values: Mapping[str, Any], origins: Mapping[str, str]) -> Config:
    blank = Config()
    parts: dict[str, Any] = {name: values[name] for name, key in KEYS.items() if not key.section}
    for section in SECTIONS:
        own = {key.name.rpartition(".")[2]: values[key.name] for key in KEYS.values() if key.section == section}
        parts[section] = replace(getattr(blank, section), **own)
    return replace(blank, **parts, origins=origins)


def _agree(config: Config) -> None:
    """Refuse values that are fine alone but not together."""
    if config.risk.risk_per_trade and not config.risk.stop_sigma:
        raise BadInput(
            "risk.risk_per_trade needs a stop, but risk.stop_sigma is 0",
            where=config.origins["risk.risk_per_trade"],
            mend="set a stop_sigma, or risk_per_trade = 0",
        )
    if config.mode == "live":
        for name in ("stop_sigma", "max_daily_loss", "max_drawdown", "max_quote_age_s"):
            if not getattr(config.risk, name):
                doc = KEYS[f"risk.{name}"].doc
                raise BadInput(f"live refuses risk.{name} = 0", where=config.origins["mode"], mend=doc)


def _unknown(name: str, where: str, known: Iterable[str]) -> BadInput:
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.7)
    close = close or [other for other in names if other.rpartition(".")[2] == name.rpartition(".")[2]][:1]
    mend = f"did you mean {close[0]}?" if close else "see micro-trader config reference"
    return BadInput(f"unknown key {name}", where=where, mend=mend)
