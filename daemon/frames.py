"""A run as pandas frames, for notebooks: `from daemon.frames import load; run = load("var/runs/demo"); run.trades`.

pandas is an extra of its own: `pip install 'micro-trader[pandas]'`.
"""

import json
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from broker.errors import BadInput
from daemon.report.recording import read_recording
from daemon.runfiles import DECISIONS, ORDERS, TRADES

ACTIONS = ("HOLD", "BUY", "SELL", "CLOSE")
OUTCOMES = ("UP", "NEUTRAL", "DOWN")
COUNTS = {"units", "bars"}
NUMBERS = set("open_price close_price pips pnl dd_sum reward stop_price take_profit_price fill_price".split())


@dataclass(frozen=True, slots=True)
class Frames:
    """What a run left.

    Attributes:
        summary: the document of summary.json.
        decisions: a row each, by `seq`; what the search says of each action and outcome in columns of its own
            (`policy.BUY`, `visits.BUY`, `q.BUY`, `legal.BUY`, `outcome.UP`), NaN where it says nothing.
        trades, orders: the rows of trades.csv and orders.csv.

    Times are `datetime64[ns, UTC]`, numbers as exact as in the files.
    """

    summary: dict[str, Any]
    decisions: Any
    trades: Any
    orders: Any


def load(folder: str | Path) -> Frames:
    """Read a finished run.

    Raises:
        BadInput: the folder holds none, a file of it is damaged, or pandas is not installed.
    """
    try:
        pandas = import_module("pandas")
    except ImportError as error:
        raise BadInput("pandas is not installed", mend="pip install 'micro-trader[pandas]'") from error
    run = read_recording(Path(folder))
    return Frames(
        summary=dict(run.summary),
        decisions=_decisions(pandas, run.folder / DECISIONS),
        trades=_table(pandas, run.folder / TRADES, ("open_time", "close_time")),
        orders=_table(pandas, run.folder / ORDERS, ("time", "fill_time")),
    )


def _decisions(pandas: Any, path: Path) -> Any:
    with path.open(encoding="utf-8") as lines:
        frame = pandas.DataFrame([json.loads(line) for line in lines])
    if frame.empty:
        return frame
    for column, names in (
        ("legal", ACTIONS),
        ("policy", ACTIONS),
        ("visits", ACTIONS),
        ("q", ACTIONS),
        ("outcome", OUTCOMES),
    ):
        values = frame.pop(column)
        for place, name in enumerate(names):
            frame[f"{column}.{name}"] = [None if found is None else found[place] for found in values]
            if column != "legal":
                frame[f"{column}.{name}"] = frame[f"{column}.{name}"].astype(float)
    frame["time"] = pandas.to_datetime(frame["time"], format="ISO8601", utc=True)
    return frame.set_index("seq")


def _table(pandas: Any, path: Path, times: tuple[str, ...]) -> Any:
    """Numbers are converted by Python, which loses nothing, whatever version of pandas reads them."""
    frame = pandas.read_csv(path, dtype=str, keep_default_na=False)
    for column in NUMBERS & set(frame.columns):
        frame[column] = [float(text or "nan") for text in frame[column]]
    for column in COUNTS & set(frame.columns):
        frame[column] = frame[column].astype("int64")
    for column in times:
        frame[column] = pandas.to_datetime(frame[column].replace("", None), format="ISO8601", utc=True)
    return frame
