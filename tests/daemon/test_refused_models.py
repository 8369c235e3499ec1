"""A model that is not fit is refused before the session hears of it, and the old one trades on."""

import asyncio
import json
import shutil
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save

from benchmarks.fed import fed, prices
from benchmarks.hotswap import STEP, TEXT, two_models
from daemon.canary import NotFit
from daemon.config import load
from strategy.model import render

Harm = Callable[[Path], None]


def damaged(folder: Path) -> None:
    """A byte of the weights flipped: the checksum tells."""
    path = folder / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def rewritten(folder: Path, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> None:
    """Other weights or another manifest, with the checksums that go with them."""
    weights = load_file(folder / "weights.safetensors")
    manifest = json.loads((folder / "manifest.json").read_bytes())
    change(manifest, weights)
    files = {"weights.safetensors": save(weights)}
    (folder / "manifest.json").write_bytes(render(manifest, files))
    (folder / "weights.safetensors").write_bytes(files["weights.safetensors"])


def not_a_number(folder: Path) -> None:
    """All weights NaN, honestly signed."""
    rewritten(folder, lambda _, weights: weights.update({name: np.full_like(w, np.nan) for name, w in weights.items()}))


def other_features(folder: Path) -> None:
    """Made for a later version of its feature set."""
    rewritten(folder, lambda manifest, _: manifest["feature_set"].update(version=99))


def unreadable(folder: Path) -> None:
    """A file that can't be read: a folder stands in its place."""
    (folder / "weights.safetensors").unlink()
    (folder / "weights.safetensors").mkdir()


CASES: dict[str, tuple[Harm, float, str]] = {
    "corrupt": (damaged, 1e6, "weights"),
    "not finite": (not_a_number, 1e6, "finite|NaN|nan"),
    "another feature set": (other_features, 1e6, "version 99"),
    "unreadable": (unreadable, 1e6, "weights"),
    "vanished": (shutil.rmtree, 1e6, "no "),
    "slow": (lambda _: None, 0.0, "a decision takes it"),
}


@pytest.mark.parametrize("case", CASES)
async def test_what_is_not_fit_is_refused_while_the_old_one_trades_on(case: str, tmp_path: Path) -> None:
    """Nothing reaches the session: each bar before and after is decided by the model that decided before."""
    harm, longest_ms, why = CASES[case]
    config_path = tmp_path / "config.toml"
    config_path.write_text(TEXT)
    config = load(config_path, {}, {"state.dir": ("--state", str(tmp_path))})
    key, feed = two_models(tmp_path)[1], prices(STEP)
    async with fed(config) as body:
        for price in islice(feed, 200 * 50):
            body.service.hear(price)
        before = body.service.session.lanes[0].strategy
        harm(tmp_path / "models" / key)
        with pytest.raises(NotFit, match=why):
            await asyncio.to_thread(body.prepare, key, body.window.lately(), longest_ms)
        decided = body.days.decisions
        for price in islice(feed, 20 * 50):
            body.service.hear(price)
        assert body.service.session.lanes[0].strategy is before
        assert body.days.decisions == decided + 20
