"""The folder that a run leaves: written as the run goes, believed only once its summary is there."""

import csv
import errno
import hashlib
import io
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from broker.errors import BadInput, StorageFault
from broker.rfc3339 import rfc3339
from broker.types import LONG, Action, Cancel, Fill, Instrument, Order, Trade
from daemon.report import build_report
from daemon.runfiles import (
    CONFIG,
    DECISIONS,
    ENVIRONMENT,
    ORDER_COLUMNS,
    ORDERS,
    REPORT,
    SUMMARY,
    TRADE_COLUMNS,
    TRADES,
)
from daemon.whole import write_whole
from strategy.plugin import Choice, Observation

BUFFER_BYTES = 1 << 16
ACTION_NAMES = tuple(action.name for action in Action)
DISK_FAULTS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG})


class RunFolder:
    """The one writer of a run's files; a context manager that closes them, summary or not.

    Every method that writes raises StorageFault where the disk is full or fails.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._decisions = _Appender(path / DECISIONS)
        self._trades = _Appender(path / TRADES)
        self._orders = _Appender(path / ORDERS)
        self._trades.append(_csv_line(TRADE_COLUMNS))
        self._orders.append(_csv_line(ORDER_COLUMNS))

    @classmethod
    def create(cls, path: Path) -> Self:
        """Make the folder, or take over that of an earlier run, whose summary goes first.

        Raises:
            BadInput: it can't be written to.
            StorageFault: the disk is full or fails.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
            for name in (SUMMARY, REPORT, CONFIG, ENVIRONMENT):
                (path / name).unlink(missing_ok=True)
            return cls(path)
        except OSError as error:
            if error.errno in DISK_FAULTS:
                raise _storage_fault(error, path) from error
            mend = "choose another folder with --out"
            raise BadInput(f"can't write the run here: {error.strerror}", where=str(path), mend=mend) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in (self._decisions, self._trades, self._orders):
            file.abandon()

    @property
    def decision_log_sha256(self) -> str:
        """Digest of the decisions written so far, lowercase hex."""
        return self._decisions.digest.hexdigest()

    def decision(self, seen: Observation, choice: Choice, target: int, veto: str | None, model: str) -> None:
        """Append a decision.

        Args:
            target: the side meant to be held after it (-1, 0, 1).
            veto: why risk refused it, or None.
        """
        self._decisions.append(decision_line(seen, choice, target, veto, model))

    def trade(self, trade: Trade, instrument: Instrument) -> None:
        """Append a completed trade."""
        self._trades.append(
            _csv_line(
                (
                    trade.instrument,
                    "long" if trade.side == LONG else "short",
                    abs(trade.units),
                    rfc3339(trade.open_time),
                    instrument.price(trade.open_price),
                    rfc3339(trade.close_time),
                    instrument.price(trade.close_price),
                    _number(trade.pips),
                    f"{trade.pnl:f}",
                    trade.currency,
                    _number(trade.dd_sum),
                    _number(trade.reward),
                    trade.bars,
                    trade.model,
                    str(trade.exit_reason),
                    instrument.price(trade.stop_price) if trade.stop_price else "",
                    instrument.price(trade.take_profit_price) if trade.take_profit_price else "",
                )
            )
        )

    def order(self, order: Order, end: Fill | Cancel, instrument: Instrument) -> None:
        """Append a market order with its end; a cancelled or rejected one has no fill."""
        result: tuple[object, ...]
        if isinstance(end, Fill):
            part = "" if end.units == order.units else f" ({abs(end.units)} filled)"
            result = ("filled", rfc3339(end.time), instrument.price(end.price), f"{order.reason}{part}")
        else:
            result = (end.outcome, "", "", end.reason)
        side = "buy" if order.units > 0 else "sell"
        placed = (order.id, rfc3339(order.time), order.instrument, side, abs(order.units), "market")
        self._orders.append(_csv_line((*placed, *result)))

    def flush(self) -> None:
        """Hand what was appended to the system, so that others can read it."""
        for file in (self._decisions, self._trades, self._orders):
            file.flush()

    def finish(
        self, summary: Mapping[str, Any], config_toml: str, environment: Mapping[str, Any], page: bool = True
    ) -> None:
        """Complete the folder: config, environment, the report if `page`, and the summary last."""
        assert summary["decision_log_sha256"] == self.decision_log_sha256, "the summary is of another decision log"
        try:
            for file in (self._decisions, self._trades, self._orders):
                file.close()
            write_whole(self.path / CONFIG, config_toml)
            write_whole(self.path / ENVIRONMENT, _document(environment))
            if page:
                build_report(self.path, summary)
            write_whole(self.path / SUMMARY, _document(summary))
        except OSError as error:
            raise _storage_fault(error, self.path) from error


def decision_line(seen: Observation, choice: Choice, target: int, veto: str | None, model: str) -> str:
    """One line of decisions.jsonl, its keys in the promised order.

    Raises:
        BadInput: the strategy answered with a number that is not finite.
    """
    instrument = seen.instrument
    decision = {
        "seq": seen.seq,
        "time": rfc3339(seen.time),
        "instrument": instrument.name,
        "bid": instrument.price_float(seen.bid),
        "ask": instrument.price_float(seen.ask),
        "action": ACTION_NAMES[choice.action],
        "target": target,
        "position": seen.position,
        "legal": seen.legal,
        "policy": choice.policy,
        "visits": choice.visits,
        "q": choice.q,
        "outcome": choice.outcome,
        "value": choice.value,
        "model": model,
        "veto": veto,
    }
    try:
        return _LINES.encode(decision) + "\n"
    except ValueError as error:
        where, mend = f"decision {seen.seq}", "do its weights overflow?"
        raise BadInput(f"{model} answered with a number that is not finite", where=where, mend=mend) from error


class _Appender:
    """A file that only grows, hashed as it is written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO = path.open("wb", buffering=BUFFER_BYTES)
        self.digest = hashlib.sha256()

    def append(self, line: str) -> None:
        data = line.encode()
        self.digest.update(data)
        try:
            self._file.write(data)
        except OSError as error:
            raise _storage_fault(error, self._path) from error

    def flush(self) -> None:
        """Hand it to the system."""
        try:
            self._file.flush()
        except OSError as error:
            raise _storage_fault(error, self._path) from error

    def close(self) -> None:
        """Put everything on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def abandon(self) -> None:
        """Close, keeping what reached the disk: a full disk is known by now, or no longer matters."""
        with suppress(OSError):
            self._file.close()


def _storage_fault(error: OSError, path: Path) -> StorageFault:
    return StorageFault(f"writing failed: {error.strerror or error}", where=str(error.filename or path))


def _document(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def _csv_line(values: Sequence[object]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(values)
    return line.getvalue()


def _plain(value: Any) -> Any:
    """A numpy scalar as the Python number that JSON knows."""
    return value.item()


_number = float.__repr__  # shortest round-trip text, of numpy's float64 too
_LINES = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=_plain)
