"""Bars as quotes."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import BadInput
from broker.ticks import ReadOptions, open_ticks, stream

HEADER = "time,open_bid,high_bid,low_bid,close_bid,open_ask,high_ask,low_ask,close_ask,volume\n"
BID_HEADER = "time,open_bid,high_bid,low_bid,close_bid,volume\n"
MIN = 60 * 10**9
PRICES = st.lists(st.integers(100000, 100010), min_size=8, max_size=8)


def quotes_of(path: Path, **options: float | int) -> list[tuple[int, int, int]]:
    """All quotes `(time, bid, ask)`, raw."""
    chosen = ReadOptions(**options)  # type: ignore[arg-type]
    file = open_ticks(path, chosen)
    return [row for q in file.quotes(True) for row in zip(q.time.tolist(), q.bid.tolist(), q.ask.tolist(), strict=True)]


@given(st.lists(st.tuples(st.integers(1, 9), PRICES), min_size=1, max_size=12), st.sampled_from([1, 8, 65536]))
def test_a_bar_is_four_quotes(
    tmp_path_factory: pytest.TempPathFactory, bars: list[tuple[int, list[int]]], batch: int
) -> None:
    """Open at the start, low and high at the thirds (the high first where the bid fell), close 1 ms before the end."""
    path, minute, rows = tmp_path_factory.mktemp("b") / "EUR_USD.csv", 0, [(0, [100000] * 8)]
    for gap, prices in bars:
        minute += gap
        rows.append((minute, prices))
    step = min(gap for gap, _ in bars) * MIN
    texts = [f"1970-01-01T{m // 60:02d}:{m % 60:02d}:00Z,{','.join(f'{p / 1e5:.5f}' for p in ps)},0" for m, ps in rows]
    path.write_text(HEADER + "\n".join(texts) + "\n")
    expected = []
    for m, (ob, hb, lb, cb, oa, ha, la, ca) in rows:
        inner = [(hb, ha), (lb, la)] if cb < ob else [(lb, la), (hb, ha)]
        times = [m * MIN, m * MIN + step // 3, m * MIN + 2 * step // 3, m * MIN + step - 10**6]
        expected += [(t, *sides) for t, sides in zip(times, [(ob, oa), *inner, (cb, ca)], strict=True)]
    assert quotes_of(path, batch=batch) == expected
    assert open_ticks(path).bar_step == step


def test_bid_only_bars_need_a_spread(tmp_path: Path) -> None:
    """Without an ask nothing can be traded: the message names the flag that mends it."""
    path = tmp_path / "USD_JPY.csv"
    path.write_text(BID_HEADER + "".join(f"2013-01-01T{h:02d}:00:00Z,90.1,90.2,90.0,NaN,5\n" for h in (1, 2)))
    file = open_ticks(path)
    with pytest.raises(BadInput, match="--spread-pips"):
        stream([file], ReadOptions())
    for spread in (-1.0, float("nan")):
        with pytest.raises(BadInput, match="--spread-pips"):
            stream([open_ticks(path, ReadOptions(spread_pips=spread))], ReadOptions())
    asks = [ask - bid for _, bid, ask in quotes_of(path, spread_pips=1.5)]
    assert asks == [15, 15, 15, 0] * 2
    quotes = stream([open_ticks(path, ReadOptions(spread_pips=1.5))], ReadOptions())
    assert [len(q) for q in quotes] == [6]
    assert (quotes.read, quotes.dropped) == (8, 2)


def test_bars_at_the_same_time_or_alone_are_refused(tmp_path: Path) -> None:
    """Bars that overlap can't be replayed, and one bar does not say how long it is."""
    path = tmp_path / "EUR_USD.csv"
    prices = "1.1,1.1,1.1,1.1,1.2,1.2,1.2,1.2,0\n"
    lines = [f"2013-01-01T{t}:00Z,{prices}" for t in ("00:00", "00:01", "00:01")]
    path.write_text(HEADER + "".join(lines))
    with pytest.raises(BadInput, match="csv:4: the time .* is not after the one before"):
        quotes_of(path)
    path.write_text(HEADER + lines[0])
    with pytest.raises(BadInput, match="single bar"):
        open_ticks(path)
