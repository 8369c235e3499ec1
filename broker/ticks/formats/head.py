"""What a reader is shown of a text file in order to recognise it."""

import re
from dataclasses import dataclass
from itertools import islice

from broker.errors import BadInput
from broker.ticks.lines import Layout, LineReader, chunks_of_lines
from broker.ticks.naming import pair_in, settle_instrument
from broker.ticks.options import ReadOptions
from broker.ticks.packing import Packed
from broker.ticks.rows import Source

_FRACTION = re.compile(r":\d\d[.](\d{1,9})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Head:
    """The first two lines of a text file and what is known of it.

    Attributes:
        first, second: the lines, without their ends; "" where there is none.
    """

    packed: Packed
    options: ReadOptions
    first: str
    second: str

    @property
    def names(self) -> list[str]:
        """The first line's fields, as a header's names: lower case, trimmed."""
        return [name.strip().lower() for name in self.first.split(",")]

    @property
    def name_pair(self) -> str | None:
        """The instrument by the file's name, or the name inside a zip."""
        return pair_in(self.packed.path.name) or pair_in(self.packed.member)

    def source(self, format: str, layout: Layout, said: str | None, bar_step: int = 0) -> Source:  # noqa: A002
        """The file as a source of rows in `layout`; `said` is the instrument by content or name."""
        found = _FRACTION.search(self.second if layout.header else self.first)
        return Source(
            path=str(self.packed.path),
            format=format,
            columns=layout.columns,
            instrument=settle_instrument(self.packed.path, said, self.options),
            read=LineReader(self.packed, layout).read,
            time_digits=len(found[1]) if found else (3 if layout.clock in _IN_MILLISECONDS else 0),
            bar_step=bar_step,
        )


_IN_MILLISECONDS = (2, 4)


def read_head(packed: Packed, options: ReadOptions) -> Head:
    """The head of a packed text file.

    Raises:
        BadInput: empty, or not text.
    """
    chunks = chunks_of_lines(packed)
    text = b"".join(chunk for chunk, _ in islice(chunks, 1))
    chunks.close()  # type: ignore[attr-defined]
    if not text.strip():
        raise BadInput("no quotes: the file is empty", where=str(packed.path))
    lines = text.split(b"\n", 2)
    try:
        first, second = lines[0].decode(), lines[1].decode(errors="replace") if len(lines) > 1 else ""
    except UnicodeDecodeError:
        first, second = "\0", ""
    if not first.rstrip("\r").isprintable() and "\t" not in first:
        raise BadInput("not a tick file of a known format: binary data", where=f"{packed.path}:1")
    return Head(packed, options, first.rstrip("\r"), second.rstrip("\r"))
