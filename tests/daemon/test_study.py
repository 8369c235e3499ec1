"""A walk-forward study: what is tested was not learned from, and the figures are those of a replay."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from broker.errors import BadInput
from broker.ticks import ReadOptions, open_ticks, stream
from daemon.cli import DONE, REFUSED, main
from daemon.config import Config
from daemon.console import Ui
from daemon.models import BUNDLED, Chosen
from daemon.study import Recording, Request, one_fold, recordings, study, write_quotes
from daemon.studytable import CANDIDATE, WILLING, for_people, markdown, tables
from strategy.baselines import BASELINES
from strategy.model import ABSTAINS, load
from strategy.network_layout import Sizes
from training.export import export, sizes_for
from training.folds import split
from training.model_folders import ModelFolders
from training.networks import Networks

BARS, WARMUP = 4_700, 160
SMALL = {"hidden": 16, "bins": 5}


@pytest.fixture(scope="module")
def ticks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic market, a quote a minute."""
    path = tmp_path_factory.mktemp("ticks") / "EUR_USD-ou.csv"
    assert main(["ticks", "synth", "ou", str(path), "--bars", str(BARS), "--seed", "2", "--ticks-per-bar", "1"]) == DONE
    return path


@pytest.fixture(scope="module")
def config() -> Config:
    """A short warm-up."""
    return replace(Config(), model=replace(Config().model, warmup_bars=WARMUP, simulations=4))


def bundled(_ticks: Path, _config: Config, _folder: Path) -> Chosen:
    """Learns nothing: the bundled model."""
    return Chosen(BUNDLED, load(BUNDLED))


def abstaining(_ticks: Path, _config: Config, folder: Path) -> Chosen:
    """A model that abstains."""
    sizes: Sizes = sizes_for("edge20", **SMALL)
    version = ModelFolders(folder / "models").add(export(Networks(sizes, 1), "edge20", seed=1, status=ABSTAINS))
    return Chosen(folder / "models" / version, load(folder / "models" / version))


