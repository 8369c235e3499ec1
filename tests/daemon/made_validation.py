"""Small models and recordings for validations."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from broker.instruments import instrument
from broker.types import MINUTE, Quotes
from daemon.config import Config
from daemon.contest import perform, with_model
from daemon.models import Chosen
from daemon.study import write_quotes
from daemon.unseen import Stretch
from strategy.model import TRAINED, load
from training.export import export, sizes_for
from training.model_folders import ModelFolders
from training.networks import Networks

EUR_USD, WARMUP, BARS = instrument("EUR_USD"), 160, 1_200
CONFIG = replace(Config(), model=replace(Config().model, warmup_bars=WARMUP, simulations=2))
TOML = f"[model]\nwarmup_bars = {WARMUP}\nsimulations = 2\n[validation]\nembargo_bars = 200\nresamples = 400\n"


def model(root: Path, seed: int, status: str = TRAINED, **more: Any) -> str:
    """A model of random weights in the registry at `root`; returns its id."""
    sizes = sizes_for("edge20", hidden=16, bins=5)
    return ModelFolders(root).add(export(Networks(sizes, seed), "edge20", seed=seed, status=status, **more))


def made_quotes(seed: int, bars: int = BARS, start: int = 0) -> Quotes:
    """A random walk of two quotes a minute, one pip wide; the bars from `start` on."""
    bid = 110_000 + np.cumsum(np.random.default_rng(seed).integers(-9, 10, (start + bars) * 2))
    time = np.arange(len(bid)) * (MINUTE // 2) + 1
    return Quotes(time[start * 2 :], bid[start * 2 :], bid[start * 2 :] + 10)


def ticks(path: Path, seed: int, bars: int = BARS, start: int = 0) -> Path:
    """The same as a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_quotes(path, EUR_USD, made_quotes(seed, bars, start))
    return path


def rising(seed: int, bars: int = BARS, start: int = 0) -> Quotes:
    """The walk with a drift of three pips a bar: whoever buys wins."""
    quotes = made_quotes(seed, bars, start)
    up = (np.arange(len(quotes)) + start * 2) * 15
    return Quotes(quotes.time, quotes.bid + up, quotes.ask + up)


def with_trades(root: Path, wins: bool, skip: int = 0) -> str:
    """A model that trades often on rising quotes, and wins or loses there; the first after `skip` others."""
    quotes = rising(1, 500)
    parts = [Stretch(EUR_USD, quotes, "1m", int(quotes.time[0]), int(quotes.time[-1]), False)]
    for seed in range(200):
        key = model(root, seed)
        play = perform(with_model(key, Chosen(root / key, load(root / key))), parts, CONFIG).play
        if len(play.trades) > 50 and (play.trades.mean() > 1.0 if wins else play.bars.mean() < -0.3):
            if not skip:
                return key
            skip -= 1
        ModelFolders(root).remove(key)
    raise AssertionError("no seed makes such a model")
