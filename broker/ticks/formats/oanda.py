"""OANDA's pricing stream as recorded: one JSON object a line, PRICE and HEARTBEAT.

A quote is the first tier of a PRICE: sizes are its liquidity, and all tiers go along. Lines that aren't quotes are
passed over: heartbeats, unknown types, and prices that can't be traded on (`tradeable` false, or a side without a
tier).
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from broker.errors import BadInput
from broker.ticks.clocks import RFC3339, parse_time
from broker.ticks.formats.head import Head
from broker.ticks.lines import chunks_of_lines
from broker.ticks.naming import settle_instrument
from broker.ticks.numbers import MAX_DIGITS, NAN, parse_number
from broker.ticks.packing import Packed
from broker.ticks.rows import QUOTE_COLUMNS, SIZE_COLUMNS, BadLines, Rows, Source
from broker.types import ENDLESS, SECOND, Int64s

_UNIX = re.compile(r"(\d{1,10})(?:\.(\d{1,9})0*)?", re.ASCII)
_USUAL = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d):([0-5]\d)\.(\d{1,9})Z", re.ASCII)
_DECODER = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=str)
Message = dict[str, Any]


def parse_message(line: bytes) -> Message:
    """One line of the stream; numbers stay text, so that no digit is lost.

    Raises:
        ValueError: not a JSON object with a type.
    """
    try:
        message = _DECODER.decode(line.decode("utf-8"))
    except UnicodeDecodeError:
        raise ValueError("not UTF-8 text") from None
    except (ValueError, RecursionError):
        raise ValueError("not a whole JSON object" if line.strip() else "an empty line") from None
    if not isinstance(message, dict) or not isinstance(message.get("type", "PRICE"), str):
        raise ValueError("not a message of the pricing stream")
    if message.get("type", "PRICE") != "PRICE":
        return message
    if not (isinstance(message.get("instrument"), str) and isinstance(message.get("time"), str)):
        raise ValueError("a price without its instrument or time")
    if not (isinstance(message.get("bids", []), list) and isinstance(message.get("asks", []), list)):
        raise ValueError("bids and asks have to be lists")
    return message


def is_quote(message: Message) -> bool:
    """Whether a message is a price that can be traded on."""
    if message.get("type", "PRICE") != "PRICE" or not (message.get("bids") and message.get("asks")):
        return False
    return bool(message.get("tradeable", True)) and message.get("status", "tradeable") == "tradeable"


def parse_quote(message: Message, sized: bool) -> tuple[int, list[tuple[int, int]]]:
    """Time, and bid, ask (and sizes) of the first tier.

    Raises:
        ValueError: a field is missing or not a number.
    """
    tiers = (message["bids"][0], message["asks"][0])
    if not all(isinstance(tier, dict) and isinstance(tier.get("price"), str) for tier in tiers):
        raise ValueError("a tier without its price")
    numbers = [parse_number(tier["price"]) for tier in tiers]
    if sized:
        numbers += [parse_number(str(tier["liquidity"])) if "liquidity" in tier else (0, NAN) for tier in tiers]
    return _time(message["time"]), numbers


def parse_tiers(message: Message) -> list[list[tuple[int, int, int]]]:
    """Mantissa, digits and units of each tier of the bids and of the asks; one without liquidity has no end.

    Raises:
        ValueError: a field is missing or not a number.
    """
    return [[_tier(tier) for tier in message[side]] for side in ("bids", "asks")]


def _tier(tier: Any) -> tuple[int, int, int]:
    if not isinstance(tier, dict) or not isinstance(tier.get("price"), str):
        raise ValueError("a tier without its price")
    units, digits = parse_number(str(tier["liquidity"])) if "liquidity" in tier else (0, NAN)
    whole = ENDLESS if digits > MAX_DIGITS else max(0, units) // 10**digits
    return *parse_number(tier["price"]), whole


def _time(text: str) -> int:
    unix = _UNIX.fullmatch(text)
    if unix is None:
        usual = _USUAL.fullmatch(text)
        if usual is None:
            return parse_time(text, RFC3339)
        return _minute(usual[1]) + int(usual[2]) * SECOND + int(usual[3].ljust(9, "0"))
    time = int(unix[1]) * 1_000_000_000 + int((unix[2] or "").ljust(9, "0"))
    if time >= 1 << 63:
        raise ValueError(f"the time {text!r} is too late")
    return time


@lru_cache(maxsize=64)
def _minute(text: str) -> int:
    return parse_time(f"{text}:00Z", RFC3339)


def messages(packed: Packed, bad: BadLines) -> Iterator[tuple[int, bytes, Message]]:
    """Every whole message of a recording, with its line's number and text; broken lines go to `bad`."""
    number = 0
    for chunk, last in chunks_of_lines(packed):
        lines = chunk.split(b"\n")
        if not last or not lines[-1].strip():
            lines.pop()
        while last and lines and not lines[-1].strip():
            lines.pop()
        for line in lines:
            number += 1
            try:
                message = parse_message(line)
            except ValueError as error:
                bad.broken(number, str(error))
            else:
                yield number, line, message


