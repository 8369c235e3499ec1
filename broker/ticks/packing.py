"""Takes a tick file out of its packing: plain, gzip, Zstandard, zip or LZMA, as a stream of blocks."""

import gzip
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import zstandard

from broker.errors import BadInput

BLOCK = 1 << 20
_PACKED = 1 << 14  # packed bytes handed to a decompressor at once
_FAULTS = (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error, zstandard.ZstdError, zipfile.BadZipFile)


@dataclass(slots=True)
class Packed:
    """A file and how it is packed.

    Attributes:
        kind: `plain`, `gzip`, `zstd`, `zip` or `lzma`.
        member: the name inside a zip, else "".
        taken: bytes of the file that the reading at hand has taken in.
    """

    path: Path
    kind: str
    member: str = ""
    taken: int = 0

    def blocks(self) -> Iterator[bytes]:
        """The contents, in non-empty blocks of about a MiB (LZMA and Zstandard: bounded by their ratio).

        Raises:
            BadInput: unreadable, cut short or corrupt.
        """
        reader: Callable[[], Iterator[bytes]] = {
            "plain": self._plain,
            "gzip": self._gzip,
            "zstd": self._zstd,
            "zip": self._zip,
            "lzma": self._lzma,
        }[self.kind]
        try:
            with closing(reader()) as blocks:  # type: ignore[type-var]
                yield from blocks
        except _FAULTS as error:
            raise BadInput(
                f"the {self.kind} data is cut short or corrupt ({error})", where=str(self.path), mend="fetch it again"
            ) from error
        except (OSError, RuntimeError, NotImplementedError) as error:
            raise unreadable(self.path, error) from error

    def _plain(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            while block := file.read(BLOCK):
                self.taken = file.tell()
                yield block

    def _gzip(self) -> Iterator[bytes]:
        with self.path.open("rb") as packed, gzip.open(packed, "rb") as file:
            while block := file.read(BLOCK):
                self.taken = packed.tell()
                yield block

    def _zip(self) -> Iterator[bytes]:
        with self.path.open("rb") as packed, zipfile.ZipFile(packed) as archive, archive.open(self.member) as file:
            while block := file.read(BLOCK):
                self.taken = packed.tell()
                yield block

    def _zstd(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            frame = zstandard.ZstdDecompressor().decompressobj()
            while data := file.read(_PACKED):
                self.taken = file.tell()
                while data:
                    if frame.eof:
                        frame = zstandard.ZstdDecompressor().decompressobj()
                    if block := frame.decompress(data):
                        yield block
                    data = frame.unused_data if frame.eof else b""
            if not frame.eof:
                raise EOFError("the last frame has no end")

    def _lzma(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            stream = lzma.LZMADecompressor(lzma.FORMAT_ALONE)
            while not stream.eof:
                data = file.read(_PACKED) if stream.needs_input else b""
                if not data and stream.needs_input:
                    raise EOFError("the stream has no end")
                self.taken = file.tell()
                if block := stream.decompress(data, BLOCK):
                    yield block


def unreadable(path: Path, error: Exception) -> BadInput:
    """The error for a file that the system would not let us read."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return BadInput(f"can't be read: {reason}", where=str(path))


def unpack(path: Path) -> tuple[Packed, bytes]:
    """How a file is packed, by its first bytes, and those bytes.

    Raises:
        BadInput: no such file, a directory, unreadable, or a zip without exactly one file of ticks.
    """
    if path.is_dir():
        raise BadInput("is a directory, not a tick file", where=str(path), mend="name the files in it")
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise unreadable(path, error) from error
    if head.startswith(b"\x1f\x8b"):
        return Packed(path, "gzip"), head
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        return Packed(path, "zstd"), head
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return Packed(path, "zip", _member(path)), head
    if head.startswith(b"\x5d\x00\x00") or path.suffix.lower() == ".bi5":
        return Packed(path, "lzma"), head
    return Packed(path, "plain"), head


def _member(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.lower().endswith((".csv", ".jsonl"))]
    except (*_FAULTS, OSError, NotImplementedError) as error:
        raise BadInput(f"the zip is cut short or corrupt ({error})", where=str(path), mend="fetch it again") from error
    if len(names) != 1:
        raise BadInput(f"holds {len(names)} CSV files, not one", where=str(path), mend="unzip it and name the files")
    return names[0]
