"""`run` against `replay`: the wire changes nothing."""

import csv
import json
from pathlib import Path
from random import Random

import pytest

from daemon.cli import main
from tests.daemon.wired import config_of, joined, to_the_end

SHORT = "[model]\nwarmup_bars = 160\nallow_untrained = true\n"
CASES = {
    "two instruments": (
        'strategy = "random"\ninstruments = ["EUR_USD", "USD_JPY"]\n' + SHORT + "[risk]\nstop_sigma = 3\n"
        "take_profit_sigma = 4\nallow_reverse = true\nmax_orders_per_minute = 2\nmax_spread_pips = 1.9\n"
        "[account]\nrates = {USD_JPY = 110.0}\n"
    ),
    "limits of loss": (
        'strategy = "random"\ninstruments = ["EUR_USD", "USD_JPY"]\n' + SHORT + "[risk]\nstop_sigma = 6\n"
        "max_daily_loss = 0.6\nmax_drawdown = 2.0\nmax_exposure = 1500\n[account]\nrates = {USD_JPY = 110.0}\n"
    ),
    "searching": 'strategy = "muzero"\n' + SHORT,
    "bars of ticks": 'strategy = "mean-reversion"\nbar = "20t"\n' + SHORT,
    "a call of margin": (
        'strategy = "random"\n' + SHORT + "[strategies.random]\nactivity = 0.03\n[risk]\nstop_sigma = 0\nunits = 2000\n"
        "[account]\nbalance = 50\n"
    ),
    "interest in another currency": (
        'strategy = "random"\n' + SHORT + '[strategies.random]\nactivity = 0.1\n[account]\ncurrency = "EUR"\n'
        "margin_rate = 0.03\nconversion_fee = 0.005\n"
        "financing_long = {EUR_USD = -0.9}\nfinancing_short = {EUR_USD = 0.7}\n"
    ),
    "stops within the spread": (
        'strategy = "random"\nbar = "5s"\n' + SHORT + "[strategies.random]\nactivity = 0.5\n[risk]\nstop_sigma = 1\n"
        "take_profit_sigma = 2\nallow_reverse = true\nmax_orders_per_minute = 0\n"
    ),
    "such stops, and limits of loss": (
        'strategy = "random"\n' + SHORT + "[strategies.random]\nactivity = 0.5\n[risk]\nstop_sigma = 1\n"
        "max_drawdown = 50.0\n"
    ),
    "short bars over midnight": 'strategy = "random"\nbar = "5s"\n' + SHORT,
}


def synth(folder: Path, name: str, bars: int, seed: int, *more: str) -> Path:
    path = folder / f"{name}-synth.csv"
    market = "ou" if name == "EUR_USD" else "regime"
    assert main(["ticks", "synth", market, str(path), "--bars", str(bars), "--seed", str(seed), *more]) == 0
    return path


def quotes_of(folder: Path, case: str) -> list[Path]:
    if "USD_JPY" in CASES[case]:
        return [synth(folder, "EUR_USD", 280, 3), synth(folder, "USD_JPY", 280, 4, "--pip", "0.01")]
    bars = {"bars of ticks": 1000, "short bars over midnight": 110, "stops within the spread": 150}.get(case, 280)
    money = case in ("a call of margin", "interest in another currency")
    path = synth(folder, "EUR_USD", bars, 7 if money else 5, *(["--scale", "12"] if "margin" in case else []))
    if "interest" in case:
        head, *rows = path.read_text().splitlines()
        evening = [f"{row[:11]}{int(row[11:13]) + 18}{row[13:]}" for row in rows]  # over 17:00 in New York
        path.write_text("\n".join([head, *evening]) + "\n")
    head, *rows = path.read_text().splitlines()
    if "stops" in case:
        dice = Random(11)
        path.write_text("\n".join([head, *(wider(row, dice.choice((0, 2, 30, 60))) for row in rows)]) + "\n")
    if "midnight" not in case:
        return [path]
    late = [row.replace(row[:11], "2020-01-03T" if row[11:13] < "01" else "2020-01-06T") for row in rows]
    path.write_text("\n".join([head, *sorted(late)]) + "\n")  # a Friday, and the Monday after it
    return [path]


def wider(row: str, points: int) -> str:
    """A row of ticks whose ask is so many points higher."""
    time, bid, ask, *more = row.split(",")
    return ",".join([time, bid, f"{float(ask) + points / 1e5:.5f}", *more])


@pytest.mark.parametrize("case", CASES)
async def test_the_wire_changes_nothing(case: str, tmp_path: Path) -> None:
    """In lock-step, decisions are those of the replay byte for byte, trades too but the one at the end; and what was
    recorded on the way replays to the same bytes again."""
    state, file = tmp_path / "state", tmp_path / "config.toml"
    config = config_of(file, CASES[case], state)
    ticks = quotes_of(tmp_path, case)
    command = ["--config", str(file), "--json"]
    assert main(["replay", *map(str, ticks), "--out", str(tmp_path / "replay"), *command]) == 0
    daemon = await to_the_end(ticks, config)
    wanted = (tmp_path / "replay" / "decisions.jsonl").read_bytes()
    assert wanted.count(b"\n") > 100
    assert joined(state, "decisions.jsonl") == wanted
    if case == "limits of loss":
        assert wanted.count(b'"veto":"daily_loss"') > 10
        assert b",risk," in joined(state, "trades.csv")
    if "margin" in case:
        assert b",risk," in joined(state, "trades.csv")
        assert b"INSUFFICIENT_MARGIN" in joined(state, "orders.csv")
    if "stops" in case:
        assert stopped_at_once(tmp_path / "replay") > 20
    if "interest" in case:
        days = [json.loads((day / "summary.json").read_text()) for day in sorted((state / "runs").iterdir())]
        assert days[0]["costs"]["financing"]["EUR"] < 0
    trades = (tmp_path / "replay" / "trades.csv").read_bytes().splitlines(keepends=True)[1:]
    assert joined(state, "trades.csv") == b"".join(row for row in trades if b",end," not in row)
    recorded = sorted(map(str, (state / "ticks").glob("*.oanda.jsonl*")))
    names = ["--instrument", ",".join(config.instruments)]
    assert main(["replay", *recorded, *names, "--out", str(tmp_path / "again"), *command]) == 0
    assert (tmp_path / "again" / "decisions.jsonl").read_bytes() == wanted

    check_days(sorted((state / "runs").iterdir()), 2 if "midnight" in case else 1)
    assert daemon.status()["decisions"] == wanted.count(b"\n")


def stopped_at_once(run: Path) -> int:
    """How many trades a stop closed before their first bar was over."""
    with (run / "trades.csv").open() as rows:
        return sum(row["exit_reason"] == "stop" and row["bars"] == "0" for row in csv.DictReader(rows))


def check_days(days: list[Path], count: int) -> None:
    """Each day has the files of a replay, and a summary whose figures are those of its own rows."""
    assert len(days) == count
    for day in days:
        summary = json.loads((day / "summary.json").read_text())
        assert summary["decisions"] == (day / "decisions.jsonl").read_bytes().count(b"\n") > 0
        assert summary["trades"] == (day / "trades.csv").read_bytes().count(b"\n") - 1
        assert summary["first"].startswith(day.name)
        assert (day / "report.html").stat().st_size > 1000
