"""Files as they are packed, whole and damaged."""

import gzip
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from broker.errors import BadInput
from broker.ticks.packing import unpack

CONTENT = b"".join(f"2014-05-01T00:00:{i % 60:02d}Z,1.{i:05d},1.5\n".encode() for i in range(60_000))


def _zipped(content: bytes, tmp: Path) -> bytes:
    with zipfile.ZipFile(tmp / "z", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", content)
        archive.writestr("readme.txt", "not ticks")
    return (tmp / "z").read_bytes()


PACKINGS: dict[str, Callable[[bytes, Path], bytes]] = {
    "gzip": lambda content, _: gzip.compress(content),
    "zstd": lambda content, _: zstandard.compress(content),
    "lzma": lambda content, _: lzma.compress(content, lzma.FORMAT_ALONE),
    "zip": _zipped,
    "plain": lambda content, _: content,
}


def contents(path: Path) -> bytes:
    """Everything, unpacked."""
    return b"".join(unpack(path)[0].blocks())


@pytest.mark.parametrize("kind", PACKINGS)
def test_contents_come_out_as_they_went_in(kind: str, tmp_path: Path) -> None:
    """The packing is told by the first bytes, not by the name."""
    path = tmp_path / "ticks"
    path.write_bytes(PACKINGS[kind](CONTENT, tmp_path))
    assert unpack(path)[0].kind == kind
    assert contents(path) == CONTENT


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_parts_may_follow_one_another(kind: str, tmp_path: Path) -> None:
    """Recordings grow by appended members and frames."""
    path = tmp_path / "ticks"
    path.write_bytes(PACKINGS[kind](CONTENT[:1000], tmp_path) + PACKINGS[kind](CONTENT[1000:], tmp_path))
    assert contents(path) == CONTENT


@pytest.mark.parametrize("kind", ["gzip", "zstd", "lzma", "zip"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_file_cut_short_is_refused(kind: str, share: float, tmp_path: Path) -> None:
    """A truncated download never passes as a short file."""
    packed, path = PACKINGS[kind](CONTENT, tmp_path), tmp_path / "ticks"
    path.write_bytes(packed[: int(len(packed) * share)])
    with pytest.raises(BadInput, match="cut short or corrupt"):
        contents(path)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """A directory, a missing file, an empty zip: one clear line each."""
    with pytest.raises(BadInput, match="directory"):
        unpack(tmp_path)
    with pytest.raises(BadInput, match="No such file"):
        unpack(tmp_path / "missing.csv")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    with pytest.raises(BadInput, match="0 CSV files"):
        unpack(tmp_path / "empty.zip")
