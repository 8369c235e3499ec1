"""Charts drawn once, as SVG: a figure for each pass, and what was said against what came.

They need no script: each point says its figures in a title. Colours are the style sheet's classes.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 560.0, 220.0
LEFT, RIGHT, TOP, BOTTOM = 48.0, 10.0, 8.0, 24.0
ROWS_MOST = 5
LARGEST = 5.0
"""Radius of the largest point."""


@dataclass(frozen=True, slots=True)
class Series:
    """A line of a chart.

    Attributes:
        name: as the legend calls it. colour: a class of the style sheet: blue, good, bad, violet, grey, amber.
        values: one for each x.
    """

    name: str
    colour: str
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class Scale:
    """Where figures lie between two pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def lines(x: Sequence[float], series: Sequence[Series], x_name: str) -> str:
    """Lines over a common x, with a legend.

    Args:
        x: rising. x_name: of its figures.
    """
    values = [value for one in series for value in one.values]
    if not values:
        return "<p class=hint>Nothing was learned.</p>"
    low, high = min(values), max(values)
    pad = (high - low) * 0.06 or abs(high) * 0.01 or 1.0
    across = Scale(x[0], max(x[-1], x[0] + 1e-9), LEFT, WIDTH - RIGHT)
    up = Scale(low - pad, high + pad, HEIGHT - BOTTOM, TOP)
    parts = [*_rows(up), *_columns(across, (x[0], x[len(x) // 2], x[-1]), x_name)]
    for one in series:
        points = [(across(place), up(value)) for place, value in zip(x, one.values, strict=True)]
        line = "L".join(f"{a:.1f} {b:.1f}" for a, b in points)
        parts.append(f'<path class="line s-{one.colour}" d="M{line}"/>')
        for (a, b), place, value in zip(points, x, one.values, strict=True):
            title = escape(f"{one.name} {value:.4g} at {x_name} {place:g}")
            parts.append(
                f'<circle class="f-{one.colour}" cx="{a:.1f}" cy="{b:.1f}" r="2"><title>{title}</title></circle>'
            )
    return legend({one.name: one.colour for one in series}) + _svg(parts)


@dataclass(frozen=True, slots=True)
class Said:
    """Predictions that lie near each other: how many, what they said on average, how often it came."""

    name: str
    colour: str
    count: int
    said: float
    came: float


def diagonal(points: Sequence[Said]) -> str:
    """A reliability diagram: where what is said comes as often, the points lie on the diagonal."""
    across, up = Scale(0.0, 1.0, LEFT, WIDTH - RIGHT), Scale(0.0, 1.0, HEIGHT - BOTTOM, TOP)
    parts = [*_rows(up), *_columns(across, (0.0, 0.25, 0.5, 0.75, 1.0), "said")]
    ends = f'x1="{across(0):.1f}" y1="{up(0):.1f}" x2="{across(1):.1f}" y2="{up(1):.1f}"'
    parts.append(f'<line class="s-grey" {ends}/>')
    most = max((point.count for point in points), default=1)
    for point in points:
        radius = 1.5 + (LARGEST - 1.5) * math.sqrt(point.count / most)
        title = escape(f"{point.name}: said {point.said:.3f}, came {point.came:.3f}, {point.count:,} times")
        where = f'cx="{across(point.said):.1f}" cy="{up(point.came):.1f}" r="{radius:.1f}"'
        parts.append(f'<circle class="f-{point.colour}" {where}><title>{title}</title></circle>')
    return legend({point.name: point.colour for point in points}) + _svg(parts)


def legend(colours: Mapping[str, str]) -> str:
    """Names with their colours."""
    keys = (f'<span class=key><i class="f-{colour}"></i>{escape(name)}</span>' for name, colour in colours.items())
    return f"<p class=legend>{''.join(keys)}</p>"


def _rows(up: Scale) -> Iterator[str]:
    """Horizontal lines at round figures, with their names."""
    rough = (up.high - up.low) / ROWS_MOST
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= rough * (1 - 1e-9))
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    for number in range(math.ceil(up.low / step - 1e-9), math.floor(up.high / step + 1e-9) + 1):
        y, kind = up(number * step), "grid" if number else "zero"
        yield f'<line class="{kind}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        label = f"{number * step:,.{decimals}f}".replace("-", "\u2212")
        yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{label}</text>'


def _columns(across: Scale, places: Sequence[float], name: str) -> Iterator[str]:
    """Names of some figures below."""
    for number, place in enumerate(dict.fromkeys(places)):
        text = f"{place:,g}" if number else f"{escape(name)} {place:,g}"
        yield f'<text x="{across(place):.1f}" y="{HEIGHT - 6}" text-anchor="middle">{text}</text>'


def _svg(parts: Sequence[str]) -> str:
    return f'<div class=chart><svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img">{"".join(parts)}</svg></div>'
