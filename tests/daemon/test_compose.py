"""From config to session: every limit arrives, and each instrument has a generator of its own."""

from dataclasses import fields, replace

from broker.instruments import instrument
from broker.types import DAY, HOUR, SECOND
from daemon.compose import limits_of, make_lane
from daemon.config import Config, Risk
from daemon.summary import Latency
from strategy.baselines import Random
from strategy.hours import News
from strategy.plugin import Context
from strategy.risk import Limits


def test_every_limit_arrives() -> None:
    """Each key of [risk] becomes the limit of its name, but what a stop does; an age in seconds becomes ns."""
    news = (News(1, 2, "USD"),)
    changed = {
        field.name: not value if isinstance(value := getattr(Risk(), field.name), bool) else type(value)(0.25 + 3 * n)
        for n, field in enumerate(fields(Risk))
        if field.name not in ("hours", "news_file", "flatten_on_stop")
    }
    limits = limits_of(replace(Config(), risk=Risk(**changed, hours=("tue 00:00-tue 01:00",))), news)
    expected = {name: value for name, value in changed.items() if name != "max_quote_age_s"}
    expected |= {"hours": ((DAY, DAY + HOUR),), "news": news}
    assert {name: getattr(limits, name) for name in expected} == expected
    assert limits.max_quote_age == round(changed["max_quote_age_s"] * SECOND)
    assert {field.name for field in fields(Limits)} == {*expected, "max_quote_age"}


def test_seeds_differ_by_run_and_instrument() -> None:
    """The same seed and pair give the same draws, another seed or pair others."""
    states = []

    def factory(context: Context) -> Random:
        states.append(tuple(context.seed.generate_state(4)))
        return Random(context)

    for seed, pair in ((0, "EUR_USD"), (0, "EUR_USD"), (0, "USD_JPY"), (1, "EUR_USD")):
        make_lane(instrument(pair), replace(Config(), seed=seed), factory, None, Latency())
    assert states[0] == states[1]
    assert len(set(states)) == 3
