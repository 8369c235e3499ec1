"""A synthetic tape and the recipe's sizes, for the benchmarks of training."""

import numpy as np

from broker.bars import BarSize
from broker.instruments import instrument
from broker.ticks.synth import Plan, mid_path
from broker.types import MINUTE, Quotes
from strategy import features
from training.export import sizes_for
from training.tape import Tape, record
from training.targets import legal_table
from training.trainer import BIN_WIDTH, BINS

EDGE20 = features.get("edge20")
LEGAL = legal_table(allow_reverse=False)
SIZES = sizes_for("edge20", bins=BINS, value_scale=BIN_WIDTH)
WARMUP = 512


def synthetic_tape(bars: int, market: str = "ou", seed: int = 1) -> Tape:
    """One quote a bar at the market's mids, on a grid of 0.1 pip, 1 pip wide."""
    mid = 110_000 + np.round(mid_path(Plan(market, bars, seed))[1:] * 10).astype(np.int64)
    quotes = Quotes(np.arange(bars, dtype=np.int64) * MINUTE, mid - 5, mid + 5)
    return record([quotes], instrument("EUR_USD"), BarSize(True, MINUTE), EDGE20, WARMUP)
