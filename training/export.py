"""From networks in torch to a model folder, and the model that comes with the program.

    python -m training.export --bundle MODEL    puts a trained model's folder into `strategy/bundled/`
    python -m training.export --out FOLDER      writes an untrained model: the same seed, the same bytes

`make bundled-model` trains the bundled one anew.
"""

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save

import strategy
from broker.errors import StorageFault
from broker.types import Float64s
from strategy import features
from strategy.model import MANIFEST, TRAINED, UNTRAINED, WEIGHTS, Model, load, render, sizes_document
from strategy.network_layout import Sizes
from training.networks import Networks

BUNDLED = Path(strategy.__file__).parent / "bundled"
DISCOUNT = 0.997
WRITTEN_ANEW = ("format", "files", "checksum")


def sizes_for(feature_set: str, **chosen: Any) -> Sizes:
    """Sizes for a feature set's inputs; `chosen` are other fields of Sizes."""
    known = features.get(feature_set)
    window, columns = known.window or (0, 0)
    return Sizes(inputs=known.size, window=window, columns=columns, **chosen)


def export(
    networks: Networks,
    feature_set: str,
    *,
    seed: int,
    status: str = TRAINED,
    parent: str | None = None,
    mean: Float64s | None = None,
    deviation: Float64s | None = None,
    discount: float = DISCOUNT,
    search: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    code_version: str | None = None,
) -> dict[str, bytes]:
    """A model's files by name, for `ModelFolders.add` or `write_folder`.

    Args:
        networks: on the CPU, float32.
        feature_set: whose rows they take.
        seed: that the training or the initial weights began with.
        status: `untrained`, `trained` or `abstains`.
        parent: id of the model that it grew from.
        mean, deviation: `[inputs]` normaliser; None: identity.
        discount: of a decision interval, in targets and search alike.
        search: keyword arguments for `search_tree.rules` that go with these weights.
        code_version: of the program that trained it.
        metrics, data, config: kept as they are; `data["sha256"]` lists the tick files learned from.

    Raises:
        ValueError: a figure or a weight is not finite.
    """
    known = features.get(feature_set)
    tensors = {name: tensor.detach().contiguous() for name, tensor in networks.state_dict().items()}
    if not all(bool(tensor.isfinite().all()) for tensor in tensors.values()):
        raise ValueError("a weight is not finite")
    weights = save(tensors)
    manifest = {
        "status": status,
        "parent": parent,
        "seed": seed,
        "code_version": code_version,
        "feature_set": {"name": known.name, "version": known.version},
        "sizes": sizes_document(networks.sizes),
        "normaliser": {
            "mean": _column(mean, 0.0, known.size),
            "deviation": _column(deviation, 1.0, known.size),
        },
        "discount": discount,
        "search": dict(search or {}),
        "metrics": dict(metrics or {}),
        "data": dict(data) if data is not None else None,
        "config": dict(config or {}),
    }
    return {MANIFEST: render(manifest, {WEIGHTS: weights}), WEIGHTS: weights}


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Put a model's files into a folder that need not exist; the manifest last, so that a torn one is never whole.

    Raises:
        StorageFault: the disk failed.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in sorted(files, key=lambda name: name == MANIFEST):
            aside = folder / f".{name}.part"
            with aside.open("wb") as file:
                file.write(files[name])
                file.flush()
                os.fsync(file.fileno())
            aside.rename(folder / name)
    except OSError as error:
        raise StorageFault(f"can't store the model: {error.strerror}", where=str(folder)) from error


def untrained(feature_set: str, seed: int, **chosen: Any) -> dict[str, bytes]:
    """Files of a model with initial weights; `chosen` are fields of Sizes. The same seed gives the same bytes."""
    networks = Networks(sizes_for(feature_set, **chosen), seed)
    return export(networks, feature_set, seed=seed, status=UNTRAINED)


def anonymous(model: Model) -> dict[str, bytes]:
    """Files of a model without the version of the code that trained it: the same recipe gives the same bytes.

    The commit that brings the bundled model can't be named in it.
    """
    manifest = {key: value for key, value in model.manifest.items() if key not in WRITTEN_ANEW}
    weights = save({name: torch.from_numpy(values) for name, values in model.tensors.items()})
    return {MANIFEST: render({**manifest, "code_version": None}, {WEIGHTS: weights}), WEIGHTS: weights}


def main() -> None:
    """Bundle a model, or write an untrained one."""
    parser = argparse.ArgumentParser(prog="python -m training.export", description="write a model folder")
    task = parser.add_mutually_exclusive_group(required=True)
    task.add_argument("--bundle", type=Path, metavar="MODEL", help="folder of the model that is to come along")
    task.add_argument("--out", type=Path, metavar="FOLDER", help="where to write an untrained model")
    parser.add_argument("--features", default="edge20", help="feature set of an untrained model (default edge20)")
    parser.add_argument("--seed", type=int, default=0, help="of its weights (default 0)")
    options = parser.parse_args()
    if options.bundle is not None:
        write_folder(BUNDLED, anonymous(load(options.bundle)))
    else:
        write_folder(options.out, untrained(options.features, options.seed))


def _column(values: Float64s | None, default: float, size: int) -> list[float]:
    """A normaliser's column as JSON."""
    column = np.full(size, default) if values is None else np.asarray(values, np.float64)
    if column.shape != (size,):
        raise ValueError(f"the normaliser has {column.shape}, the feature set {size} columns")
    return [float(value) for value in column]


if __name__ == "__main__":
    main()