def recognise(head: Head) -> Source | None:
    """A source if the first line is a JSON object; of several instruments in it, `--instrument` chooses one."""
    if not head.first.startswith("{"):
        return None
    path, wanted = head.packed.path, head.options.instrument
    first: Message | None = None
    for _, _, message in messages(head.packed, BadLines(str(path), "skip")):
        if is_quote(message):
            first = first or message
            if wanted in (None, message["instrument"]):
                first = message
                break
    said = head.name_pair if first is None else str(first["instrument"])
    text = str(first["time"]) if first else ""
    sized = first is not None and any("liquidity" in tier for tier in (first["bids"][0], first["asks"][0]))
    columns = QUOTE_COLUMNS + SIZE_COLUMNS if sized else QUOTE_COLUMNS
    instrument = settle_instrument(path, said, head.options)
    return Source(
        path=str(path),
        format="oanda",
        columns=columns,
        instrument=instrument,
        read=_Recording(head.packed, columns, instrument.name, wanted is not None).read,
        time_digits=len(match[1]) if (match := re.search(r"\.(\d{1,9})", text)) else 0,
        may_be_empty=True,
    )


@dataclass(frozen=True, slots=True)
class _Recording:
    packed: Packed
    columns: tuple[str, ...]
    instrument: str
    chosen: bool

    def read(self, bad: BadLines, batch: int) -> Iterator[Rows]:
        """The quotes of the instrument."""
        times: list[int] = []
        lines: list[int] = []
        numbers: list[list[tuple[int, int]]] = []
        tiers: list[list[list[tuple[int, int, int]]]] = []
        for line, _, message in messages(self.packed, bad):
            if not is_quote(message) or (self.chosen and message["instrument"] != self.instrument):
                continue
            if message["instrument"] != self.instrument:
                where = f"{self.packed.path}:{line}"
                raise BadInput("holds several instruments", where=where, mend="say which with --instrument")
            try:
                sized = len(self.columns) > len(QUOTE_COLUMNS)
                time, row = parse_quote(message, sized)
                deep = parse_tiers(message) if sized else []
            except ValueError as error:
                bad.broken(line, str(error))
                continue
            times.append(time)
            lines.append(line)
            numbers.append(row)
            tiers.append(deep)
            if len(times) == batch:
                yield _rows(times, lines, numbers, tiers)
                times, lines, numbers, tiers = [], [], [], []
        if times:
            yield _rows(times, lines, numbers, tiers)


def _rows(
    times: list[int],
    lines: list[int],
    numbers: list[list[tuple[int, int]]],
    tiers: list[list[list[tuple[int, int, int]]]],
) -> Rows:
    pairs = np.array(numbers, np.int64).transpose(1, 2, 0)
    mantissa, digits = np.ascontiguousarray(pairs[:, 0]), pairs[:, 1].astype(np.uint8)
    return Rows(np.array(times, np.int64), np.array(lines, np.int64), mantissa, digits, _deep(tiers))


def _deep(tiers: list[list[list[tuple[int, int, int]]]]) -> Int64s | None:
    """The tiers `[n, 2, most, 3]`; None where there are none."""
    most = max((len(side) for sides in tiers for side in sides), default=0)
    if not most:
        return None
    none = (0, 0, 0)
    return np.array([[side + [none] * (most - len(side)) for side in sides] for sides in tiers], np.int64)
