"""The page of a validation: whole figures, nothing that runs, and one curve for each strategy."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from daemon.report.validation import COLOURS, POINTS, drawn_curve, render

FIGURES = {
    "trades": 40, "expectancy_pips": 1.5, "expectancy_ci95": [0.5, 2.5], "win_rate": 0.6, "net_pips": 60.0,
    "quality_score": 21.25, "pips_per_1000_bars": 30.0, "pips_per_1000_bars_ci95": [None, None], "in_market": 0.4,
}  # fmt: skip
NAMES = ("candidate", "incumbent", "hold", "random", "ema-cross", "mean-reversion")
DOCUMENT = {
    **FIGURES,
    "version": "0123456789abcdef",
    "incumbent": "<script>alert(1)</script>",
    "status": "trained",
    "time": "2026-01-01T00:00:00.000000000Z",
    "improvement_pips_per_1000_bars": 12.0,
    "improvement_ci95": [2.0, 22.0],
    "reality_check": {"tried": 7, "p_earns": 0.002, "p_improves": 0.004},
    "drawdown_pips": {"seen": 10.0, "p50": 12.0, "p95": 30.0},
    "decision_ms": {"p50": 0.2, "p99": 1.1},
    "calibration_error": None,
    "incumbent_figures": FIGURES,
    "baselines": dict.fromkeys(NAMES[2:], FIGURES),
    "walk_forward": [{"bars": 500, "net_pips": 30.0}] * 4,
    "gate": {"passed": False, "reasons": ["a reason & another"]},
    "promoted": False,
    "ticks": {"stretches": [{"instrument": "EUR_USD", "bar": "1m", "from": "a", "to": "b", "ticks": 12_000}]},
    "caveats": ["<b>Few trades</b>"],
    "curves": {name: drawn_curve(np.full(1000, 0.1 * number)) for number, name in enumerate(NAMES)},
}  # fmt: skip


def test_the_page_says_it_all_and_runs_nothing() -> None:
    """Every strategy, the reasons and the tries; what a name or caveat holds is text."""
    page = render(DOCUMENT)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "a reason &amp; another" in page
    assert "12,000" in page
    assert page.count('class="line') == len(NAMES) <= len(COLOURS)
    assert "default-src 'none'" in page


def test_what_failed_is_drawn_without_a_curve() -> None:
    """A candidate that answered NaN has no curve; the others have."""
    page = render({**DOCUMENT, "curves": {**DOCUMENT["curves"], "candidate": [0.0]}, "promoted": True})
    assert page.count('class="line') == len(NAMES) - 1
    assert "promoted" in page


@given(st.lists(st.integers(-9, 9), max_size=1000))
def test_a_curve_ends_where_it_ended(bars: list[int]) -> None:
    """Thinned, it still begins at 0 and ends at the sum."""
    curve = drawn_curve(np.array(bars, np.float64))
    assert (curve[0], curve[-1]) == (0.0, float(sum(bars)))
    assert len(curve) <= POINTS
