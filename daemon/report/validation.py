"""The page of a validation: the gate's decision with its reasons, every strategy's curve and figures; no script."""

import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from broker.errors import BadInput
from broker.types import Float64s
from daemon.report.chart import Series, lines
from daemon.report.parts import Row, asset, digest, signed, table, tile
from daemon.runfiles import REPORT
from daemon.whole import write_whole

DOCUMENT = "validation.json"
POINTS = 100
COLOURS = ("blue", "violet", "grey", "bad", "good", "amber")


def drawn_curve(bars: Float64s) -> list[float]:
    """The curve of pips as it is drawn: at most POINTS of it, the first 0, the last the whole.

    >>> drawn_curve(np.array([1.0, -3.0]))
    [0.0, 1.0, -2.0]
    """
    curve = np.concatenate([[0.0], np.cumsum(bars)])
    chosen = np.unique(np.linspace(0, len(curve) - 1, POINTS).astype(np.int64))
    return [round(float(level), 3) for level in curve[chosen]]


def is_validation(folder: Path) -> bool:
    """Whether a validation left this folder."""
    return (folder / DOCUMENT).is_file()


def build_validation_report(folder: Path) -> Path:
    """Write `report.html` beside a validation's document; the same document gives the same bytes.

    Raises:
        BadInput: the document is missing or damaged.
        OSError: the page can't be written.
    """
    source = folder / DOCUMENT
    try:
        page = render(json.loads(source.read_bytes()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"is no validation: {error!r}", where=str(source), mend="validate again") from error
    path = folder / REPORT
    write_whole(path, page)
    return path


def render(document: Mapping[str, Any]) -> str:
    """The whole page."""
    style, gate = asset("report.css"), document["gate"]
    return Template(asset("validation.html")).substitute(
        policy=f"default-src 'none'; style-src {digest(style)}; base-uri 'none'",
        style=style,
        title=f"Validation of {escape(document['version'])}",
        subtitle="".join(_chips(document)),
        caveats="".join(f"<li>{escape(caveat)}</li>" for caveat in document["caveats"]),
        tiles="".join(_tiles(document)),
        decision=_decision(document),
        reasons="".join(f"<li>{escape(reason)}</li>" for reason in gate["reasons"]),
        curves=_drawn(document["curves"]),
        strategies=table(
            ("", "Trades", "Pips a trade", "95 %", "Won", "Net pips", "Per 1000 bars", "95 %", "In market", "Score"),
            [_strategy(name, figures) for name, figures in _strategies(document)],
        ),
        luck=table(("Reality check", ""), _luck(document)),
        drawdown=table(("Pips", ""), _drawdown(document["drawdown_pips"])),
        parts=table(
            ("Part", "Bars", "Pips"),
            [
                (str(number), f"{part['bars']:,}", signed(part["net_pips"], 1))
                for number, part in enumerate(document["walk_forward"], 1)
            ],
        ),
        ticks=table(
            ("Instrument", "Bar", "From", "To", "Ticks"),
            [
                (part["instrument"], part["bar"], part["from"], part["to"], f"{part['ticks']:,}")
                for part in document["ticks"]["stretches"]
            ],
        ),
    )


def _chips(document: Mapping[str, Any]) -> Iterator[str]:
    pairs = (("incumbent", document["incumbent"] or "none"), ("status", document["status"]), ("at", document["time"]))
    for name, value in pairs:
        yield f"<span class=chip><b>{name}</b> {escape(str(value))}</span>"


def _tiles(document: Mapping[str, Any]) -> Iterator[str]:
    expectancy, more = document["expectancy_pips"], document["improvement_pips_per_1000_bars"]
    yield tile("Gate", "passed" if document["gate"]["passed"] else "refused", _decision(document))
    yield tile("Expectancy", signed(expectancy, 3), f"pips a trade, {_interval(document['expectancy_ci95'], 3)}")
    yield tile("Improvement", signed(more, 1), f"pips per 1000 bars, {_interval(document['improvement_ci95'], 1)}")
    yield tile("Trades", f"{document['trades']:,}", f"{100 * document['win_rate']:.1f} % won")


def _decision(document: Mapping[str, Any]) -> str:
    if document["promoted"]:
        return "promoted"
    return "passed, not promoted" if document["gate"]["passed"] else "refused"


def _strategies(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield document["version"], document
    if document["incumbent_figures"] is not None:
        yield f"incumbent {document['incumbent']}", document["incumbent_figures"]
    yield from document["baselines"].items()


def _strategy(name: str, figures: Mapping[str, Any]) -> Row:
    return (
        name,
        f"{figures['trades']:,}",
        signed(figures["expectancy_pips"], 3),
        _interval(figures["expectancy_ci95"], 2),
        f"{100 * figures['win_rate']:.0f} %",
        signed(figures["net_pips"], 1),
        signed(figures["pips_per_1000_bars"], 1),
        _interval(figures["pips_per_1000_bars_ci95"], 1),
        f"{100 * figures['in_market']:.0f} %",
        signed(figures["quality_score"], 2),
    )


def _luck(document: Mapping[str, Any]) -> list[Row]:
    check, error = document["reality_check"], document["calibration_error"]
    return [
        ("Tried since the last promotion", f"{check['tried']:,}"),
        ("p, that it earns", f"{check['p_earns']:.4g}"),
        ("p, that it is better", f"{check['p_improves']:.4g}"),
        ("Calibration error", "-" if error is None else f"{error:.4f}"),
        ("Decision, median", f"{document['decision_ms']['p50']:.3g} ms"),
        ("Decision, p99", f"{document['decision_ms']['p99']:.3g} ms"),
    ]


def _drawdown(found: Mapping[str, float]) -> list[Row]:
    names = (("As it was", "seen"), ("Resampled, median", "p50"), ("Resampled, 95 %", "p95"))
    return [(name, f"{found[key]:,.1f}") for name, key in names]


def _interval(ends: Sequence[float | None], decimals: int) -> str:
    low, high = ends
    return "-" if low is None or high is None else f"{signed(low, decimals)} to {signed(high, decimals)}"


def _drawn(curves: Mapping[str, Sequence[float]]) -> str:
    """The curves on common axes, in parts of the whole stretch; one that ended early is left out."""
    longest = max(map(len, curves.values()))
    share = [100.0 * i / max(longest - 1, 1) for i in range(longest)]
    whole = [(name, curve) for name, curve in curves.items() if len(curve) == longest]
    return lines(
        share, [Series(name, colour, curve) for (name, curve), colour in zip(whole, COLOURS, strict=False)], "%"
    )
