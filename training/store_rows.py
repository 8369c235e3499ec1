"""Between segments and the rows of the store, exactly in both directions; every row with its checksum.

A step's checksum is taken over its record, model and feature set; a segment's over the text of its values. Floats
that SQLite can't keep apart (the NaNs, and -0.0 from 0.0) are made one before.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np

from broker.errors import StorageFault
from broker.types import Trade
from training.experience import Records, Segment, step_dtype

SEARCH = ("policy", "visits", "q", "outcome")
SEARCH_SIZE = 15
SCALARS = (
    "seq", "time", "bid", "ask", "sigma", "spread", "change", "deviation", "value", "open_pips", "bars_held",
    "action", "chosen", "position", "legal", "position_change", "done",
)  # fmt: skip
_NULLABLE = ("change", "deviation", "value")
_FLOATS = ("sigma", "spread", *_NULLABLE, "open_pips")

STEP_COLUMNS = (*SCALARS, "search", "features", "checksum")
TRADE_COLUMNS = (
    "side", "units", "open_time", "open_price", "close_time", "close_price", "pnl", "currency", "dd_sum", "bars",
    "model", "exit_reason", "stop_price", "take_profit_price",
)  # fmt: skip
SEGMENT_COLUMNS = (
    "first_seq", "steps", "half", "instrument", "feature_set", "session", "pips", "reward", "session_expectancy",
    *TRADE_COLUMNS,
)  # fmt: skip


class Damaged(StorageFault):
    """A row isn't what was written."""


class Rows(NamedTuple):
    """A segment as the store keeps it: values of SEGMENT_COLUMNS, its checksum, and values of STEP_COLUMNS a step."""

    segment: tuple[Any, ...]
    checksum: int
    steps: list[tuple[Any, ...]]


def rows_of(segment: Segment) -> Rows:
    """The rows of a segment."""
    steps = canonical(segment.steps)
    scalars = steps[list(SCALARS)].tolist()
    search = np.concatenate([steps[name].reshape(len(steps), -1) for name in SEARCH], axis=1).astype("<f4")
    searched = steps["searched"].tolist()
    features = np.ascontiguousarray(steps["features"])
    checks = _step_checksums(segment.run, segment.feature_set, segment.models, steps)
    values = _segment_values(segment)
    return Rows(
        values,
        segment_checksum(segment.run, values),
        [
            (*scalars[i], search[i].tobytes() if searched[i] else None, features[i].tobytes(), checks[i])
            for i in range(len(steps))
        ],
    )


def segment_of(run: str, values: Sequence[Any], checksum: int, steps: Sequence[Sequence[Any]]) -> Segment:
    """The segment of rows: values of SEGMENT_COLUMNS, and of (model, *STEP_COLUMNS) a step.

    Raises:
        Damaged: a row isn't what was written.
    """
    values = tuple(values)
    if segment_checksum(run, values) != checksum:
        raise Damaged("the segment's checksum doesn't match")
    if len(steps) != values[1]:
        raise Damaged(f"{len(steps)} of its {values[1]} steps are there")
    feature_set, models = values[4], tuple(row[0] for row in steps)
    records = read_steps(run, feature_set, steps)
    trade = None
    if values[9] is not None:
        of = dict(zip(TRADE_COLUMNS, values[9:], strict=True))
        trade = Trade(instrument=values[3], pips=values[6], reward=values[7], pnl=Decimal(of.pop("pnl")), **of)
    return Segment(run, values[3], feature_set, records, models, values[6], values[7], values[5], values[8], trade)


def read_steps(run: str, feature_set: str, rows: Sequence[Sequence[Any]]) -> Records:
    """Records of step rows (model, *STEP_COLUMNS).

    Raises:
        Damaged: a step isn't what was written.
    """
    models, *scalars, search, features, checks = zip(*rows, strict=True)
    try:
        steps = np.zeros(len(rows), step_dtype(len(features[0]) // 4))
        for name, column in zip(SCALARS, scalars, strict=True):
            steps[name] = np.array(column, np.float64) if name in _NULLABLE else column
        steps["features"] = np.frombuffer(b"".join(features), "<f4").reshape(len(rows), -1)
        steps["searched"] = [blob is not None for blob in search]
        blank = _blank_search()
        evidence = np.frombuffer(b"".join(blank if blob is None else blob for blob in search), "<f4")
        _set_search(steps, evidence.reshape(len(rows), SEARCH_SIZE))
    except (ValueError, TypeError, OverflowError) as error:
        raise Damaged(f"a step has a value that can't be: {error}") from error
    for i, check in enumerate(_step_checksums(run, feature_set, models, steps)):
        if check != checks[i]:
            raise Damaged(f"the checksum of step seq {scalars[0][i]} doesn't match")
    return steps


def canonical(steps: Records) -> Records:
    """A copy with zero padding, one NaN and no -0.0, and nothing where there was no search."""
    out = np.zeros(len(steps), step_dtype(steps.dtype["features"].shape[0]))
    out[...] = steps
    for name in _FLOATS:
        column = out[name] + 0.0
        out[name] = np.where(np.isnan(column), np.nan, column)
    bare = ~out["searched"]
    if bare.any():
        evidence = np.concatenate([out[name].reshape(len(out), -1) for name in SEARCH], axis=1)
        evidence[bare] = np.frombuffer(_blank_search(), "<f4")
        _set_search(out, evidence)
    return out


def segment_checksum(run: str, values: Sequence[Any]) -> int:
    """CRC-32 of a segment's run and its values of SEGMENT_COLUMNS."""
    return crc32(repr((run, *values)).encode())


def _step_checksums(run: str, feature_set: str, models: Sequence[str], steps: Records) -> list[int]:
    size, raw, start = steps.dtype.itemsize, steps.tobytes(), crc32(f"{run}\n{feature_set}\n".encode())
    sources = {model: crc32(model.encode(), start) for model in set(models)}
    return [crc32(raw[i * size : (i + 1) * size], sources[model]) for i, model in enumerate(models)]


def _segment_values(segment: Segment) -> tuple[Any, ...]:
    trade = segment.trade
    of: tuple[Any, ...] = (None,) * len(TRADE_COLUMNS)
    if trade:
        of = (
            trade.side, trade.units, trade.open_time, trade.open_price, trade.close_time, trade.close_price,
            str(trade.pnl), trade.currency, float(trade.dd_sum) + 0.0, trade.bars, trade.model,
            str(trade.exit_reason), trade.stop_price, trade.take_profit_price,
        )  # fmt: skip
    return (
        segment.first_seq,
        len(segment.steps),
        segment.half.value,
        segment.instrument,
        segment.feature_set,
        segment.session,
        float(segment.pips) + 0.0,
        float(segment.reward) + 0.0,
        float(segment.session_expectancy) + 0.0,
        *of,
    )


def _blank_search() -> bytes:
    return np.array([0.0] * 8 + [np.nan] * 7, "<f4").tobytes()


def _set_search(steps: Records, evidence: np.ndarray[Any, np.dtype[np.float32]]) -> None:
    start = 0
    for name in SEARCH:
        size = steps.dtype[name].shape[0]
        steps[name] = evidence[:, start : start + size]
        start += size
