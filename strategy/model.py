"""Model folders as a strategy reads them: `manifest.json` and `weights.safetensors`, believed only when whole.

The manifest names the SHA-256 of every other file, and its own `checksum` covers the rest of it. A model's id is the
hash of all its bytes, so that the same content has the same id, wherever it lies.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors

from broker.errors import BadInput, StorageFault
from broker.types import Float64s
from strategy import features
from strategy.network_layout import Network, Sizes, pack, parts
from strategy.network_tile import Float32s

MANIFEST, WEIGHTS = "manifest.json", "weights.safetensors"
FORMAT = 1
UNTRAINED, TRAINED, ABSTAINS = "untrained", "trained", "abstains"
ID_LENGTH = 16
MEND_DAMAGE = "the folder is damaged: take it from a backup or choose another model"


@dataclass(frozen=True, slots=True)
class Model:
    """A model that was found whole.

    Attributes:
        id: 16 hex digits, the hash of its bytes.
        status: `untrained`, `trained` or `abstains` (its place is outside the market).
        feature_set: name of the set of its inputs.
        sizes: of its networks.
        mean, deviation: `[inputs] float64`, the normaliser: inputs are `(x - mean) / deviation`.
        discount: of a decision interval.
        search: keyword arguments for `search_tree.rules` that go with these weights.
        data_hashes: SHA-256 of the tick files that it learned from; None where that is not known.
        manifest: the whole document.
        tensors: weights by name, float32, as in the torch twin's state dict.
    """

    id: str
    status: str
    feature_set: str
    sizes: Sizes
    mean: Float64s
    deviation: Float64s
    discount: float
    search: Mapping[str, Any]
    data_hashes: frozenset[str] | None
    manifest: Mapping[str, Any]
    tensors: Mapping[str, Float32s]

    @property
    def name(self) -> str:
        """As it is shown: its id, or `untrained-` and the id's first 8 digits."""
        return f"{UNTRAINED}-{self.id[:8]}" if self.status == UNTRAINED else self.id

    def network(self) -> Network:
        """The weights laid out for the kernels."""
        return pack(self.sizes, self.tensors)


def load(folder: Path) -> Model:
    """Read and verify a model folder.

    Raises:
        BadInput: it is missing, damaged, of another format, or made for a feature set that this program has not.
        StorageFault: a file exists but can't be read.
    """
    path = folder / MANIFEST
    content = _read(path)
    manifest = _parse(content, path)
    if manifest.get("checksum") != checksum(manifest) or content != _rendered(manifest):
        raise BadInput("its checksum does not match", where=str(path), mend=MEND_DAMAGE)
    files = {MANIFEST: content}
    for name, digest in _field(manifest, path, "files", dict).items():
        if Path(name).name != name:
            raise BadInput(f"lists {name!r}, which is no plain file name", where=str(path), mend=MEND_DAMAGE)
        files[name] = _read(folder / name)
        if hashlib.sha256(files[name]).hexdigest() != digest:
            raise BadInput("does not match its SHA-256 in the manifest", where=str(folder / name), mend=MEND_DAMAGE)
    if WEIGHTS not in files:
        raise BadInput(f"lists no {WEIGHTS}", where=str(path), mend=MEND_DAMAGE)
    if manifest.get("format") != FORMAT:
        what = f"model format {manifest.get('format')!r}, this program reads {FORMAT}"
        raise BadInput(what, where=str(path), mend="use a model of this version of the program")
    sizes = _sizes(manifest, path)
    name = _feature_set(manifest, path, sizes)
    mean, deviation = _normaliser(manifest, path, sizes)
    hashes = (manifest.get("data") or {}).get("sha256")
    return Model(
        id=content_id(files),
        status=_status(manifest, path),
        feature_set=name,
        sizes=sizes,
        mean=mean,
        deviation=deviation,
        discount=_discount(manifest, path),
        search=_field(manifest, path, "search", dict),
        data_hashes=None if hashes is None else frozenset(hashes),
        manifest=manifest,
        tensors=_tensors(files[WEIGHTS], folder / WEIGHTS, sizes),
    )


def content_id(files: Mapping[str, bytes]) -> str:
    """Id of a model: a hash of its files' names and bytes.

    >>> content_id({"manifest.json": b"{}"})
    '317bb91c1af71eb0'
    """
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{name}\0{hashlib.sha256(files[name]).hexdigest()}\n".encode())
    return digest.hexdigest()[:ID_LENGTH]


def checksum(manifest: Mapping[str, Any]) -> str:
    """SHA-256 over a manifest without its own `checksum`, keys sorted."""
    rest = {key: value for key, value in manifest.items() if key != "checksum"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, allow_nan=False).encode()).hexdigest()


def render(manifest: Mapping[str, Any], files: Mapping[str, bytes]) -> bytes:
    """A manifest's bytes, with the hashes of the other files and its checksum filled in.

    Raises:
        ValueError: it holds NaN or an infinity.
    """
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}
    whole = {**manifest, "format": FORMAT, "files": hashes}
    whole["checksum"] = checksum(whole)
    return _rendered(whole)


def _rendered(manifest: Mapping[str, Any]) -> bytes:
    """The one way a manifest is written, so that any changed byte shows."""
    return (json.dumps(manifest, indent=1, allow_nan=False) + "\n").encode()


def sizes_document(sizes: Sizes) -> dict[str, Any]:
    """Sizes as the manifest holds them."""
    return asdict(sizes)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        what = f"no {path.name} in the model folder"
        raise BadInput(what, where=str(path), mend="give the folder of a model, or see `models list`") from error
    except OSError as error:
        raise StorageFault(f"can't be read: {error.strerror}", where=str(path)) from error


