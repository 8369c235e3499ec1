"""The sections of config.toml. A key's default, unit, rule and documentation stand here and nowhere else.

Only what does something today is here: a key that nothing reads would be a promise.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from broker.types import DAY, HOUR, MINUTE, SECOND
from daemon.config.keys import Rule, at_least, between, key, one_of, spelled
from strategy.hours import windows_of

CURRENCY = "[A-Z]{3}"
PAIR = "[A-Z0-9]+_[A-Z]{3}"
LENGTHS = {"s": SECOND, "m": MINUTE, "h": HOUR}


def bar_length(text: str) -> tuple[str, int]:
    """The kind and size of a bar: `("clock", ns)`, or `("tick", number of quotes)`.

    Raises:
        ValueError: it's neither like `5s`, `1m`, `4h` nor like `100t`, or longer than a week or a million quotes.

    >>> bar_length("1m"), bar_length("100t")
    (('clock', 60000000000), ('tick', 100))
    """
    found = re.fullmatch(r"([1-9][0-9]*)([smht])", text)
    if found is None:
        raise ValueError(f"no length of a bar: {text!r}")
    number, letter = int(found[1]), found[2]
    kind, size, most = ("tick", number, 10**6) if letter == "t" else ("clock", number * LENGTHS[letter], 7 * DAY)
    if size > most:
        raise ValueError(f"a bar of {text} is too long")
    return kind, size


def _is_bar(text: str) -> bool:
    try:
        bar_length(text)
    except ValueError:
        return False
    return True


def _are_hours(texts: tuple[str, ...]) -> bool:
    try:
        return bool([windows_of(text) for text in texts]) or not texts
    except ValueError:
        return False


WEEKLY, NIGHTLY_COPY, NIGHTLY_PRUNE, MORNING = "30 2 * * sat", "15 1 * * *", "45 1 * * *", "5 0 * * *"


def _is_when(text: str) -> bool:
    """Whether it is a schedule; the library that knows is loaded only for what is not a default."""
    if text in ("", WEEKLY, NIGHTLY_COPY, NIGHTLY_PRUNE, MORNING):
        return True
    try:
        import_module("daemon.schedule").trigger_of(text)
    except ValueError:
        return False
    return True


ZERO_IS_OFF = "; 0 = off"
BAR = Rule('like "5s", "1m", "4h" (at most a week) or "100t" (at most 1000000)', _is_bar)
WHEN = Rule('a cron line like "30 2 * * sat", an interval like "every 6h", or ""', _is_when)
HOURS = Rule('a list of windows like "mon 00:00-fri 20:00", or like "07:00-17:00" for each day', _are_hours)
NOT_EMPTY = spelled(".+", "not empty")
ACCOUNTS = Rule("a list of different ids", lambda ids: not ids or spelled("[0-9-]+", "").allows(ids))
EVENTS = Rule(
    "a list of these", lambda words: all(re.fullmatch("trade|halt|model|job|summary", word) for word in words)
)
HOST = r"(?:[A-Za-z0-9-]+\.)*[A-Za-z0-9-]+(?::[0-9]{1,5})?"
HOSTS = Rule("a list of host names", lambda names: not names or spelled(HOST, "").allows(names))
POSITIVE = Rule("above 0", lambda value: bool(value > 0))
RATES = Rule(
    "a table of prices above 0",
    lambda table: spelled(PAIR, "").allows(table) and all(map(POSITIVE.allows, table.values())),
)
INTEREST = Rule(
    "a table of rates from -1 to 1",
    lambda table: spelled(PAIR, "").allows(table) and all(map(between(-1, 1).allows, table.values())),
)


@dataclass(frozen=True, slots=True)
class Account:
    """The money that replay and paper mode start with."""

    currency: str = key(
        "USD", "currency of the account, of profits and of loss limits", spelled(CURRENCY, 'a code like "USD"')
    )
    balance: float = key(100_000.0, "balance at the start", POSITIVE, "account currency")
    rates: Mapping[str, float] = key(
        {}, "fixed prices of pairs, for conversions that no replayed pair gives, like {USD_JPY = 109.5}", RATES
    )
    margin_rate: float = key(
        0.0, "the account's own margin rate; of it and the instrument's the higher counts", between(0, 1), "share"
    )
    conversion_fee: float = key(
        0.0, "taken from what is converted into the account's currency; OANDA takes 0.005", between(0, 0.5), "share"
    )
    financing_long: Mapping[str, float] = key(
        {}, "what long positions earn a year of their value, like {EUR_USD = -0.025}; negative is paid", INTEREST
    )
    financing_short: Mapping[str, float] = key({}, "the same of short positions", INTEREST)


@dataclass(frozen=True, slots=True)
class Paper:
    """How the paper broker fills orders."""

    latency_ms: int = key(100, "time from a decision to its fill", between(0, 3_600_000), "ms")
    slippage_pips: float = key(0.0, "added to the price of every fill, against the trade", at_least(0), "pips")
    commission_pips: float = key(0.0, "taken from the pips of every completed trade", at_least(0), "pips")
    margin: bool = key(True, "whether entries need margin, and positions are closed at half of it")
    fill: str = key(
        "FOK", "an order that the price tiers can't fill in whole is cancelled, or filled in part", one_of("FOK", "IOC")
    )
    size_units: float = key(
        0.0,
        "units that one in the columns bid_size and ask_size stands for; 0 = they say nothing",
        at_least(0),
        "units of the base currency",
    )
    fix: str = key(
        "drop", "a crossed quote (bid above ask) is dropped, or its sides are swapped", one_of("drop", "swap")
    )


@dataclass(frozen=True, slots=True)
class Risk:
    """What every entry must pass; an exit always passes."""

    units: int = key(1000, "size of an entry", at_least(1), "units of the base currency")
    risk_per_trade: float = key(
        0.0,
        "size an entry so that its stop loses this share of equity; 0 = fixed `units`",
        between(0, 1),
        "share of equity",
    )
    stop_sigma: float = key(
        30.0,
        "distance of the catastrophe stop from the entry; 0 = none, which live refuses",
        at_least(0),
        "sigma per bar",
    )
    take_profit_sigma: float = key(
        0.0, f"distance of the take-profit from the entry{ZERO_IS_OFF}", at_least(0), "sigma per bar"
    )
    allow_reverse: bool = key(False, "whether the opposite action is legal in a position: it closes and opens")
    max_units: int = key(100_000, "largest entry", at_least(1), "units of the base currency")
    max_exposure: float = key(
        0.0, f"largest value of all open positions together{ZERO_IS_OFF}", at_least(0), "account currency"
    )
    max_spread_pips: float = key(0.0, f"widest spread at which to enter{ZERO_IS_OFF}", at_least(0), "pips")
    max_daily_loss: float = key(
        0.0, "largest loss since the UTC day began; 0 = off, which live refuses", at_least(0), "account currency"
    )
    max_drawdown: float = key(
        0.0, "largest loss from the peak of equity; 0 = off, which live refuses", at_least(0), "account currency"
    )
    max_orders_per_minute: int = key(10, f"most orders of all instruments in 60 s{ZERO_IS_OFF}", at_least(0), "orders")
    max_quote_age_s: float = key(
        0.0, "oldest quote on which to enter; 0 = off, which live refuses", between(0, 86_400), "s"
    )
    flatten_before_weekend: bool = key(
        False, "whether positions are closed before the week ends (Friday, 17:00 New York)"
    )
    flatten_on_stop: bool = key(False, "whether positions are closed when the daemon is told to stop")
    hours: tuple[str, ...] = key(
        (), 'when to enter, UTC: "mon 00:00-fri 20:00", or "07:00-17:00" each day; none listed = always', HOURS
    )
    news_file: str = key(
        "", "file with times at which nothing is entered, `START END CURRENCY what` a line; empty = none"
    )


@dataclass(frozen=True, slots=True)
class Model:
    """What the strategy `muzero` decides with."""

    version: str = key(
        "best", 'the promoted model ("best"), a version or its first 8 characters, or a folder', NOT_EMPTY
    )
    features: str = key("edge20", "feature set; a model made for another one is refused", NOT_EMPTY)
    warmup_bars: int = key(512, "closed bars before the first decision", between(160, 1_000_000), "bars")
    simulations: int = key(
        25,
        "simulations of the search for each decision; 0: the network's own policy",
        between(0, 10_000),
        "simulations",
    )
    root: str = key("gumbel", "how the search chooses at its root", one_of("gumbel", "muzero"))
    allow_untrained: bool = key(
        False, "whether the daemon may trade with an untrained model; a replay always may, and says so"
    )


@dataclass(frozen=True, slots=True)
class Store:
    """The experience store."""

    capacity: int = key(50_000, "steps kept; the store has two halves of equal size", at_least(1000), "steps")


@dataclass(frozen=True, slots=True)
class Training:
    """How `train` learns; docs/learning.md says what each figure of the recipe is worth."""

    minutes: float = key(10.0, "longest time to learn; bounded passes over the data may end it sooner", POSITIVE, "min")
    workers: int = key(1, "self-play processes; 0 plays in the learner's own, bit for bit repeatable", between(0, 256))


@dataclass(frozen=True, slots=True)
class Validation:
    """What the gate asks of a candidate; docs/gate.md says why."""

    min_trades: int = key(30, "fewest completed trades", at_least(1), "trades")
    significance: float = key(
        0.01,
        "largest p-value of the reality check, which counts what was tried since the last promotion",
        Rule("above 0 and at most 0.5", lambda value: bool(0 < value <= 0.5)),
    )
    max_drawdown_share: float = key(
        1.0, "largest drawdown (of 95 % of the resamples) as a share of the net pips", at_least(0)
    )
    max_drawdown_pips: float = key(0.0, f"largest such drawdown{ZERO_IS_OFF}", at_least(0), "pips")
    max_decision_ms: float = key(50.0, "longest median time of a decision", POSITIVE, "ms")
    embargo_bars: int = key(
        512, "bars after what was learned from in which nothing is decided", between(0, 1_000_000), "bars"
    )
    probation_trades: int = key(20, "first trades of a model after which its probation ends", at_least(1), "trades")
    probation_drawdown_pips: float = key(
        0.0, f"fall in probation that ends it at once, by a rollback{ZERO_IS_OFF}", at_least(0), "pips"
    )
    resamples: int = key(2000, "bootstrap resamples of the reality check", between(200, 1_000_000), "resamples")


@dataclass(frozen=True, slots=True)
class Schedule:
    """When the daemon runs its jobs: a cron line of five fields, UTC, or `every 6h`; "" = never."""

    enabled: bool = key(True, "whether the daemon runs them itself; false where `work` or timers of systemd do")
    train: str = key(WEEKLY, "learns from what was recorded; a validation follows", WHEN)
    validate: str = key("", "validates the newest candidate, or the best model again", WHEN)
    backup: str = key(NIGHTLY_COPY, "copies store and journal into `backups/` in the state folder", WHEN)
    prune: str = key(NIGHTLY_PRUNE, "deletes old models and copies", WHEN)
    report: str = key(MORNING, "tells how the day before went", WHEN)
    unseen_share: float = key(
        0.25, "recorded days, the latest, that training leaves for validation", between(0.05, 0.9), "share"
    )
    window_days: int = key(0, "most recorded days to train on, the latest of them; 0 = all", at_least(0), "days")
    nice: int = key(10, "niceness of a job", between(0, 19))
    job_minutes: float = key(240.0, "longest time of a job", POSITIVE, "min")
    job_memory_mb: int = key(4096, f"most data of a job's process{ZERO_IS_OFF}", at_least(0), "MB")


@dataclass(frozen=True, slots=True)
class Api:
    """The daemon's local HTTP API and its page; the token is in `api.token` in the state folder."""

    enabled: bool = key(True, "whether it is served")
    host: str = key("127.0.0.1", "address to listen on; another than loopback needs `hosts`", NOT_EMPTY)
    port: int = key(8787, "port to listen on; 0 = any free one", between(0, 65_535))
    hosts: tuple[str, ...] = key(
        (), "names by which it may be called besides loopback, such as that of a container", HOSTS
    )


