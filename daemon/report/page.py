"""The page: figures and tables as HTML, series as inert JSON, one style sheet and one script, all inline.

Nothing from a run's folder reaches the page unescaped, and a content security policy allows the page's own script and
style by their digests and nothing else: no request leaves the file, whatever a model or a strategy calls itself.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from daemon.report.parts import Row, asset, digest, signed, table, tile
from daemon.report.recording import Recording, TradeRow, read_recording
from daemon.report.series import TRADE_ROWS, drawn_series
from daemon.runfiles import REPORT
from daemon.whole import write_whole


def build_report(folder: Path, summary: Mapping[str, Any] | None = None) -> Path:
    """Write `report.html` into a run's folder; the same files give the same bytes.

    Args:
        summary: the run's summary where summary.json isn't written yet.

    Raises:
        BadInput: there is no finished run, or a file of it is damaged.
        OSError: the page can't be written.
    """
    page = render(read_recording(folder, summary))
    path = folder / REPORT
    write_whole(path, page)
    return path


def render(recording: Recording) -> str:
    """The whole page."""
    summary, style, script = recording.summary, asset("report.css"), asset("report.js")
    return Template(asset("page.html")).substitute(
        policy=f"default-src 'none'; style-src {digest(style)}; script-src {digest(script)}; base-uri 'none'",
        style=style,
        script=script,
        badge=escape(str(summary.get("mode", "run")).upper()),
        title=escape(_title(summary)),
        subtitle=_subtitle(summary),
        caveats="".join(f"<li>{escape(str(caveat))}</li>" for caveat in summary.get("caveats", ())),
        tiles="".join(_tiles(summary)),
        sides=table(("Side", "Trades", "Won", "Pips"), _grouped(recording.trades, _side)),
        exits=table(("Exit", "Trades", "Won", "Pips"), _grouped(recording.trades, lambda trade: trade.exit_reason)),
        instruments=table(
            ("Instrument", "Trades", "Won", "Pips"), _grouped(recording.trades, lambda trade: trade.instrument)
        ),
        costs=table(("", "Pips"), _costs(summary)),
        money=table(("Money", ""), _money(summary)),
        counts=table(("Counted", ""), _counts(summary)),
        trades_note=_trades_note(len(recording.trades)),
        config=escape(recording.config or "not recorded"),
        environment=escape(recording.environment or "not recorded"),
        digest=escape(str(summary.get("decision_log_sha256", ""))),
        data=_inert_json(drawn_series(recording)),
    )


def _title(summary: Mapping[str, Any]) -> str:
    instruments = ", ".join(map(str, summary.get("instruments", ())))
    return f"{str(summary.get('mode', 'run')).capitalize()} of {instruments or 'nothing'}"


def _subtitle(summary: Mapping[str, Any]) -> str:
    chips = (
        ("strategy", summary.get("strategy")),
        ("model", summary.get("model")),
        ("bar", summary.get("bar")),
        ("data", summary.get("source")),
        ("from", _minute(summary.get("first"))),
        ("to", _minute(summary.get("last"))),
        ("seed", summary.get("seed")),
    )
    return "".join(
        f"<span class=chip><b>{name}</b> {escape(str(value))}</span>" for name, value in chips if value is not None
    )


def _tiles(summary: Mapping[str, Any]) -> Iterator[str]:
    latency = summary.get("decision_ms") or {}
    trades = summary.get("trades", 0)
    yield tile("Net pips", signed(summary["net_pips"], 1), "after spread, slippage, commission", summary["net_pips"])
    expectancy = summary.get("expectancy_pips", 0.0)
    yield tile("Expectancy", signed(expectancy, 3), "pips a trade", expectancy)
    yield tile("Trades", f"{trades:,}", f"{summary.get('wins', 0):,} won, {summary.get('losses', 0):,} lost")
    yield tile("Win rate", f"{100 * summary.get('win_rate', 0.0):.1f} %", "trades above 0 pips")
    if optimum := summary.get("optimum"):
        share = "-" if optimum["share"] is None else f"{100 * optimum['share']:.1f} %"
        yield tile("Of the optimum", share, f"best possible here: {optimum['pips']:,.1f} pips ({optimum['market']})")
    factor = summary.get("profit_factor")
    yield tile("Profit factor", "-" if factor is None else f"{factor:.2f}", "pips won over pips lost")
    marked = summary.get("max_drawdown_mtm_pips", 0.0)
    yield tile(
        "Drawdown", f"{summary.get('max_drawdown_pips', 0.0):,.1f}", f"pips, closed; {marked:,.1f} marked to market"
    )
    yield tile(
        "Decisions",
        f"{summary.get('decisions', 0):,}",
        f"p50 {_duration(latency.get('p50', 0.0))}, p99 {_duration(latency.get('p99', 0.0))}",
    )
    speed = f"in {summary.get('seconds', 0.0):,.1f} s, {summary.get('ticks_per_s', 0.0):,.0f} ticks/s"
    yield tile("Ticks", f"{summary.get('ticks', 0):,}", speed)


def _grouped(trades: Sequence[TradeRow], key: Any) -> list[Row]:
    groups: dict[str, list[float]] = {}
    for trade in trades:
        groups.setdefault(str(key(trade)), []).append(trade.pips)
    return [
        (name, f"{len(pips):,}", f"{100 * sum(result > 0 for result in pips) / len(pips):.0f} %", signed(sum(pips), 1))
        for name, pips in sorted(groups.items())
    ]


def _side(trade: TradeRow) -> str:
    return "long" if trade.side > 0 else "short"


def _costs(summary: Mapping[str, Any]) -> list[Row]:
    costs = summary["costs"]
    return [
        ("Gross, mid to mid", signed(costs["gross_pips"], 1)),
        ("Spread", signed(-costs["spread_pips"], 1)),
        ("Slippage", signed(-costs["slippage_pips"], 1)),
        ("Commission", signed(-costs["commission_pips"], 1)),
        ("Net", signed(summary["net_pips"], 1)),
    ]


def _money(summary: Mapping[str, Any]) -> Sequence[Row]:
    profit = [(f"Profit, {currency}", signed(amount, 2)) for currency, amount in summary.get("pnl", {}).items()]
    financing = summary["costs"].get("financing", {})
    return profit + [(f"of it financing, {currency}", signed(amount, 2)) for currency, amount in financing.items()]


def _counts(summary: Mapping[str, Any]) -> Sequence[Row]:
    names = ("ticks", "dropped", "skipped_lines", "bars", "decisions", "orders", "trades")
    counts = [(name.replace("_", " ").capitalize(), f"{summary[name]:,}") for name in names if name in summary]
    score = summary.get("quality_score")
    return counts if score is None else [*counts, ("Quality score", signed(score, 3))]


def _trades_note(trades: int) -> str:
    return (
        f"The first {TRADE_ROWS:,} of {trades:,}; trades.csv holds all."
        if trades > TRADE_ROWS
        else f"{trades:,} in all."
    )


def _duration(milliseconds: float) -> str:
    return f"{milliseconds:.3g} ms" if milliseconds >= 0.1 else f"{1000 * milliseconds:.3g} us"


def _minute(time: object) -> str | None:
    return None if time is None else str(time)[:16].replace("T", " ")


def _inert_json(document: Mapping[str, Any]) -> str:
    """JSON that can't end the script element that holds it."""
    text = json.dumps(document, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