def run(ticks: Path, config: Config, learn: Any, **request: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A study of one set, and the documents that it handed over on the way."""
    kept: list[dict[str, Any]] = []
    keep: Callable[[dict[str, Any]], None] = lambda document: kept.append(json.loads(json.dumps(document)))  # noqa: E731
    return study(Request((ticks,), ReadOptions(), **request), config, learn, Ui(json=True), keep), kept


@pytest.fixture(scope="module")
def studied(ticks: Path, config: Config) -> dict[str, Any]:
    """Two folds with the bundled model."""
    return run(ticks, config, bundled, folds=2)[0]


@pytest.fixture(scope="module")
def single(ticks: Path, config: Config) -> dict[str, Any]:
    """One fold with the bundled model."""
    return run(ticks, config, bundled, folds=1)[0]


def by_strategy(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Rows by strategy."""
    return {row["strategy"]: row for row in document["rows"]}


def quotes_of(path: Path) -> Any:
    """All quotes of a file."""
    options = ReadOptions()
    return np.concatenate([batch.time for batch in stream([open_ticks(path, options)], options)])


def test_every_strategy_has_its_row(studied: dict[str, Any]) -> None:
    """The candidate, the candidate without abstention and all baselines, over the same bars: the last half."""
    rows = by_strategy(studied)
    assert rows.keys() == {CANDIDATE, WILLING, *BASELINES}
    assert {row["bars"] for row in rows.values()} == {BARS // 2}
    assert rows["hold"]["trades"] == rows["hold"]["pips_per_1000_bars"] == rows["hold"]["in_market"] == 0
    assert rows[CANDIDATE]["abstained"] == 0
    assert rows[CANDIDATE] == {**rows[WILLING], "strategy": CANDIDATE}
    for row in rows.values():
        low, high = row["pips_per_1000_bars_ci95"]
        assert low <= row["pips_per_1000_bars"] <= high
    assert rows["random"]["pips_per_1000_bars_ci95"][1] < 0


@pytest.mark.parametrize("strategy", ["random", "ema-cross", "mean-reversion"])
def test_figures_are_those_of_a_replay(
    single: dict[str, Any], ticks: Path, tmp_path: Path, config: Config, strategy: str
) -> None:
    """The command `replay` over the same stretch, warm-up first, makes the same trades."""
    (found,) = recordings(Request((ticks,), ReadOptions()), config)
    (part,) = split(len(found.starts), 1, WARMUP, WARMUP)
    window = tmp_path / "EUR_USD-window.csv"
    write_quotes(window, found.instrument, found.part(part.lead, part.test[1]))
    toml = tmp_path / "config.toml"
    toml.write_text(f"[model]\nwarmup_bars = {WARMUP}\n")
    words = ["--config", str(toml), "--out", str(tmp_path / "run"), "--strategy", strategy, "--json"]
    assert main(["replay", str(window), *words]) == DONE
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    row = by_strategy(single)[strategy]
    assert (row["bars"], row["trades"]) == (summary["decisions"], summary["trades"])
    assert row["pips_per_1000_bars"] * row["bars"] / 1000 == pytest.approx(summary["net_pips"])
    assert row["pips_per_trade"] == pytest.approx(summary["avg_pnl_pips"])
    assert row["quality_score"] == pytest.approx(summary["quality_score"])
    with (tmp_path / "run" / "trades.csv").open() as file:
        assert len(list(csv.DictReader(file))) == row["trades"] > 0


def test_nothing_of_the_test_is_learned_from(ticks: Path, config: Config) -> None:
    """Each fold's training file ends an embargo before its test begins, and starts where the set does."""
    seen = []

    def learn(path: Path, config: Config, folder: Path) -> Chosen:
        seen.append(quotes_of(path))
        return bundled(path, config, folder)

    embargo = 180
    document, _ = run(ticks, config, learn, folds=2, embargo=embargo)
    whole = quotes_of(ticks)
    starts = [int(np.flatnonzero(whole > times[-1])[0]) for times in seen]
    for fold, times, after in zip(document["folds"], seen, starts, strict=True):
        assert np.array_equal(times, whole[: len(times)])
        assert fold["train_bars"] == len(times)
        tested_from = np.datetime64(fold["test_from"].removesuffix("Z"), "ns").astype(np.int64)
        assert int(np.flatnonzero(whole == tested_from)[0]) - after == embargo


def test_abstention_is_counted_and_priced(ticks: Path, config: Config) -> None:
    """A model that abstains makes no trade; its other row says what its trades would have earned."""
    document, kept = run(ticks, config, abstaining, folds=1)
    rows = by_strategy(document)
    assert (rows[CANDIDATE]["abstained"], rows[CANDIDATE]["trades"], rows[CANDIDATE]["in_market"]) == (1, 0, 0)
    assert rows[WILLING]["trades"] > 0
    (fold,) = document["folds"]
    assert fold["status"] == ABSTAINS
    assert fold["made_to_trade_pips_per_1000_bars"] == rows[WILLING]["pips_per_1000_bars"]
    assert rows[CANDIDATE]["rightly_abstained"] == int(rows[WILLING]["pips_per_1000_bars"] <= 0)
    assert kept == [json.loads(json.dumps(document))]


def test_the_same_study_twice(studied: dict[str, Any], ticks: Path, config: Config) -> None:
    """The same seed and models give the same document."""
    assert run(ticks, config, bundled, folds=2)[0] == studied


def test_too_little_is_known_before_training(tmp_path: Path, ticks: Path, config: Config) -> None:
    """A short set is refused before anything is trained, even where another one comes first."""
    short = tmp_path / "EUR_USD-short.csv"
    short.write_text("\n".join(ticks.read_text().splitlines()[:900]) + "\n")

    def learn(_ticks: Path, _config: Config, _folder: Path) -> Chosen:
        pytest.fail("trained")

    with pytest.raises(BadInput, match="EUR_USD-short: 8.. bars are too few"):
        study(Request((ticks, short), ReadOptions()), config, learn, Ui(json=True), lambda _: None)


def test_files_of_longer_bars_keep_theirs(tmp_path: Path) -> None:
    """Hourly bars are decided on by the hour, whatever the config says; quotes go by the config."""
    path = tmp_path / "EUR_USD-2020.H1.bars.csv"
    sides = ",".join(f"{price}_{side}" for side in ("bid", "ask") for price in ("open", "high", "low", "close"))
    lines = [f"2020-01-02T{hour:02}:00:00Z,1.1,1.2,1.0,1.1,1.11,1.21,1.01,1.11,0" for hour in range(8)]
    path.write_text("\n".join([f"time,{sides},volume", *lines]) + "\n")
    found: Recording
    (found,) = recordings(Request((path,), ReadOptions()), Config())
    assert (found.bar, len(found.starts), found.from_bars, found.name) == ("1h", 8, True, "EUR_USD-2020.H1.bars")
    (merged,) = recordings(Request((path,), ReadOptions(), merge=True), replace(Config(), bar="2h"))
    assert (merged.bar, len(merged.starts), merged.name) == ("2h", 4, "EUR_USD")


def test_a_fold_leaves_nothing_behind(ticks: Path, config: Config) -> None:
    """Ticks and model of a fold are gone once it is tested."""
    folders = []

    def learn(path: Path, config: Config, folder: Path) -> Chosen:
        folders.append(folder)
        return abstaining(path, config, folder)

    (found,) = recordings(Request((ticks,), ReadOptions()), config)
    (part,) = split(len(found.starts), 1, WARMUP, WARMUP)
    one_fold(found, part, config, learn, {name: [] for name in (CANDIDATE, WILLING, *BASELINES)})
    assert [folder.exists() for folder in folders] == [False]


def test_people_see_the_same_figures(studied: dict[str, Any]) -> None:
    """A table for each set in the terminal, and one of all for a page."""
    (shown,) = tables(studied["rows"]).values()
    assert [line["strategy"] for line in shown] == [row["strategy"] for row in studied["rows"]]
    page = markdown(for_people(studied["rows"]))
    assert page.count("\n") == len(studied["rows"]) + 1
    assert f"{by_strategy(studied)['random']['pips_per_trade']:+.2f} [" in page


def test_the_command_trains_and_keeps(ticks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From ticks to rows, with a candidate that `train` made; study.json holds what stdout said."""
    toml, out = tmp_path / "config.toml", tmp_path / "out"
    toml.write_text(f"[model]\nwarmup_bars = {WARMUP}\nsimulations = 4\n")
    words = ["--config", str(toml), "--out", str(out), "--folds", "1", "--minutes", "0.01", "--json"]
    assert main(["study", str(ticks), *words]) == DONE
    document = json.loads(capsys.readouterr().out)
    assert json.loads((out / "study.json").read_text())["rows"] == document["rows"]
    assert document["folds"][0]["looks"] >= 1
    assert (out / "study.md").read_text().count("\n") == len(document["rows"]) + 2


@pytest.mark.parametrize(
    ("options", "what"),
    [(["--minutes", "0"], "--minutes"), (["--folds", "0"], "--folds"), (["--embargo", "5"], "--embargo")],
)
def test_wrong_usage_is_refused(
    ticks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], what: str
) -> None:
    """What can't be done is said in one line, and nothing is kept."""
    assert main(["study", str(ticks), *options, "--out", str(tmp_path / "out")]) == REFUSED
    assert what in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