def _parse(content: bytes, path: Path) -> dict[str, Any]:
    try:
        document = json.loads(content, parse_constant=_refuse_constant)
    except ValueError as error:
        raise BadInput(f"not valid JSON: {error}", where=str(path), mend=MEND_DAMAGE) from error
    if not isinstance(document, dict):
        raise BadInput("not a JSON object", where=str(path), mend=MEND_DAMAGE)
    return document


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _field(manifest: Mapping[str, Any], path: Path, key: str, kind: type | tuple[type, ...]) -> Any:
    value = manifest.get(key)
    if not isinstance(value, kind):
        what = "lacks" if value is None else "has a bad"
        raise BadInput(f"{what} {key!r}", where=str(path), mend="export the model again with this program")
    return value


def _sizes(manifest: Mapping[str, Any], path: Path) -> Sizes:
    """The networks' sizes, refused where the kernels could not hold them."""
    document = _field(manifest, path, "sizes", dict)
    kinds = {field.name: field.type for field in fields(Sizes)}
    for key, value in document.items():
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if key not in kinds or not number or (kinds[key] is int and not isinstance(value, int)) or value < 0:
            raise BadInput(f"bad sizes.{key}: {value!r}", where=str(path), mend=MEND_DAMAGE)
    try:
        sizes = Sizes(**document)
    except TypeError as error:
        raise BadInput(f"bad sizes: {error}", where=str(path), mend=MEND_DAMAGE) from error
    fits = (
        sizes.inputs > 0 and sizes.hidden > 0 and sizes.hidden % 16 == 0 and sizes.bins > 2 and sizes.bins % 2 == 1
        and sizes.actions == 4 and sizes.outcomes in (3, 5, 7) and sizes.value_scale > 0
    )  # fmt: skip
    if sizes.window:
        power_of_two = sizes.window & (sizes.window - 1) == 0
        whole = sizes.window > 1 and sizes.columns > 0 and sizes.inputs > sizes.window * sizes.columns
        fits = fits and power_of_two and whole and sizes.channels > 0 and sizes.channels % 16 == 0
    if not fits:
        raise BadInput("sizes that the kernels can't hold", where=str(path), mend=MEND_DAMAGE)
    return sizes


def _feature_set(manifest: Mapping[str, Any], path: Path, sizes: Sizes) -> str:
    """Name of the feature set, which this program must have in the same version."""
    wanted = _field(manifest, path, "feature_set", dict)
    name, version = wanted.get("name"), wanted.get("version")
    mend = "use the program and the plugins that the model was trained with, or choose another model"
    if name not in features.BUILT_IN and name not in features.names():
        raise BadInput(f"made for the unknown feature set {name!r}", where=str(path), mend=mend)
    known = features.get(name)
    if version != known.version:
        what = f"made for version {version} of {name}, this program has version {known.version}"
        raise BadInput(what, where=str(path), mend=mend)
    window = (sizes.window, sizes.columns) if sizes.window else None
    if sizes.inputs != known.size or (window is not None and window != known.window):
        raise BadInput(f"has {sizes.inputs} inputs, {name} has {known.size}", where=str(path), mend=mend)
    return str(name)


def _normaliser(manifest: Mapping[str, Any], path: Path, sizes: Sizes) -> tuple[Float64s, Float64s]:
    document = _field(manifest, path, "normaliser", dict)
    try:
        mean = np.array(document["mean"], np.float64)
        deviation = np.array(document["deviation"], np.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput("bad normaliser", where=str(path), mend=MEND_DAMAGE) from error
    right = mean.shape == deviation.shape == (sizes.inputs,)
    if not right or not np.isfinite(mean).all() or not np.isfinite(deviation).all() or not (deviation > 0).all():
        what = f"the normaliser needs {sizes.inputs} finite means and positive deviations"
        raise BadInput(what, where=str(path), mend=MEND_DAMAGE)
    return mean, deviation


def _status(manifest: Mapping[str, Any], path: Path) -> str:
    status = _field(manifest, path, "status", str)
    if status not in (UNTRAINED, TRAINED, ABSTAINS):
        raise BadInput(f"unknown status {status!r}", where=str(path), mend=MEND_DAMAGE)
    return str(status)


def _discount(manifest: Mapping[str, Any], path: Path) -> float:
    discount = float(_field(manifest, path, "discount", (int, float)))
    if not 0.0 < discount <= 1.0:
        raise BadInput(f"bad discount {discount}", where=str(path), mend=MEND_DAMAGE)
    return discount


def _tensors(content: bytes, path: Path, sizes: Sizes) -> dict[str, Float32s]:
    """The weights: exactly the expected names and shapes, float32, all finite."""
    try:
        tensors: dict[str, Any] = load_tensors(content)
    except (SafetensorError, ValueError, KeyError) as error:
        raise BadInput(f"no safetensors: {error}", where=str(path), mend=MEND_DAMAGE) from error
    wanted = {f"{part.name}.weight": part.shape for part in parts(sizes)}
    wanted |= {f"{part.name}.bias": (part.outputs,) for part in parts(sizes)}
    if set(tensors) != set(wanted):
        odd = sorted(set(tensors) ^ set(wanted))
        raise BadInput(f"tensors that do not fit the sizes: {', '.join(odd[:3])}", where=str(path), mend=MEND_DAMAGE)
    for name, tensor in tensors.items():
        if tensor.shape != wanted[name] or tensor.dtype != np.float32:
            what = f"{name} is {tensor.dtype} {list(tensor.shape)}, expected float32 {list(wanted[name])}"
            raise BadInput(what, where=str(path), mend=MEND_DAMAGE)
        if not np.isfinite(tensor).all():
            raise BadInput(f"{name} holds a number that is not finite", where=str(path), mend=MEND_DAMAGE)
    return tensors
