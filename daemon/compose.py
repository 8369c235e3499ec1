"""Composition: the config's values become a session; replay, paper and live differ in broker and clock alone."""

import hashlib
from collections.abc import Sequence

import numpy as np

from broker.bars import BarSize
from broker.ledger import Ledger
from broker.paper import Broker, PaperBroker
from broker.purse import Purse
from broker.rates import Rates
from broker.types import SECOND, Instrument
from daemon.bookkeeping import Timed
from daemon.config import Config, bar_length
from daemon.models import Chosen
from daemon.summary import Latency
from daemon.terms import decimal, decimals, terms_of
from strategy import features
from strategy.discovery import Factory
from strategy.hours import News, windows_of
from strategy.lane import Lane
from strategy.plugin import Context, Strategy
from strategy.risk import Limits, Risk
from strategy.session import Session, Sink

MILLISECOND = SECOND // 1000


def make_lane(
    instrument: Instrument, config: Config, factory: Factory, chosen: Chosen | None, latency: Latency
) -> Lane:
    """One instrument's lane."""
    strategy = make_strategy(instrument, config, factory, chosen, latency)
    kind, size = bar_length(config.bar)
    ledger = Ledger(
        instrument,
        slippage_pips=config.paper.slippage_pips,
        commission_pips=config.paper.commission_pips,
        conversion_fee=decimal(config.account.conversion_fee),
    )
    seen = features.get(strategy.feature_set) if strategy.feature_set else None
    return Lane(instrument, BarSize(kind == "clock", size), seen, strategy, ledger, config.paper.size_units)


def make_strategy(
    instrument: Instrument, config: Config, factory: Factory, chosen: Chosen | None, latency: Latency
) -> Strategy:
    """One instrument's strategy; each gets a generator of its own from the seed and its name."""
    name = int.from_bytes(hashlib.sha256(instrument.name.encode()).digest()[:8])
    settings = dict(config.strategies.get(config.strategy, {}))
    if chosen is not None:
        settings |= {
            "simulations": config.model.simulations,
            "root": config.model.root,
            "allow_reverse": config.risk.allow_reverse,
        }
    context = Context(
        instrument, np.random.SeedSequence((config.seed, name)), chosen.path if chosen else None, settings
    )
    return Timed(factory(context), latency)


def make_session(
    lanes: Sequence[Lane], config: Config, broker: Broker, sink: Sink, run: str, news: tuple[News, ...] = ()
) -> Session:
    """The session over its lanes, with the account's risk; a paper broker fills from the tiers that the lanes see."""
    if isinstance(broker, PaperBroker):
        for lane in lanes:
            broker.look_at(lane.instrument.name, lane.tiers)
    return Session(
        lanes=lanes,
        broker=broker,
        risk=Risk(limits_of(config, news), config.account.balance),
        rates=broker.purse if isinstance(broker, PaperBroker) else Rates(decimals(config.account.rates)),
        account=config.account.currency,
        warmup_bars=config.model.warmup_bars,
        run=run,
        sink=sink,
    )


def paper_broker(config: Config) -> PaperBroker:
    """The paper broker as the [paper] and [account] sections have it."""
    account, paper = config.account, config.paper
    purse = Purse(account.currency, decimal(account.balance), decimals(account.rates), terms_of(config))
    return PaperBroker(paper.latency_ms * MILLISECOND, paper.slippage_pips, purse, partial=paper.fill == "IOC")


def limits_of(config: Config, news: tuple[News, ...] = ()) -> Limits:
    """The [risk] section as the session's limits, and the news that its file has."""
    r = config.risk
    return Limits(
        units=r.units,
        risk_per_trade=r.risk_per_trade,
        stop_sigma=r.stop_sigma,
        take_profit_sigma=r.take_profit_sigma,
        allow_reverse=r.allow_reverse,
        max_units=r.max_units,
        max_exposure=r.max_exposure,
        max_spread_pips=r.max_spread_pips,
        max_daily_loss=r.max_daily_loss,
        max_drawdown=r.max_drawdown,
        max_orders_per_minute=r.max_orders_per_minute,
        max_quote_age=round(r.max_quote_age_s * SECOND),
        flatten_before_weekend=r.flatten_before_weekend,
        hours=tuple(sorted(window for text in r.hours for window in windows_of(text))),
        news=news,
    )
