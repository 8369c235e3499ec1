"""Where a whole replay's time goes: reading, engine, decisions, log, report, start-up. CPU seconds of one process.

    python -m benchmarks.replay TICKS [--rounds 3]

Each part is measured by leaving it out or running it alone: quotes read and cleaned; the session with `hold`, with the
model, and with the run folder; the report from the files; an import of the command in a fresh interpreter.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import process_time

from broker.ticks import ReadOptions, open_ticks, stream
from daemon.config import Config
from daemon.console import Ui
from daemon.replay import Request, replay
from daemon.report import build_report

FRESH = "import time; import daemon.commands.replay; print(time.process_time())"


def cpu(work: Callable[[], object]) -> float:
    """CPU seconds that `work` takes."""
    start = process_time()
    work()
    return process_time() - start


def parts(ticks: Path, folder: Path) -> dict[str, float]:
    """CPU seconds of each part."""

    def run(strategy: str) -> None:
        request = Request((ticks,), ReadOptions(), (), folder / strategy)
        replay(request, Config(strategy=strategy), Ui(json=True))

    def read() -> None:
        for _ in stream([open_ticks(ticks)], ReadOptions()):
            pass

    done = subprocess.run([sys.executable, "-c", FRESH], capture_output=True, text=True, check=True)
    whole, hold = cpu(lambda: run("muzero")), cpu(lambda: run("hold"))
    summary = json.loads((folder / "muzero" / "summary.json").read_text())
    deciding = summary["decisions"] * summary["decision_ms"]["p50"] / 1e3
    reading, report = cpu(read), cpu(lambda: build_report(folder / "muzero"))
    bare = cpu(lambda: build_report(folder / "hold"))
    return {
        "start-up (imports, cached kernels)": float(done.stdout),
        "reading, cleaning": reading,
        "decisions of the model": deciding,
        "report": report,
        "bars, orders, logs, hashing": max(hold - reading - bare, 0.0),
        "trades and richer logs of the model": max(whole - hold - deciding - (report - bare), 0.0),
        "whole": whole + float(done.stdout),
    }


def main() -> None:
    """Measure and print medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ticks", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        parts(args.ticks, Path(folder))
        found = [parts(args.ticks, Path(folder)) for _ in range(args.rounds)]
    for name in found[0]:
        sys.stdout.write(f"{name:40} {statistics.median(row[name] for row in found):7.3f} s\n")


if __name__ == "__main__":
    main()
