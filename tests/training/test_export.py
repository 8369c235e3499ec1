"""Export: what leaves torch is what a strategy loads, byte for byte the same each time."""

from pathlib import Path

import numpy as np
import pytest
import torch

from broker.errors import StorageFault
from strategy.model import MANIFEST, TRAINED, UNTRAINED, WEIGHTS, content_id, load
from training.export import BUNDLED, anonymous, export, sizes_for, untrained, write_folder
from training.networks import Networks


@pytest.mark.parametrize("feature_set", ["edge20", "micro15"])
def test_what_is_exported_is_what_is_loaded(tmp_path: Path, feature_set: str) -> None:
    """Weights, normaliser and all else arrive unchanged; the id is the hash of the files."""
    networks = Networks(sizes_for(feature_set, hidden=16, outcomes=5), 3)
    size = networks.sizes.inputs
    mean, deviation = np.arange(size) / 7, np.arange(1, size + 1) / 3
    files = export(
        networks, feature_set, seed=3, parent="aa", mean=mean, deviation=deviation, metrics={"loss": 0.1},
        data={"sha256": ["bb"]}, search={"value_scale": 0.5}, code_version="0.1.0",
    )  # fmt: skip
    write_folder(tmp_path / "model", files)
    model = load(tmp_path / "model")
    assert model.id == content_id(files)
    assert model.sizes == networks.sizes
    assert (model.manifest["parent"], model.manifest["metrics"], model.manifest["seed"]) == ("aa", {"loss": 0.1}, 3)
    np.testing.assert_array_equal(model.mean, mean)
    np.testing.assert_array_equal(model.deviation, deviation)
    again = Networks(model.sizes)
    again.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in model.tensors.items()})
    for name, tensor in networks.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name])


def test_untrained_models_can_still_be_made(tmp_path: Path) -> None:
    """The same seed gives the same bytes, and they say that they never learned."""
    files = untrained("edge20", 3, hidden=16)
    assert files == untrained("edge20", 3, hidden=16) != untrained("edge20", 4, hidden=16)
    write_folder(tmp_path / "model", files)
    assert load(tmp_path / "model").status == UNTRAINED


def test_the_bundled_model_says_what_it_is() -> None:
    """It is whole, trained on the demo's synthetic market, and of the default feature set; no commit is named in it."""
    model = load(BUNDLED)
    assert (model.status, model.feature_set) == (TRAINED, "edge20")
    assert model.manifest["data"]["market"]["market"] == "regime"
    assert model.manifest["code_version"] is None
    assert anonymous(model) == {name: (BUNDLED / name).read_bytes() for name in (MANIFEST, WEIGHTS)}


def test_a_bundled_model_does_not_depend_on_the_commit(tmp_path: Path) -> None:
    """Two models that differ in the code's version alone are bundled as the same bytes."""
    networks = Networks(sizes_for("edge20", hidden=16), 1)
    found = []
    for version in ("one", "two"):
        write_folder(tmp_path / version, export(networks, "edge20", seed=1, code_version=version))
        found.append(anonymous(load(tmp_path / version)))
    assert found[0] == found[1]


def test_broken_weights_are_never_exported() -> None:
    """A run that ended in NaN leaves no model."""
    networks = Networks(sizes_for("edge20", hidden=16), 1)
    networks.policy.output.bias.data[0] = float("nan")
    with pytest.raises(ValueError, match="finite"):
        export(networks, "edge20", seed=1)
    with pytest.raises(ValueError, match="normaliser"):
        export(Networks(sizes_for("edge20", hidden=16), 1), "edge20", seed=1, mean=np.zeros(3))


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """A disk that refuses is told in one line."""
    (tmp_path / "file").touch()
    with pytest.raises(StorageFault, match="can't store"):
        write_folder(tmp_path / "file", untrained("edge20", 1, hidden=16))
