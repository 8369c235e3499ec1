"""Recognises the format of a tick file from its content; names only fill in what content can't say."""

from dataclasses import replace
from pathlib import Path

from broker.errors import BadInput
from broker.ticks.formats import canonical, dukascopy, histdata, lean, oanda, truefx
from broker.ticks.formats.head import read_head
from broker.ticks.formats.parquet import MAGIC, parquet_source
from broker.ticks.options import ReadOptions
from broker.ticks.packing import unpack
from broker.ticks.rows import Source

_TEXT_FORMATS = (
    dukascopy.recognise,
    canonical.recognise,
    truefx.recognise,
    histdata.recognise,
    lean.recognise,
    oanda.recognise,
)


def recognise(path: Path, options: ReadOptions) -> Source:
    """The file as a source of rows.

    Raises:
        BadInput: unreadable, of no known format, or lacking what the options would have to say.
    """
    packed, head = unpack(path)
    if packed.kind == "plain" and head.startswith(MAGIC):
        return parquet_source(path, options)
    if packed.kind == "lzma":
        return replace(dukascopy.bi5_source(packed, options), packed=packed)
    lines = read_head(packed, options)
    for reader in _TEXT_FORMATS:
        source = reader(lines)
        if source is not None:
            return replace(source, packed=packed)
    raise BadInput(
        f"not a tick file of a known format: it begins with {lines.first[:60]!r}",
        where=f"{path}:1",
        mend="our own CSV has the header time,bid,ask",
    )
