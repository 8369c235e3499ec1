"""Which model a run decides with."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from broker.errors import BadInput
from daemon.config import Config, State
from daemon.console import Ui
from daemon.models import BUNDLED, Chosen, choose_model, find_model
from strategy.model import load
from training.registry import Registry


@pytest.fixture
def models(tmp_path: Path) -> tuple[Path, str]:
    """A registry with one candidate."""
    key = load(BUNDLED).id
    shutil.copytree(BUNDLED, tmp_path / "models" / key)
    return tmp_path / "models", key


def test_best_is_the_promoted_one_or_the_bundled(models: tuple[Path, str], tmp_path: Path) -> None:
    """Until something is promoted, the bundled model decides, and that is said."""
    root, key = models
    assert find_model("best", root) == find_model("best", tmp_path / "none") == BUNDLED
    Registry(root, "test", lambda: 0).promote(key, "for the test")
    assert find_model("best", root) == root / key


def test_a_version_may_be_a_unique_prefix(models: tuple[Path, str]) -> None:
    """Of at least eight characters; a folder may be given as it is."""
    root, key = models
    assert find_model(key, root) == find_model(key[:8], root) == root / key
    assert find_model(str(BUNDLED), root) == BUNDLED
    for unknown in (key[:7], "0123456789"):
        with pytest.raises(BadInput, match=unknown):
            find_model(unknown, root)


@pytest.mark.parametrize(
    ("status", "market", "paper", "live"),
    [
        ("untrained", None, "untrained", "untrained"),
        ("trained", "regime", "", "synthetic"),
        ("trained", None, "", ""),
    ],
)
def test_what_knows_no_quotes_does_not_trade_live(status: str, market: str | None, paper: str, live: str) -> None:
    """Initial weights never trade unasked, and weights of a synthetic market not where orders are real."""
    model = load(BUNDLED)
    data = {**(model.manifest["data"] or {}), "market": None if market is None else {"market": market}}
    chosen = Chosen(BUNDLED, replace(model, status=status, manifest={**model.manifest, "data": data}))
    assert (chosen.market, chosen.unfit(live=False), chosen.unfit(live=True)) == (market, paper, live)


def test_a_model_of_another_feature_set_is_refused(tmp_path: Path) -> None:
    """The config's set and the model's must agree, and the message names the key."""
    config = replace(Config(), state=State(dir=str(tmp_path)))
    ui = Ui(json=True)
    chosen = choose_model(config, ui)
    assert chosen.path == BUNDLED
    assert (
        chosen.in_sample([{"sha256": "0"}]) is (None if chosen.model.data_hashes is None else False) or chosen.untrained
    )
    other = replace(config, model=replace(config.model, features="micro15"))
    with pytest.raises(BadInput, match=r'features = "edge20"'):
        choose_model(other, ui)
