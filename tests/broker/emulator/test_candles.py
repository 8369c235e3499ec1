"""Candles of ticks, held to a plain reference that looks at each tick by the calendar."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.emulator.candles import GRANULARITIES, Alignment, boundaries, candles, span
from broker.emulator.history import Shown
from broker.rfc3339 import parse_rfc3339, rfc3339
from broker.types import DAY, SECOND
from tests.broker.emulator.served import START, new_exchange, served, tick_file

UNITS = {"S": 1, "M": 60, "H": 3600}


def start_of(time: int, alignment: Alignment) -> int:
    """Start of the candle that holds a time, worked out in local wall-clock terms."""
    name = alignment.granularity
    length = UNITS[name[0]] * int(name[1:]) if name[1:] else None
    if length is not None and length <= 3600:
        return time - time % (length * SECOND)
    local = datetime.fromtimestamp(time // SECOND, UTC).astimezone(alignment.zone)
    day = local.replace(hour=alignment.hour, minute=0, second=0, microsecond=0)
    day = day if local.hour >= alignment.hour else day - timedelta(days=1)
    if name == "W":
        while day.weekday() != alignment.weekday:
            day -= timedelta(days=1)
    if name == "M":
        eve = 1 if alignment.hour >= 12 else 0
        while (day + timedelta(days=eve)).day != 1:
            day -= timedelta(days=1)
    start = int(day.replace(tzinfo=alignment.zone).timestamp()) * SECOND
    return start + (time - start) // (length * SECOND) * (length * SECOND) if length else start


@given(
    times=st.lists(st.integers(1_388_534_400 * SECOND, 1_420_000_000 * SECOND), min_size=1, max_size=30),
    granularity=st.sampled_from(GRANULARITIES),
    hour=st.sampled_from((0, 5, 17, 22)),
    zone=st.sampled_from(("America/New_York", "UTC", "Europe/London", "Asia/Tokyo")),
    weekday=st.integers(0, 6),
)
def test_starts_are_where_the_calendar_says(
    times: list[int], granularity: str, hour: int, zone: str, weekday: int
) -> None:
    """Every granularity, alignment and time of year, over the changes of the clocks."""
    alignment = Alignment(granularity, hour, ZoneInfo(zone), weekday)
    for time in times:
        starts = boundaries(alignment, time, time + 1)
        assert rfc3339(int(starts[0])) == rfc3339(start_of(time, alignment))
        assert starts[0] <= time < starts[1]


@given(data=st.data(), granularity=st.sampled_from(("S5", "M1", "M10", "H1", "H4", "D", "W", "M")))
def test_candles_are_those_of_the_ticks(data: st.DataObject, granularity: str) -> None:
    """Open, high, low, close and volume of every candle, each side by its own column, only where there are ticks."""
    steps = data.draw(st.lists(st.integers(0, DAY), min_size=1, max_size=60))
    times = START + np.cumsum(np.array(steps, np.int64))
    bids = np.array(data.draw(st.lists(st.integers(100, 200), min_size=len(steps), max_size=len(steps))), np.int64)
    shown, alignment = Shown(times, bids, bids + 4), Alignment(granularity)
    now = int(times[-1]) + data.draw(st.integers(0, 2 * DAY))
    found = candles(shown, alignment, 2, now, "MBA")
    groups: dict[int, list[int]] = {}
    for time, bid in zip(times.tolist(), bids.tolist(), strict=True):
        groups.setdefault(start_of(time, alignment), []).append(bid)
    assert [one["time"] for one in found] == [rfc3339(start) for start in groups]
    for one, prices in zip(found, groups.values(), strict=True):
        assert one["volume"] == len(prices)
        for side, extra in (("bid", 0), ("mid", 2), ("ask", 4)):
            wanted = [prices[0], max(prices), min(prices), prices[-1]]
            assert list(one[side].values()) == [f"{(price + extra) / 100:.2f}" for price in wanted]
    assert all(one["complete"] for one in found[:-1])
    end = int(boundaries(alignment, int(times[-1]), int(times[-1]))[1])
    assert found[-1]["complete"] is (end <= now)


@given(count=st.integers(1, 9), newest=st.booleans(), steps=st.lists(st.integers(0, 20), min_size=1, max_size=80))
def test_a_span_holds_whole_candles(count: int, newest: bool, steps: list[int]) -> None:
    """The first or last `count` candles, no tick of theirs cut off."""
    times = START + np.cumsum(np.array(steps, np.int64)) * SECOND
    shown, alignment = Shown(times, times, times), Alignment("S5")
    part = span(shown, alignment, count, 0, len(times), newest)
    starts = [start_of(int(time), alignment) for time in times]
    kept = sorted(set(starts))[-count:] if newest else sorted(set(starts))[:count]
    assert [start for start in starts if start in kept] == starts[part]


async def test_the_route_knows_its_parameters(tmp_path: Path) -> None:
    """count, from, to, includeFirst and smooth; what can't be together is refused."""
    quotes = [(second, 110_000 + second, 110_010 + second) for second in range(60)]
    exchange = new_exchange([tick_file(tmp_path, quotes)])
    async with served(exchange, speed=0.0) as client:
        await client.control("clock", time=rfc3339(START + 32 * SECOND))
        path = "/v3/instruments/EUR_USD/candles"

        async def starts(**params: str) -> list[int]:
            found = (await client.get(path, granularity="S5", **params))["candles"]
            return [(parse_rfc3339(one["time"]) - START) // SECOND for one in found]

        assert await starts() == [0, 5, 10, 15, 20, 25, 30]
        assert await starts(count="2") == [25, 30]
        begin, end = rfc3339(START + 7 * SECOND), rfc3339(START + 20 * SECOND)
        assert await starts(**{"from": begin, "count": "2"}) == [5, 10]
        assert await starts(**{"from": begin, "to": end}) == [5, 10, 15]
        assert await starts(**{"from": begin, "to": end, "includeFirst": "false"}) == [10, 15]
        assert await starts(to=end, count="1") == [15]
        assert await starts(**{"from": "1398902407.000000000", "count": "1"}) == [5]
        smooth = (await client.get(path, granularity="S5", smooth="true", price="B"))["candles"]
        assert [one["bid"]["o"] for one in smooth[1:]] == [one["bid"]["c"] for one in smooth[:-1]]
        assert [one["complete"] for one in smooth] == [True] * 6 + [False]
        for wrong in (
            {"from": begin, "to": end, "count": "3"}, {"count": "5001"}, {"granularity": "M3"}, {"price": "X"},
            {"from": rfc3339(START + DAY)}, {"to": rfc3339(START + DAY)}, {"dailyAlignment": "24"},
            {"alignmentTimezone": "../etc/passwd"}, {"alignmentTimezone": "Nowhere"}, {"weeklyAlignment": "Someday"},
            {"from": end, "to": begin}, {"from": "x"},
        ):  # fmt: skip
            status, said = await client.call("GET", path, params=wrong)
            assert status == 400, wrong
            assert "errorMessage" in said


@pytest.mark.parametrize("granularity", GRANULARITIES)
async def test_every_granularity_is_served(granularity: str, tmp_path: Path) -> None:
    """All twenty-one."""
    async with served(new_exchange([tick_file(tmp_path, [(0, 110_000, 110_010)])])) as client:
        said = await client.get("/v3/instruments/EUR_USD/candles", granularity=granularity)
        assert (said["granularity"], len(said["candles"])) == (granularity, 1)