@dataclass(frozen=True, slots=True)
class Notify:
    """Messages to people, through Apprise (`pip install 'micro-trader[notify]'`); their addresses are secrets."""

    urls_file: str = key("", "file with Apprise URLs, one a line, for its owner's eyes only; empty = nobody")
    events: tuple[str, ...] = key(
        ("halt", "model", "job", "summary"),
        'what is told: "trade", "halt", "model", "job", "summary"',
        EVENTS,
    )
    per_hour: int = key(30, "most messages in an hour; what comes beyond is told together", at_least(1), "messages")
    heartbeat_file: str = key("", "file with a URL that is asked for while all is well (a dead man's switch)")
    heartbeat_s: float = key(60.0, "between these requests", POSITIVE, "s")


@dataclass(frozen=True, slots=True)
class Oanda:
    """The account at OANDA; token, account and environment come from the environment, never from here."""

    allow_live: bool = key(False, "the second switch that OANDA_ENVIRONMENT=live needs")
    accounts: tuple[str, ...] = key((), "accounts that may be used; none listed = any but real money's", ACCOUNTS)
    warm_up: str = key(
        "auto",
        "whether `run` starts on candles instead of waiting for its own bars; auto = not with a custom server",
        one_of("auto", "on", "off"),
    )
    first_day_units: int = key(
        1000, "most units of an instrument on the first day of an account with real money", at_least(1), "units"
    )
    bound_pips: float = key(
        20.0,
        f"farthest from the quote that an order may fill, but with a custom server{ZERO_IS_OFF}",
        at_least(0),
        "pips",
    )
    answer_s: float = key(10.0, "longest wait for an answer", POSITIVE, "s")
    silence_s: float = key(10.0, "longest silence of a stream that is alive", POSITIVE, "s")
    retry_first_s: float = key(1.0, "first wait before a lost stream is opened again; it doubles", POSITIVE, "s")
    retry_longest_s: float = key(60.0, "longest of these waits", POSITIVE, "s")
    reconcile_s: float = key(30.0, "between comparisons with the account", POSITIVE, "s")
    doubt_s: float = key(5.0, "between them while an order's answer is lost", POSITIVE, "s")
    settle_s: float = key(15.0, "until an order that the account does not know never arrived", POSITIVE, "s")
    stop_patience_s: float = key(2.0, "until the stop of an entry must be seen, else it is set", POSITIVE, "s")


