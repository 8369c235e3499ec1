"""A small run made by hand, for the tests of what a run leaves."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from broker.types import MINUTE, Action, Bar, Cancel, Fill, Instrument, Order, Trade
from daemon.runfolder import RunFolder
from daemon.summary import Costs, Counts, Latency, Run, summarise
from strategy.plugin import Choice, Observation

EUR_USD = Instrument("EUR_USD", -4, 5, Decimal("0.02"))
START = 1_398_902_400_000_000_000
HOSTILE = '</script><script>alert(1)</script><img src=x onerror="alert(2)">&\u2028'


def observation(seq: int, bid: int = 138000, ask: int = 138010, position: int = 0) -> Observation:
    time = START + (seq + 1) * MINUTE
    bar = Bar(time - MINUTE, time, bid, bid, bid, bid, 1.0, bid, ask, 10)
    legal = (True, position == 0, position == 0, position != 0)
    return Observation(seq, time, EUR_USD, bar, bid, ask, position, position, legal, None, 1.0, 1.0, 0.0, 0)


def searched(action: Action = Action.HOLD) -> Choice:
    return Choice(action, (0.1, 0.2, 0.7, 0.0), (5, 5, 15, 0), (0.1, -0.2, 1 / 3, None), (0.25, 0.5, 0.25), 0.125)


def trade(pips: float, open_time: int = START, model: str = "m", reason: str = "close", currency: str = "USD") -> Trade:
    entry = 138010
    leaving = entry + round(pips * 10)
    return Trade(
        instrument="EUR_USD",
        side=1,
        units=1000,
        open_time=open_time,
        open_price=entry,
        close_time=open_time + 3 * MINUTE,
        close_price=leaving,
        pips=pips,
        pnl=Decimal(leaving - entry) / 100,
        currency=currency,
        dd_sum=1.0,
        reward=max(pips - 0.01, 0.01) if pips > 0 else pips - 0.01,
        bars=3,
        model=model,
        exit_reason=reason,
        stop_price=137000,
        take_profit_price=0,
    )


def summary_of(
    folder: RunFolder, trades: Sequence[Trade], decisions: int, model: str = "m", strategy: str = "muzero", **flags: Any
) -> dict[str, Any]:
    run = Run(strategy, model, 7, str(folder.path), "quotes", (EUR_USD,), "1m", **flags)
    counts = Counts(
        ticks=10 * decisions,
        dropped=1,
        skipped_lines=0,
        bars=decisions,
        decisions=decisions,
        orders=len(trades),
        first=START,
        last=START + decisions * MINUTE,
        seconds=2.0,
        max_drawdown_mtm_pips=3.0,
        costs=Costs(),
        latency=Latency(),
        decision_log_sha256=folder.decision_log_sha256,
    )
    return summarise(trades, counts, run)


def finished_run(
    path: Path,
    decisions: int = 30,
    pips: Sequence[float] = (2.0, -1.5, 0.0),
    search: bool = True,
    model: str = "m",
    text: str = "",
) -> dict[str, Any]:
    """Write a whole run; `text` is put wherever a name or a file's content may go."""
    generator = np.random.default_rng(1)
    trades = [
        trade(value, START + (4 * place + 1) * MINUTE, model, "close" + text, "USD" + text)
        for place, value in enumerate(pips)
    ]
    with RunFolder.create(path) as folder:
        for seq in range(decisions):
            bid = 138000 + int(generator.integers(-50, 50))
            choice = searched() if search else Choice(Action.HOLD)
            folder.decision(
                observation(seq, bid, bid + 10), choice, 0, f"max_spread{text}" if seq % 9 == 4 else None, model
            )
        for one in trades:
            folder.trade(one, EUR_USD)
            order = Order(f"mt-t-{one.open_time}", one.open_time, "EUR_USD", 1000, 0, 0, "entry", 1, model)
            fill = Fill(
                order.id, one.open_time, "EUR_USD", 1000, one.open_price, one.open_price - 10, one.open_price, "entry"
            )
            folder.order(order, fill, EUR_USD)
        summary = summary_of(folder, trades, decisions, model, f"muzero{text}", untrained=True)
        folder.finish(summary, f'strategy = "muzero"\n# {text}\n', {"cpu": text})
    return summary


CANCELLED = Cancel("mt-t-9", START, "EUR_USD", "cancelled", "position_gone")
