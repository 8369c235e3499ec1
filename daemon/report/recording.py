"""A run's folder read back: its documents whole, its decisions as a stream."""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from broker.errors import BadInput
from broker.rfc3339 import parse_rfc3339
from daemon.runfiles import CONFIG, DECISIONS, ENVIRONMENT, SUMMARY, TRADES

NEEDED_KEYS = ("model", "strategy", "by_instrument", "costs", "net_pips")


@dataclass(frozen=True, slots=True)
class TradeRow:
    """A row of trades.csv; times in ns, prices as floats."""

    instrument: str
    side: int
    units: int
    open_time: int
    open_price: float
    close_time: int
    close_price: float
    pips: float
    pnl: float
    currency: str
    reward: float
    bars: int
    model: str
    exit_reason: str


@dataclass(frozen=True, slots=True)
class Recording:
    """What a run's folder holds, the decisions apart.

    Attributes:
        trades: in order of their close.
        config, environment: texts as they lie there, "" where missing.
    """

    folder: Path
    summary: Mapping[str, Any]
    trades: tuple[TradeRow, ...]
    config: str
    environment: str

    def decisions(self) -> Iterator[dict[str, Any]]:
        """The decision log, line by line.

        Raises:
            BadInput: a line is not one decision.
        """
        path = self.folder / DECISIONS
        with _opened(path) as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    decision = json.loads(line)
                    decision["ns"] = parse_rfc3339(decision["time"])
                except (ValueError, TypeError, KeyError) as error:
                    raise BadInput("is not a decision", where=f"{path}:{number}") from error
                yield decision


def read_recording(folder: Path, summary: Mapping[str, Any] | None = None) -> Recording:
    """Read a run's folder.

    Args:
        summary: the run's summary where it is not written yet.

    Raises:
        BadInput: there is no finished run, or a file of it is damaged.
    """
    if summary is None:
        summary = _read_summary(folder / SUMMARY)
    return Recording(
        folder=folder,
        summary=summary,
        trades=tuple(sorted(_read_trades(folder / TRADES), key=lambda trade: trade.close_time)),
        config=_text_of(folder / CONFIG),
        environment=_text_of(folder / ENVIRONMENT),
    )


def _read_summary(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        mend = "a run that failed or still goes on has none"
        raise BadInput("no finished run here: summary.json is missing", where=str(path.parent), mend=mend)
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput("is not a readable JSON document", where=str(path)) from error
    missing = [key for key in NEEDED_KEYS if not isinstance(summary, dict) or key not in summary]
    if missing:
        raise BadInput(f"lacks {', '.join(missing)}", where=str(path), mend="is it the summary of a replay?")
    assert isinstance(summary, dict)
    return summary


def _read_trades(path: Path) -> Iterator[TradeRow]:
    with _opened(path) as lines:
        for row in csv.DictReader(lines):
            try:
                yield _trade(row)
            except (KeyError, TypeError, ValueError) as error:
                raise BadInput("is not a trade", where=f"{path}: {','.join(map(str, row.values()))[:80]}") from error


def _trade(row: Mapping[str, str]) -> TradeRow:
    return TradeRow(
        instrument=row["instrument"],
        side=1 if row["side"] == "long" else -1,
        units=int(row["units"]),
        open_time=parse_rfc3339(row["open_time"]),
        open_price=float(row["open_price"]),
        close_time=parse_rfc3339(row["close_time"]),
        close_price=float(row["close_price"]),
        pips=float(row["pips"]),
        pnl=float(row["pnl"]),
        currency=row["currency"],
        reward=float(row["reward"]),
        bars=int(row["bars"]),
        model=row["model"],
        exit_reason=row["exit_reason"],
    )


def _opened(path: Path) -> TextIO:
    try:
        return path.open(encoding="utf-8", newline="")
    except OSError as error:
        raise BadInput(f"can't be read: {error.strerror}", where=str(path)) from error


def _text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
