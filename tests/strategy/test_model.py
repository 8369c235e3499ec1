"""Model folders: believed only when whole, and refused in one line that names the file and how to mend it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save

from broker.errors import BadInput
from strategy.model import ABSTAINS, MANIFEST, WEIGHTS, checksum, load, render
from strategy.network_layout import Sizes, pack, parts

SIZES = Sizes(inputs=26, hidden=16, bins=5)


def tensors() -> dict[str, Any]:
    """Weights that fit SIZES."""
    r = np.random.default_rng(0)
    made = {}
    for part in parts(SIZES):
        made[f"{part.name}.weight"] = r.normal(size=part.shape).astype(np.float32)
        made[f"{part.name}.bias"] = r.normal(size=part.outputs).astype(np.float32)
    return made


def manifest(**changed: Any) -> dict[str, Any]:
    """A manifest that fits SIZES, with some fields changed."""
    sizes = {name: getattr(SIZES, name) for name in Sizes.__dataclass_fields__}
    return {
        "status": "trained", "parent": None, "seed": 3, "feature_set": {"name": "edge20", "version": 1},
        "sizes": sizes, "normaliser": {"mean": [0.5] * 26, "deviation": [2.0] * 26}, "discount": 0.97,
        "search": {"value_scale": 0.2}, "metrics": {}, "data": {"sha256": ["aa"]},
    } | changed  # fmt: skip


def put(folder: Path, document: dict[str, Any] | None = None, weights: bytes | None = None) -> Path:
    """A folder with right hashes, whatever it holds."""
    weights = save(tensors()) if weights is None else weights
    folder.mkdir(exist_ok=True)
    (folder / MANIFEST).write_bytes(render(manifest() if document is None else document, {WEIGHTS: weights}))
    (folder / WEIGHTS).write_bytes(weights)
    return folder


def refusal(folder: Path) -> BadInput:
    """What `load` says."""
    with pytest.raises(BadInput) as caught:
        load(folder)
    assert caught.value.where.startswith(str(folder))
    assert caught.value.mend
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_whole_folder_is_read(tmp_path: Path) -> None:
    """Everything that the manifest says arrives, and the same content has the same id wherever it lies."""
    model = load(put(tmp_path / "a"))
    assert (model.status, model.feature_set, model.sizes, model.discount) == ("trained", "edge20", SIZES, 0.97)
    assert model.data_hashes == {"aa"}
    assert dict(model.search) == {"value_scale": 0.2}
    assert model.mean.tolist() == [0.5] * 26
    assert model.name == model.id == load(put(tmp_path / "b")).id
    np.testing.assert_array_equal(model.network().weights, pack(SIZES, tensors()).weights)


def test_an_untrained_model_says_so(tmp_path: Path) -> None:
    """Its name begins with what it is; a model that learned to stay out has its id."""
    model = load(put(tmp_path / "a", manifest(status="untrained")))
    assert model.name == f"untrained-{model.id[:8]}"
    assert load(put(tmp_path / "b", manifest(status=ABSTAINS))).status == ABSTAINS


@given(at=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255), name=st.sampled_from([MANIFEST, WEIGHTS]))
def test_a_changed_byte_is_refused(tmp_path_factory: pytest.TempPathFactory, at: float, flip: int, name: str) -> None:
    """Any byte of the manifest or the weights, changed in any way."""
    folder = put(tmp_path_factory.mktemp("model"))
    content = bytearray((folder / name).read_bytes())
    content[int(at * len(content))] ^= flip
    (folder / name).write_bytes(content)
    refusal(folder)


@given(share=st.floats(0, 1, exclude_max=True), name=st.sampled_from([MANIFEST, WEIGHTS]))
def test_a_truncated_file_is_refused(tmp_path_factory: pytest.TempPathFactory, share: float, name: str) -> None:
    """A file cut anywhere, the empty one too."""
    folder = put(tmp_path_factory.mktemp("model"))
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(share * len(content))])
    refusal(folder)


@pytest.mark.parametrize("name", [MANIFEST, WEIGHTS])
def test_a_missing_file_is_refused(tmp_path: Path, name: str) -> None:
    """Half a folder is no model; nor is a file or nothing at all."""
    folder = put(tmp_path / "a")
    (folder / name).unlink()
    assert name in str(refusal(folder))
    refusal(tmp_path / "nothing")
    (tmp_path / "file").touch()
    refusal(tmp_path / "file")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"feature_set": {"name": "edge21", "version": 1}}, "unknown feature set 'edge21'"),
        ({"feature_set": {"name": "edge20", "version": 2}}, "version 2 of edge20"),
        ({"feature_set": {"name": "micro15", "version": 1}}, "26 inputs"),
        ({"normaliser": {"mean": [0.0] * 26, "deviation": [0.0] * 26}}, "positive deviations"),
        ({"normaliser": {"mean": [0.0] * 25, "deviation": [1.0] * 26}}, "26 finite means"),
        ({"normaliser": {}}, "normaliser"),
        ({"sizes": {"inputs": 26, "hidden": 24}}, "can't hold"),
        ({"sizes": {"inputs": 26, "hidden": "64"}}, "sizes.hidden"),
        ({"sizes": {"hidden": 64}}, "bad sizes"),
        ({"sizes": {"inputs": 26, "hidden": 32, "bins": 5}}, "expected float32"),
        ({"sizes": {"inputs": 26, "hidden": 16, "bins": 5, "value_blocks": 2}}, "do not fit the sizes"),
        ({"status": "good"}, "unknown status"),
        ({"discount": 1.5}, "bad discount"),
        ({"search": None}, "lacks 'search'"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    """A manifest with a right checksum may still be of another program, feature set or size."""
    assert said in str(refusal(put(tmp_path / "a", manifest(**changed))))


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_weights_must_be_finite(tmp_path: Path, odd: float) -> None:
    """One weight that is not a number would poison every decision."""
    weights = tensors()
    weights["policy.output.bias"][2] = odd
    assert "policy.output.bias" in str(refusal(put(tmp_path / "a", weights=save(weights))))


def test_weights_must_be_float32_safetensors(tmp_path: Path) -> None:
    """Other number types, and files that are something else, a pickle for one."""
    assert "float64" in str(
        refusal(put(tmp_path / "a", weights=save({key: value.astype(np.float64) for key, value in tensors().items()})))
    )
    assert "no safetensors" in str(refusal(put(tmp_path / "b", weights=b"\x80\x04K\x01.")))


def test_files_stay_in_the_folder(tmp_path: Path) -> None:
    """A manifest can't name a file elsewhere."""
    folder = put(tmp_path / "a")
    (folder / MANIFEST).write_bytes(render(manifest(), {WEIGHTS: b"", "../secret": b""}))
    assert "no plain file name" in str(refusal(folder))


def test_format_of_another_time_is_refused(tmp_path: Path) -> None:
    """A later format is told apart from damage."""
    folder = put(tmp_path / "a")
    document = json.loads((folder / MANIFEST).read_text()) | {"format": 2}
    document["checksum"] = checksum(document)
    (folder / MANIFEST).write_text(json.dumps(document, indent=1) + "\n")
    assert "model format 2" in str(refusal(folder))


def test_bundled_model_loads(root: Path) -> None:
    """The model that comes with the program is whole, small and named for what it is."""
    folder = root / "strategy" / "bundled"
    model = load(folder)
    assert model.feature_set == "edge20"
    assert sum(file.stat().st_size for file in folder.iterdir()) < 600_000
    assert set(load_tensors((folder / WEIGHTS).read_bytes())) == set(model.tensors)
