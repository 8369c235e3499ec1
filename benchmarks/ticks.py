"""Lines a second of each reader, unpacking included and apart: `python benchmarks/ticks.py [ROWS]`.

The files are synthesised in a temporary folder; each is read three times after one to warm up, the best is shown.
"""

import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from broker.ticks import ReadOptions, open_ticks, stream
from broker.ticks.convert import convert
from broker.ticks.packing import unpack
from broker.ticks.synth import Plan, synth

OPTIONS = ReadOptions(instrument="EUR_USD", tz="UTC", date="2020-01-06")


def vendor_lines() -> Iterator[tuple[str, Callable[[int, str, str], str], str]]:
    """Name, line writer and header of each vendor's text format."""

    def stamp(time_ns: int, pattern: str) -> str:
        moment = time_ns // 1_000_000
        text = str(np.datetime64(moment, "ms"))
        date, clock = text.split("T")
        return pattern.format(
            date=date.replace("-", ""), clock=clock, dense=clock.replace(":", "").replace(".", ""), ms=moment
        )

    yield "truefx.csv", lambda t, b, a: f"EUR/USD,{stamp(t, '{date} {clock}')},{b},{a}\n", ""
    yield "DAT_ASCII_EURUSD_T.csv", lambda t, b, a: f"{stamp(t, '{date} {dense}')},{b},{a},0\n", ""
    yield "node.csv", lambda t, b, a: f"{stamp(t, '{ms}')},{a},{b}\n", "timestamp,askPrice,bidPrice\n"


def write_vendors(folder: Path, canonical: Path) -> None:
    """The same quotes in the vendors' formats."""
    quotes = list(open_ticks(canonical))
    for name, line, header in vendor_lines():
        with (folder / name).open("w") as out:
            out.write(header)
            for q in quotes:
                for t, b, a in zip(q.time.tolist(), q.bid.tolist(), q.ask.tolist(), strict=True):
                    out.write(line(t, f"{b / 1e5:.5f}", f"{a / 1e5:.5f}"))


def best(work: Callable[[], int]) -> tuple[int, float]:
    """What `work` counted, and its shortest time in seconds of three."""
    work()
    seconds = []
    count = 0
    for _ in range(3):
        start = time.perf_counter()
        count = work()
        seconds.append(time.perf_counter() - start)
    return count, min(seconds)


def unpacked(path: Path) -> int:
    """Bytes inside, only unpacked."""
    return sum(map(len, unpack(path)[0].blocks()))


def read(path: Path) -> int:
    """Quotes, read and cleaned."""
    return sum(map(len, stream([open_ticks(path, OPTIONS)], OPTIONS)))


def main() -> None:
    """Print a line a format."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        canonical = folder / "EUR_USD.csv"
        synth(Plan("ou", rows // 10, ticks_per_bar=10), canonical)
        for ending in (".csv.gz", ".csv.zst", ".parquet", ".jsonl"):
            convert(canonical, folder / f"EUR_USD{ending}")
        write_vendors(folder, canonical)
        print(f"{'file':<24}{'M lines/s':>10}{'unpacking aside':>17}{'MB':>7}")
        for path in sorted(folder.iterdir()):
            count, seconds = best(lambda path=path: read(path))  # type: ignore[misc]
            unpacking = best(lambda path=path: unpacked(path))[1]  # type: ignore[misc]
            apart = count / max(seconds - unpacking, 1e-9) / 1e6
            size = path.stat().st_size / 1e6
            print(f"{path.name:<24}{count / seconds / 1e6:>10.2f}{apart:>17.2f}{size:>7.1f}")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")


if __name__ == "__main__":
    main()
