"""The configuration: what is refused and how, what overrides what, and that writing and reading agree."""

import tomllib
from collections.abc import Mapping
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import BadInput
from daemon.config import Config, bar_length, load, rows, shown, template, to_toml
from daemon.config.lines import line_of, lines_of
from daemon.config.reading import KEYS, PREFIX

PAIRS = st.from_regex(r"[A-Z]{3}_[A-Z]{3}", fullmatch=True)
PLAIN = st.one_of(st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text())
VALUES: Mapping[str, st.SearchStrategy[Any]] = {
    "instruments": st.lists(PAIRS, min_size=1, unique=True).map(tuple),
    "bar": st.sampled_from(["1m", "5s", "4h", "100t", "168h"]),
    "strategy": st.text(min_size=1).filter(lambda text: "\n" not in text),
    "seed": st.integers(0, 2**63 - 1),
    "account.currency": st.sampled_from(["USD", "EUR"]),
    "account.balance": st.floats(0.01, 1e12),
    "account.rates": st.dictionaries(PAIRS, st.floats(1e-6, 1e6)),
    "paper.latency_ms": st.integers(0, 1000),
    "paper.slippage_pips": st.floats(0, 1e6),
    "paper.fix": st.sampled_from(["drop", "swap"]),
    "risk.allow_reverse": st.booleans(),
    "model.warmup_bars": st.integers(160, 10_000),
    "model.root": st.sampled_from(["gumbel", "muzero"]),
    "state.dir": st.text(st.characters(exclude_characters="\n", codec="utf-8"), min_size=1),
    "strategies": st.dictionaries(
        st.text(min_size=1),
        st.dictionaries(st.text(), st.one_of(PLAIN, st.lists(PLAIN)), max_size=3),
        max_size=2,
    ),
}


def written(folder: Path, text: str) -> Path:
    """A config file with this text."""
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(folder: Path, text: str) -> str:
    """The message with which a config file is refused."""
    with pytest.raises(BadInput) as caught:
        load(written(folder, text), {})
    return str(caught.value).replace(str(folder), "")


def test_the_template_holds_the_defaults(tmp_path: Path) -> None:
    """The commented template changes nothing: it is the defaults."""
    assert load(written(tmp_path, template()), {}) == Config() == load(None, {})


def test_the_skeleton_is_there() -> None:
    """The names and defaults that users were promised stand."""
    promised = """
        mode = "paper"
        instruments = ["EUR_USD"]
        bar = "1m"
        strategy = "muzero"
        seed = 0
        account = {currency = "USD", balance = 100000, rates = {}}
        paper = {latency_ms = 100, slippage_pips = 0.0, commission_pips = 0.0, fix = "drop"}
        model = {version = "best", features = "edge20", warmup_bars = 512, simulations = 25, root = "gumbel"}
        store = {capacity = 50000}
        state = {dir = "var"}
        [risk]
        units = 1000
        risk_per_trade = 0.0
        stop_sigma = 30
        take_profit_sigma = 0
        allow_reverse = false
        max_units = 100000
        max_spread_pips = 0
        max_daily_loss = 0
        max_drawdown = 0
        max_orders_per_minute = 10
        max_quote_age_s = 0
        flatten_before_weekend = false
    """
    have = shown(Config())
    for name, value in tomllib.loads(promised).items():
        inner = value if isinstance(value, dict) else {}
        assert inner.items() <= have[name].items() if inner else have[name] == value


def test_secrets_are_masked(tmp_path: Path) -> None:
    """A plugin's setting that calls itself a secret is kept for it, and never shown; others are."""
    names = ("api_key", "apiKey", "key", "TOKEN", "db-password", "client_secret")
    settings = "\n".join(f'"{name}" = "hush-{n}"' for n, name in enumerate(names))
    config = load(written(tmp_path, f"[strategies.mine]\nmonkey = 3\n{settings}\n"), {})
    assert "hush" not in repr((shown(config), rows(config)))
    assert shown(config)["strategies"]["mine"]["monkey"] == 3
    assert "monkey = 3" in rows(config)["strategies"]
    assert config.strategies["mine"]["TOKEN"] == "hush-3"


