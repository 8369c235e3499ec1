"""A store filled along a tape by a trader without a plan: every decision of the tape in one segment or another."""

from pathlib import Path

import numpy as np

from broker.types import Float64s, Quotes
from tests.training.made_experience import made_trade
from tests.training.made_tape import WARMUP, tape_of
from training.experience import Segment, step_dtype
from training.store_writer import ExperienceWriter
from training.tape import Tape

LONGEST = 30
"""Decisions in a segment."""


def stored_tape(
    path: Path, quotes: Quotes, seed: int = 0, run: str = "made", capacity: int = 50_000, instrument: str = "EUR_USD"
) -> Tape:
    """Store the decisions on quotes, one a bar, as flat stretches and trades in turn; returns their tape."""
    tape, s = tape_of(quotes), deviations(quotes)
    rng = np.random.default_rng(seed)
    writer = ExperienceWriter(path, capacity)
    first, side = 0, 0
    while first < len(tape):
        last = min(first + int(rng.integers(1, LONGEST)), len(tape))
        segment = segment_of(tape, quotes, first, last, side, run, instrument)
        segment.steps["deviation"] = s[first:last]
        writer.append(segment)
        first, side = last, 0 if side else int(rng.choice([-1, 1]))
    writer.close()
    return tape


def segment_of(tape: Tape, quotes: Quotes, first: int, last: int, side: int, run: str, instrument: str) -> Segment:
    """Decisions `first` to `last`; a trade of `side`, or flat."""
    steps = np.zeros(last - first, step_dtype(tape.rows.shape[1]))
    at = np.arange(first, last)
    steps["seq"], steps["time"] = at, tape.time[first:last]
    steps["bid"], steps["ask"] = (side[WARMUP - 1 + at] for side in (quotes.bid, quotes.ask))
    steps["features"], steps["sigma"] = tape.rows[first:last], tape.prices.sigma[first:last]
    steps["change"], steps["spread"], steps["legal"] = tape.prices.change[first:last], 1.0, 7
    steps["position"][1:], steps["position_change"][0] = side, side != 0
    pips = float(side * tape.prices.change[first:last].sum() - 1.0) if side else 0.0
    trade = made_trade(first, last - first, pips) if side else None
    reward = trade.reward if trade else 0.0
    return Segment(run, instrument, "edge20", steps, ("made",) * len(steps), pips, reward, "2020-01-01", 0.0, trade)


def deviations(quotes: Quotes) -> Float64s:
    """s of the market outcome at each decision, pips."""
    change = np.diff((quotes.bid + quotes.ask) / 20.0)
    known = np.lib.stride_tricks.sliding_window_view(change, 20)
    found: Float64s = known[WARMUP - 1 - 20 :].std(axis=1)
    return found
