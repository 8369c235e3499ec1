"""Tick files of every format, as one stream of quotes.

`open_ticks` recognises a file, `stream` merges and cleans the files of one instrument.
"""

from broker.ticks.file import TickFile, open_ticks
from broker.ticks.options import ReadOptions
from broker.ticks.stream import TickStream, stream

__all__ = ["ReadOptions", "TickFile", "TickStream", "open_ticks", "stream"]
