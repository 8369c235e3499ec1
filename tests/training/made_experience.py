"""Segments made up for tests: everything that a row can hold varies."""

from decimal import Decimal

import numpy as np

from broker.types import MINUTE, Trade
from training.experience import Segment, step_dtype

FEATURES = 6
SET = "made6"


def made_segment(
    seq: int,
    n: int = 5,
    *,
    run: str = "made",
    pips: float | None = 1.5,
    expectancy: float = 0.5,
    feature_set: str = SET,
    features: int = FEATURES,
) -> Segment:
    """Steps `seq .. seq + n - 1` of a run, random but the same each time; `pips` None: a flat segment."""
    rng = np.random.default_rng([seq, n, features])
    steps = np.zeros(n, step_dtype(features))
    steps["seq"] = np.arange(seq, seq + n)
    steps["time"] = steps["seq"] * MINUTE
    steps["bid"] = rng.integers(100_000, 200_000, n)
    steps["ask"] = steps["bid"] + rng.integers(0, 30, n)
    for name in ("sigma", "spread", "change", "deviation", "value", "open_pips"):
        steps[name] = rng.standard_normal(n)
    steps["change"][-1], steps["open_pips"][0] = np.nan, -0.0
    steps["searched"] = rng.random(n) < 0.5
    for name, size in (("policy", 4), ("visits", 4), ("q", 4), ("outcome", 3)):
        steps[name] = rng.standard_normal((n, size))
    steps["q"][0, 0] = np.nan
    steps["action"], steps["chosen"] = rng.integers(0, 4, n), rng.integers(0, 4, n)
    steps["position"], steps["legal"] = rng.integers(-1, 2, n), rng.integers(1, 16, n)
    steps["bars_held"] = np.arange(n)
    steps["position_change"][0] = steps["position_change"][-1] = pips is not None
    steps["done"][-1] = seq % 7 == 0
    steps["features"] = rng.standard_normal((n, features))
    models = tuple("model-a" if seq % 2 else "model-b" for _ in range(n))
    trade = made_trade(seq, n, pips) if pips is not None else None
    reward = trade.reward if trade else 0.0
    return Segment(run, "EUR_USD", feature_set, steps, models, pips or 0.0, reward, "2020-01-01", expectancy, trade)


def made_trade(seq: int, bars: int, pips: float) -> Trade:
    """A long trade that earned so many pips."""
    return Trade(
        instrument="EUR_USD",
        side=1,
        units=1000,
        open_time=seq * MINUTE,
        open_price=110_000,
        close_time=(seq + bars) * MINUTE,
        close_price=110_000 + round(pips * 10),
        pips=pips,
        pnl=Decimal("0.10"),
        currency="USD",
        dd_sum=2.0,
        reward=max(pips - 0.02, 0.01) if pips > 0 else pips - 0.02,
        bars=bars,
        model="model-a",
        exit_reason="close",
        stop_price=109_000,
        take_profit_price=0,
    )
