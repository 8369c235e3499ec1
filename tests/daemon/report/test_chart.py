"""Static charts: what lies higher is drawn higher, whatever the figures."""

import re

from hypothesis import given
from hypothesis import strategies as st

from daemon.report.chart import HEIGHT, WIDTH, Said, Series, diagonal, lines

figures = st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=30)


def circles(chart: str) -> list[tuple[float, float]]:
    """Centres of a chart's points."""
    return [(float(x), float(y)) for x, y in re.findall(r'cx="([^"]+)" cy="([^"]+)"', chart)]


@given(figures)
def test_points_lie_in_order_inside_the_chart(values: list[float]) -> None:
    """Later is further right, more is higher, and nothing lies outside."""
    points = circles(lines([float(i) for i in range(len(values))], [Series("a", "blue", values)], "step"))
    assert len(points) == len(values)
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    for value, (x, y) in zip(values, points, strict=True):
        assert 0 <= x <= WIDTH
        assert 0 <= y <= HEIGHT
        assert all(y <= other + 0.2 for smaller, (_, other) in zip(values, points, strict=True) if smaller < value)


def test_what_is_said_rightly_lies_on_the_diagonal() -> None:
    """Said as often as it comes: on the line; comes more often: above it."""
    chart = diagonal([Said("UP", "good", 10, 0.5, 0.5), Said("UP", "good", 1, 0.5, 0.9)])
    (_, on), (_, above) = circles(chart)
    (start, end) = re.findall(r'class="s-grey" x1="[^"]+" y1="([^"]+)" x2="[^"]+" y2="([^"]+)"', chart)[0]
    assert on == (float(start) + float(end)) / 2
    assert above < on


def test_nothing_learned_is_no_chart() -> None:
    """Without a pass there is a sentence in its place."""
    assert "<svg" not in lines([], [], "step")
