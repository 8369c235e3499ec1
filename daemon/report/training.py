"""The report of a training: what was learned pass by pass, how well it was held to unseen data, and what it cost."""

import json
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from broker.errors import BadInput
from broker.rfc3339 import rfc3339
from daemon.report.chart import Said, Series, diagonal, lines
from daemon.report.parts import Row, asset, digest, signed, table, tile
from daemon.runfiles import REPORT
from daemon.whole import write_whole
from strategy.model import ABSTAINS
from training.job import TRANSCRIPT

LOSSES = {"policy": "blue", "value": "violet", "outcome": "good", "reward": "amber"}
OUTCOMES = {3: ("DOWN", "NEUTRAL", "UP")}
COLOURS = ("bad", "grey", "good", "blue", "violet", "amber", "text")


def is_training(folder: Path) -> bool:
    """Whether a folder holds the transcript of a training."""
    return (folder / TRANSCRIPT).is_file()


def build_training_report(folder: Path) -> Path:
    """Write `report.html` beside the transcript; the same transcript gives the same bytes.

    Raises:
        BadInput: the transcript is damaged.
        OSError: the page can't be written.
    """
    path = folder / REPORT
    try:
        page = render(json.loads((folder / TRANSCRIPT).read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise BadInput("is not the transcript of a training", where=str(folder / TRANSCRIPT)) from error
    write_whole(path, page)
    return path


def render(told: Mapping[str, Any]) -> str:
    """The whole page."""
    style, passes = asset("report.css"), told["passes"]
    steps = [float(one["step"]) for one in passes]
    losses = [Series(name, colour, [one["losses"][name] for one in passes]) for name, colour in LOSSES.items()]
    errors = [Series("TD error", "blue", [one["losses"]["td_error"] for one in passes])]
    scores = [Series("held out", "blue", [one["score"]["pips"] for one in passes])]
    return Template(asset("training.html")).substitute(
        policy=f"default-src 'none'; style-src {digest(style)}; base-uri 'none'",
        style=style,
        title=f"Training of {escape(told['version'])}",
        subtitle=_subtitle(told),
        caveats="".join(f"<li>{escape(caveat)}</li>" for caveat in _caveats(told)),
        tiles="".join(_tiles(told)),
        scores=lines(steps, scores, "step"),
        losses=lines(steps, losses, "step"),
        errors=lines(steps, errors, "step"),
        calibration=_calibration(told["calibration"]),
        held_out=table(("", "Raw policy", "With search"), list(_held_out(told))),
        times=table(("Part", "Seconds", "Share"), list(_times(told))),
        data=table(("", ""), list(_data(told))),
        recipe=table(("", ""), [(name, f"{value}") for name, value in told["recipe"].items()]),
        job=escape(json.dumps(told["job"], indent=1)),
        version=escape(told["version"]),
    )


def _subtitle(told: Mapping[str, Any]) -> str:
    job, data = told["job"], told["data"]
    chips = (
        ("status", told["status"]),
        ("parent", told["parent"] or "none"),
        ("instruments", ", ".join(data["instruments"])),
        ("features", job["feature_set"]),
        ("seed", job["seed"]),
        ("workers", job["workers"]),
    )
    return "".join(f"<span class=chip><b>{name}</b> {escape(str(value))}</span>" for name, value in chips)


def _caveats(told: Mapping[str, Any]) -> Iterator[str]:
    if told["status"] == ABSTAINS:
        yield "It abstains: what it earned on the held-out data may be luck, so it stays out of the market."
    if told["data"]["market"] is not None:
        yield f"Learned on the synthetic market {told['data']['market']['market']}: it knows no real quotes."


def _tiles(told: Mapping[str, Any]) -> Iterator[str]:
    verdict, searched, calibration = told["verdict"], told["held_out"]["searched"], told["calibration"]
    trades = "trades" if told["status"] != ABSTAINS else "abstains"
    yield tile(
        "Verdict", trades, f"z {verdict['z']:.2f}, needed {verdict['threshold']:.2f} at {verdict['looks']} looks"
    )
    yield tile("Held out", signed(searched["pips"], 1), "pips per 1000 bars, with search", searched["pips"])
    if optimum := told["optimum"]:
        share, best = optimum["searched_share"], optimum["pips_per_1000_bars"]
        name = "-" if share is None else f"{100 * share:.1f} %"
        yield tile("Of the optimum", name, f"best possible: {best:,.1f} pips per 1000 bars")
    if calibration is not None:
        yield tile("Calibration error", f"{calibration['error']:.4f}", "expected, of the market outcomes")
    yield tile(
        "Learner", f"{told['learner_steps_per_s']:,.1f}/s", f"{told['steps']:,} steps in {told['seconds']:,.0f} s"
    )
    yield tile("Self-play", f"{told['selfplay_steps_per_s']:,.0f}/s", f"{told['selfplay_steps']:,} decisions")


def _calibration(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "<p class=hint>No held-out decisions.</p>"
    outcomes = 1 + max(one["outcome"] for one in found["bins"])
    names = OUTCOMES.get(outcomes, tuple(f"outcome {k}" for k in range(outcomes)))
    return diagonal(
        [
            Said(names[k], COLOURS[k], one["count"], one["said"], one["came"])
            for one in found["bins"]
            for k in [one["outcome"]]
        ]
    )


def _held_out(told: Mapping[str, Any]) -> Iterator[Row]:
    held = told["held_out"]
    yield ("Pips per 1000 bars", *(signed(held[kind]["pips"], 1) for kind in ("raw", "searched")))
    yield ("z", *(signed(held[kind]["z"], 2) for kind in ("raw", "searched")))
    yield ("Trades per 1000 bars", *(f"{held[kind]['trades']:.1f}" for kind in ("raw", "searched")))
    yield ("In the market", *(f"{100 * held[kind]['in_market']:.0f} %" for kind in ("raw", "searched")))
    if optimum := told["optimum"]:
        shares = (optimum[f"{kind}_share"] for kind in ("raw", "searched"))
        yield ("Share of the optimum", *("-" if share is None else f"{share:.3f}" for share in shares))


def _times(told: Mapping[str, Any]) -> Iterator[Row]:
    total = sum(told["times"].values()) or 1.0
    for name, seconds in sorted(told["times"].items(), key=lambda item: -item[1]):
        yield (name, f"{seconds:,.1f}", f"{100 * seconds / total:.0f} %")


def _data(told: Mapping[str, Any]) -> Iterator[Row]:
    data = told["data"]
    for name in ("ticks", "dropped", "skipped_lines", "decisions"):
        yield (name.replace("_", " ").capitalize(), f"{data[name]:,}")
    yield ("Held out", f"{told['held_out']['decisions']:,}")
    for instrument, window in data.get("windows", {}).items():
        yield (f"{instrument} from", rfc3339(window["first"])[:16].replace("T", " "))
        yield (f"{instrument} to", rfc3339(window["last"])[:16].replace("T", " "))
    for place, sha256 in enumerate(data["sha256"], 1):
        yield (f"File {place}, SHA-256", f"{sha256[:16]}...")