@dataclass(frozen=True, slots=True)
class State:
    """Where everything that a run leaves is kept."""

    dir: str = key("var", "state folder; --state and $STATE_DIRECTORY come before it", NOT_EMPTY)


@dataclass(frozen=True, slots=True)
class Log:
    """The log on stderr."""

    level: str = key("info", "least severe line that is written", one_of("debug", "info", "warning", "error"))
    format: str = key(
        "auto", "for machines or for people; auto = json where stderr is no terminal", one_of("auto", "json", "console")
    )


@dataclass(frozen=True, slots=True)
class Config:
    """The effective configuration.

    Attributes:
        strategies: settings of each strategy, free in name and value: `[strategies.NAME]`.
        origins: where each key's value came from, by dotted name.
    """

    mode: str = key("paper", "whether orders are filled on paper or by the broker", one_of("paper", "live"))
    instruments: tuple[str, ...] = key(("EUR_USD",), "pairs to trade", spelled(PAIR, 'a list like ["EUR_USD"]'))
    bar: str = key("1m", "length of a bar, and so of a decision: by the clock or by a number of quotes", BAR)
    strategy: str = key("muzero", "a built-in strategy, an installed one, or path/to/file.py:Class", NOT_EMPTY)
    seed: int = key(0, "seed of everything random", between(0, 2**63 - 1))
    account: Account = field(default_factory=Account)
    paper: Paper = field(default_factory=Paper)
    risk: Risk = field(default_factory=Risk)
    model: Model = field(default_factory=Model)
    store: Store = field(default_factory=Store)
    training: Training = field(default_factory=Training)
    validation: Validation = field(default_factory=Validation)
    schedule: Schedule = field(default_factory=Schedule)
    oanda: Oanda = field(default_factory=Oanda)
    api: Api = field(default_factory=Api)
    notify: Notify = field(default_factory=Notify)
    state: State = field(default_factory=State)
    log: Log = field(default_factory=Log)
    strategies: Mapping[str, Mapping[str, Any]] = key({}, "settings of each strategy, such as [strategies.ema-cross]")
    origins: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
