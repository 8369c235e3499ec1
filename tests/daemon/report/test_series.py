"""What the report draws, against sums over the same files."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.types import MINUTE
from daemon.report import series
from daemon.report.recording import TradeRow, read_recording
from daemon.report.series import EquityCurve, drawn_series, histogram, hours
from tests.daemon.made_run import START, finished_run


def row(pips: float, open_time: int, close_time: int, side: int = 1) -> TradeRow:
    entry = 1.3801
    leaving = entry + side * pips * 1e-4
    return TradeRow(
        "EUR_USD", side, 1000, open_time, entry, close_time, leaving, pips, pips / 10, "USD", pips, 1, "m", "close"
    )


@given(st.lists(st.tuples(st.integers(-99, 99), st.sampled_from([1, -1]), st.integers(1, 3)), max_size=12))
def test_the_marked_curve_is_closed_plus_open(trades: list[tuple[int, int, int]]) -> None:
    """At each decision: pips of trades ended by then, plus what the open one would bring at its closing side."""
    rows, time = [], START
    for pips, side, minutes in trades:
        rows.append(row(pips / 10, time + 10**8, time + minutes * MINUTE + 10**8, side))
        time += minutes * MINUTE
    curve = EquityCurve(rows, {"EUR_USD": 1e-4})
    bid, ask = 1.3790, 1.3792
    for minute in range(40):
        now = START + minute * MINUTE
        curve.mark(now, "EUR_USD", bid, ask)
        closed = sum(one.pips for one in rows if one.close_time <= now)
        worth = sum(
            one.side * ((bid if one.side > 0 else ask) - one.open_price) * 1e4
            for one in rows
            if one.open_time <= now < one.close_time
        )
        point = curve.points.filled[-1]
        assert (point.time, point.closed) == (now, pytest.approx(closed, abs=1e-9))
        assert point.marked == pytest.approx(closed + worth, abs=1e-6)
    assert all(point.fall >= 0 for point in curve.points.filled)


@given(st.lists(st.floats(-500, 500), max_size=300))
def test_the_histogram_counts_every_trade_once(values: list[float]) -> None:
    """Nothing falls out at the ends, 0 is an edge, and the number of bins is bounded."""
    drawn = histogram(values)
    assert sum(drawn["counts"]) == len(values)
    assert len(drawn["counts"]) <= series.HISTOGRAM_BINS + 2
    zero = -drawn["start"] / drawn["width"]
    assert zero == pytest.approx(round(zero), abs=1e-6)


def test_hours_are_utc_hours_of_the_entry() -> None:
    """A trade opened at 03:59 UTC counts for hour 3, whenever it ended."""
    late = START + 4 * 60 * MINUTE - MINUTE
    drawn = hours([row(2.0, late, late + 90 * MINUTE), row(-0.5, late, late + MINUTE), row(1.0, START, late)])
    assert (drawn["trades"][3], drawn["pips"][3]) == (2, 1.5)
    assert (drawn["trades"][0], drawn["pips"][0]) == (1, 1.0)
    assert sum(drawn["trades"]) == 3


def test_series_agree_with_the_run(tmp_path: Path) -> None:
    """Counts of actions and vetoes, the last equity and the number of trades are those of the files."""
    finished_run(tmp_path, decisions=30, pips=(2.0, -1.5, 0.0))
    drawn = drawn_series(read_recording(tmp_path))
    assert [sum(column) for column in zip(*drawn["actions"]["counts"], strict=True)] == [30, 0, 0, 0]
    assert sum(drawn["actions"]["vetoes"]) == 3
    assert drawn["actions"]["value"][0] == 0.125
    assert drawn["actions"]["support"][0] == pytest.approx(5 / 25)
    assert drawn["equity"]["closed"][-1] == 0.5
    assert drawn["trades"]["pips"] == [2.0, -1.5, 0.0]
    assert len(drawn["price"]["EUR_USD"]["time"]) == 30


def test_a_strategy_without_search_draws_no_values(tmp_path: Path) -> None:
    """Null policy, visits and values are holes in a curve, not zeros."""
    finished_run(tmp_path, search=False)
    drawn = drawn_series(read_recording(tmp_path))
    assert set(drawn["actions"]["value"]) == {None}
    assert set(drawn["actions"]["low"]) == {None}


def test_series_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the run, the page stays small: each series keeps to its limit, extremes included."""
    for name in ("EQUITY_POINTS", "PRICE_POINTS", "ACTION_POINTS", "TRADE_ROWS"):
        monkeypatch.setattr(series, name, 8)
    finished_run(tmp_path, decisions=100, pips=[1.0] * 20)
    recording = read_recording(tmp_path)
    drawn = drawn_series(recording)
    assert len(drawn["equity"]["time"]) <= 8
    assert len(drawn["actions"]["start"]) <= 8
    assert len(drawn["trades"]["pips"]) == 8
    price = drawn["price"]["EUR_USD"]
    mids = [(decision["bid"] + decision["ask"]) / 2 for decision in recording.decisions()]
    assert len(price["time"]) <= 8
    assert min(price["low"]) == pytest.approx(min(mids))
    assert max(price["high"]) == pytest.approx(max(mids))
    assert sum(map(sum, drawn["actions"]["counts"])) == 100
    assert not any(math.isnan(value) for value in drawn["equity"]["fall"])
