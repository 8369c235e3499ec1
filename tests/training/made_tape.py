"""Tapes for the learner's tests: a market that swings back strongly, and one that goes anywhere."""

import numpy as np

from broker.bars import BarSize
from broker.instruments import instrument
from broker.types import MINUTE, Quotes
from strategy import features
from training.tape import Tape, record

EDGE20 = features.get("edge20")
WARMUP = 160


def swinging(bars: int, seed: int, pull: float = 0.5) -> Quotes:
    """One quote a bar, 1 pip wide; the mid returns by the share `pull` of its distance from the middle each bar."""
    noise = np.random.default_rng(seed).normal(0.0, 3.0, bars)
    place = np.empty(bars)
    at = 0.0
    for i in range(bars):
        at += noise[i] - pull * at
        place[i] = at
    return quotes_of(place)


def wandering(bars: int, seed: int) -> Quotes:
    """A martingale, 1 pip wide."""
    return quotes_of(np.random.default_rng(seed).normal(0.0, 1.2, bars).cumsum())


def quotes_of(pips: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> Quotes:
    """Mids in pips around 1.1 as quotes, one a minute."""
    mid = 110_000 + np.round(pips * 10).astype(np.int64)
    time = np.arange(len(pips), dtype=np.int64) * MINUTE + MINUTE // 2
    return Quotes(time, mid - 5, mid + 5)


def tape_of(quotes: Quotes, feature_set: str = "edge20") -> Tape:
    """The tape of 1-minute bars of EUR_USD."""
    size = BarSize(clock=True, size=MINUTE)
    return record([quotes], instrument("EUR_USD"), size, features.get(feature_set), WARMUP)
