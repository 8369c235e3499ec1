"""The transcript of a training: how it went, as one JSON document beside the model, for its report."""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from broker.errors import StorageFault
from broker.ticks.optimum import best_pips
from broker.ticks.synth import Plan
from training.course import Course
from training.heldout import Score, threshold
from training.job import TRANSCRIPT
from training.networks import Networks
from training.reliability import outcomes_said, reliability
from training.stopwatch import Stopwatch
from training.store_schema import sync_file
from training.targets import Bools

OTHER = "other"


def transcript(
    course: Course, best: Networks, searched: Score, legal: Bools, plan: Plan | None, warmup_bars: int
) -> dict[str, Any]:
    """What was learned and how well.

    Args:
        best: the weights that the model has. searched: what play with search earned on the held-out data.
        legal: `[3, 4]`. plan: of the synthetic market that the data are, where their optimum is known.
    """
    tapes = [tape for tape, _ in course.held_out]
    said = outcomes_said(best, [inputs for _, inputs in course.held_out], legal)
    found = reliability(said, np.concatenate([tape.label for tape in tapes]))
    raw = course.raw.score()
    optimum = held_out_optimum(plan, warmup_bars, len(tapes[0])) if plan is not None and len(tapes) == 1 else None
    return {
        "passes": [asdict(look) for look in course.looks],
        "held_out": {"decisions": sum(map(len, tapes)), "raw": asdict(raw), "searched": asdict(searched)},
        "verdict": {"z": searched.z, "threshold": threshold(course.counted), "looks": course.counted},
        "optimum": None if optimum is None else optimum | shares(optimum["pips_per_1000_bars"], raw, searched),
        "calibration": asdict(found),
    }


def held_out_optimum(plan: Plan, warmup_bars: int, decisions: int) -> dict[str, Any] | None:
    """What the best policy earns on the end of a synthetic path, from flat to flat.

    The last bar of a file never closes, and the decision before it has no known outcome: the path's last decision but
    one is the tape's last.
    """
    last = plan.bars - 1
    if decisions == 0 or last - decisions < warmup_bars:
        return None
    pips = best_pips(plan, last - decisions, last)
    if pips is None:
        return None
    return {"market": plan.market, "pips_per_1000_bars": pips / decisions * 1000.0}


def shares(optimum: float, raw: Score, searched: Score) -> dict[str, float | None]:
    """Of the optimum, pips per 1000 bars; None where that is next to nothing."""
    names = {"raw_share": raw, "searched_share": searched}
    return {name: score.pips / optimum if optimum >= 1.0 else None for name, score in names.items()}


def times(watch: Stopwatch, elapsed: int) -> dict[str, float]:
    """Seconds by part of the run, and what no part accounts for."""
    known = {name: spent / 1e9 for name, spent in watch.spent.items()}
    return known | {OTHER: max(elapsed / 1e9 - sum(known.values()), 0.0)}


def write(folder: Path, document: Mapping[str, Any]) -> None:
    """Keep it, whole and durably, over one that is there.

    Raises:
        StorageFault: the disk failed.
    """
    aside = folder / f".{TRANSCRIPT}.{os.getpid()}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        aside.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        sync_file(aside)
        aside.replace(folder / TRANSCRIPT)
    except OSError as error:
        raise StorageFault(f"can't keep the transcript: {error.strerror}", where=str(folder)) from error
    finally:
        with suppress(OSError):
            aside.unlink()