@given(values=st.fixed_dictionaries({}, optional=dict(VALUES)))
def test_what_is_written_reads_back_equal(values: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    """The effective config in a run's folder gives the same run."""
    config = load(None, {}, {name: ("--flag", value) for name, value in values.items()})
    again = load(written(tmp_path_factory.mktemp("run"), to_toml(config)), {})
    assert again == config
    assert shown(again) | {"origins": {}} == shown(config) | {"origins": {}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed = 1\n\n[risk]\nunit = 5\n", "/config.toml:4: unknown key risk.unit (did you mean risk.units?)"),
        ("sed = 1\n", "/config.toml:1: unknown key sed (did you mean seed?)"),
        ("\nlatency_ms = 1\n", "/config.toml:2: unknown key latency_ms (did you mean paper.latency_ms?)"),
        ("# x\n[riks]\n", "/config.toml:2: unknown key riks"),
        ("risk.unts = 5\n", "/config.toml:1: unknown key risk.unts"),
        ("risk = {units = 5, x = 1}\n", "/config.toml:1: unknown key risk.x"),
        ("[risk]\nunits = 'many'\n", '/config.toml:2: risk.units must be a whole number, not "many"'),
        ("[risk]\nunits = 1.0\n", "/config.toml:2: risk.units must be a whole number, not 1.0"),
        ("[risk]\nunits = true\n", "/config.toml:2: risk.units must be a whole number, not true"),
        ("[risk]\nunits = 0\n", "/config.toml:2: risk.units must be at least 1, not 0"),
        ("[risk]\nallow_reverse = 1\n", "/config.toml:2: risk.allow_reverse must be true or false, not 1"),
        ("[account]\nbalance = nan\n", "/config.toml:2: account.balance must be a number, not nan"),
        ("[account]\nbalance = -1\n", "/config.toml:2: account.balance must be above 0, not -1"),
        ("[account.rates]\nUSDJPY = 1.0\n", "/config.toml:1: account.rates must be a table of prices above 0"),
        ("[model]\nwarmup_bars = 159\n", "/config.toml:2: model.warmup_bars must be from 160 to 1000000, not 159"),
        ("[model]\nroot = 'alpha'\n", '/config.toml:2: model.root must be "gumbel" or "muzero", not "alpha"'),
        ("bar = '0m'\n", "/config.toml:1: bar must be like"),
        ("bar = 1\n", "/config.toml:1: bar must be a text in quotes, not 1"),
        ("instruments = []\n", "/config.toml:1: instruments must be a list like"),
        ("instruments = ['EUR_USD', 'EUR_USD']\n", "/config.toml:1: instruments must be a list of different texts"),
        ("instruments = 'EUR_USD'\n", "/config.toml:1: instruments must be a list of different texts, not"),
        ("\nrisk = 5\n", "/config.toml:2: risk must be a table, not a value"),
        ("[strategies]\nema = 5\n", "/config.toml:1: strategies must be a table of tables"),
        ("[risk]\nrisk_per_trade = 0.1\nstop_sigma = 0\n", "/config.toml:2: risk.risk_per_trade needs a stop"),
        ("\nmode = 'live'\n", "/config.toml:2: live refuses risk.max_daily_loss = 0"),
        ("seed = 1\nseed = 2\n", "/config.toml:2: is not TOML: Cannot overwrite a value"),
        ("seed = \n", "/config.toml:1: is not TOML: Invalid value"),
        ("text = '''\n[risk]\nunits = 0\n'''\nx = 1\n", "/config.toml:1: unknown key text"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text: str, message: str, tmp_path: Path) -> None:
    """Unknown keys, wrong types and values out of range are refused with the key's name and line."""
    assert refusal(tmp_path, text).startswith(message)


@given(name=st.sampled_from(sorted(KEYS)), blank=st.integers(0, 5))
def test_every_key_refuses_another_type(name: str, blank: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No key takes a date, and the message has the key and the line it stands on."""
    message = refusal(tmp_path_factory.mktemp("config"), "\n" * blank + f"{name} = 2020-01-01\n")
    assert message.startswith(f"/config.toml:{blank + 1}: {name} must be ")


@pytest.mark.parametrize("name", ["missing.toml", "."])
def test_a_file_that_cannot_be_read_is_named(name: str, tmp_path: Path) -> None:
    """A missing file or a folder is wrong input, not a fault."""
    with pytest.raises(BadInput, match="can't be read"):
        load(tmp_path / name, {})


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    """Bytes that aren't UTF-8 are wrong input."""
    (tmp_path / "config.toml").write_bytes(b"seed = 1 # \xff")
    with pytest.raises(BadInput, match="UTF-8"):
        load(tmp_path / "config.toml", {})


def test_each_source_overrides_the_one_before(tmp_path: Path) -> None:
    """Defaults, then the file, the environment, the command line; each value says where it came from."""
    path = written(tmp_path, "seed = 1\nbar = '5m'\n[risk]\nunits = 7\n")
    environ = {f"{PREFIX}SEED": "2", f"{PREFIX}RISK__UNITS": "8", "PATH": "/bin"}
    config = load(path, environ, {"seed": ("--seed", 3)})
    assert (config.bar, config.risk.units, config.seed, config.mode) == ("5m", 8, 3, "paper")
    origins = [config.origins[name] for name in ("mode", "bar", "risk.units", "seed")]
    assert origins == ["default", f"{path}:2", f"${PREFIX}RISK__UNITS", "--seed"]
    assert rows(config)["risk.units"] == f"8  (${PREFIX}RISK__UNITS)"


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("MODEL__VERSION", "0123", "model.version", "0123"),
        ("INSTRUMENTS", "EUR_USD, USD_JPY", "instruments", ["EUR_USD", "USD_JPY"]),
        ("INSTRUMENTS", '["GBP_JPY"]', "instruments", ["GBP_JPY"]),
        ("RISK__ALLOW_REVERSE", "true", "risk.allow_reverse", True),
        ("PAPER__SLIPPAGE_PIPS", "0.5", "paper.slippage_pips", 0.5),
        ("ACCOUNT__RATES", "{USD_JPY = 110}", "account.rates", {"USD_JPY": 110.0}),
        ("STRATEGIES", "{ema-cross = {fast = 5}}", "strategies", {"ema-cross": {"fast": 5}}),
    ],
)
def test_the_environment_is_typed(variable: str, text: str, name: str, value: object) -> None:
    """A variable's text becomes the key's type."""
    found = shown(load(None, {PREFIX + variable: text}))
    for part in name.split("."):
        found = found[part]
    assert found == value


@pytest.mark.parametrize(
    ("variable", "text", "message"),
    [
        ("RISK__UNIT", "5", "unknown key risk.unit"),
        ("RISK", "5", "unknown key risk"),
        ("", "5", "unknown key"),
        ("SEED", "x", 'seed must be a whole number, not "x"'),
        ("SEED", "1\nbar = '5m'", "seed must be a whole number"),
        ("RISK__ALLOW_REVERSE", "yes", 'risk.allow_reverse must be true or false, not "yes"'),
        ("MODE", "demo", "mode must be"),
    ],
)
def test_the_environment_is_held_to_the_same_rules(variable: str, text: str, message: str) -> None:
    """Unknown variables and wrong values are errors that name the variable."""
    with pytest.raises(BadInput) as caught:
        load(None, {PREFIX + variable: text})
    assert str(caught.value).startswith(f"${PREFIX}{variable}: {message}")


def test_the_state_folder_has_its_own_order(tmp_path: Path) -> None:
    """--state comes before $STATE_DIRECTORY (the first, where systemd gives several), and that before [state] dir."""
    path = written(tmp_path, "[state]\ndir = 'file'\n")
    environ = {"STATE_DIRECTORY": "/var/lib/a:/var/lib/b", f"{PREFIX}STATE__DIR": "variable"}
    assert load(path, environ, {"state.dir": ("--state", "flag")}).state.dir == "flag"
    assert load(path, environ).state.dir == "/var/lib/a"
    assert load(path, {f"{PREFIX}STATE__DIR": "variable"}).state.dir == "variable"
    assert load(path, {}).state.dir == "file"


def test_a_live_account_needs_its_limits(tmp_path: Path) -> None:
    """Live is accepted once the stop, the loss limits and the quote age are set."""
    text = "mode = 'live'\n[risk]\nmax_daily_loss = 100\nmax_drawdown = 500\nmax_quote_age_s = 5\n"
    assert load(written(tmp_path, text), {}).mode == "live"
    assert "stop_sigma" in refusal(tmp_path, text + "stop_sigma = 0\n")


def test_a_config_does_not_change() -> None:
    """Sections are values."""
    with pytest.raises(FrozenInstanceError):
        Config().risk.units = 5  # type: ignore[misc]


@pytest.mark.parametrize(
    "text", ["", "m", "0m", "01m", "1d", "1M", "1.5m", "-1m", "1m ", "169h", "1000001t", "\u0661m"]
)
def test_no_other_bar_lengths(text: str) -> None:
    """A bar is `[1-9][0-9]*` with s, m, h or t, and no longer than a week or a million quotes."""
    with pytest.raises(ValueError, match="bar"):
        bar_length(text)


@given(number=st.integers(1, 168))
def test_bar_lengths(number: int) -> None:
    """Clock bars are in ns, tick bars in quotes."""
    assert bar_length(f"{number}s") == ("clock", number * 10**9)
    assert bar_length(f"{number}m") == ("clock", number * 60 * 10**9)
    assert bar_length(f"{number}h") == ("clock", number * 3600 * 10**9)
    assert bar_length(f"{number}t") == ("tick", number)


def test_lines_see_through_long_texts() -> None:
    """What looks like a key inside a long text is none; a key in an inline table has its table's line."""
    text = 'a = """\nb = 1\n[c]\n"""\n[t."x y"]\nd = { e = 1 }\n'
    found = lines_of(text)
    assert found == {"a": 1, "t": 5, "t.x y": 5, "t.x y.d": 6}
    assert line_of(found, "t.x y.d.e") == 6
    assert line_of(found, "nowhere") == 1
