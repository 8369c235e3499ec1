"""The whole circle, unattended: observe, record, learn, validate, promote, trade, learn again, stop when the edge goes.

    make soak    (python -m benchmarks.soak [--regime 26000] [--mart 12000] [--hours 72] [--seed 1] [--folder var/soak])

An emulator plays weeks of a synthetic `regime` market that turns into `mart`, a market without an edge, as fast as
the daemon reads; a daemon in paper mode begins without a model. The emulator's clock stands while a job works, since
the time of a job is not compressed. Every transition is printed as it happens and kept in report.json with what must
be true at the end; exit 1 where it is not.
"""

import argparse
import csv
import gzip
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

PROGRAM = (sys.executable, "-m", "daemon")
ROOT = Path(__file__).parents[1]
TOLD = {"promoted", "rejected", "rolled_back", "retired", "probation_passed", "job_began", "job_ended", "started"}
HELD = 1e-6
CONFIG = """\
seed = {seed}
[model]
warmup_bars = 512
[schedule]
train = "every {hours}h"
validate = ""
unseen_share = 0.34
[risk]
max_drawdown = 40
max_daily_loss = 20
[validation]
probation_trades = 20
embargo_bars = 0
[training]
minutes = 4
[oanda]
silence_s = 3600
[api]
port = 0
"""


@dataclass
class Soak:
    """What is known of the run."""

    folder: Path
    told: list[dict[str, Any]] = field(default_factory=list)
    read: int = 0

    def transitions(self) -> Iterator[dict[str, Any]]:
        """Lines of the daemon's log that are new and matter."""
        text = (self.folder / "daemon.log").read_text()
        whole = text.rfind("\n") + 1
        for line in text[self.read : whole].splitlines():
            if line.startswith("{") and (said := json.loads(line)).get("event") in TOLD:
                self.told.append(said)
                yield said
        self.read = whole


def main() -> int:
    """Run it."""
    options = _options()
    folder = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    ticks = folder / "EUR_USD-synth-turning.csv.gz"
    turn = write_market(ticks, options)
    soak = Soak(folder)
    (folder / "config.toml").write_text(CONFIG.format(seed=options.seed, hours=options.hours))
    with ExitStack() as held:
        where = held.enter_context(_emulator(folder, ticks))
        daemon = _daemon(folder, where)
        held.callback(_stop, daemon)
        watch(soak, daemon, where)
    document = report(soak, turn)
    (folder / "report.json").write_text(json.dumps(document, indent=1))
    print(json.dumps({key: document[key] for key in ("days", "trades", "after_the_turn", "must")}, indent=1))
    return 0 if all(document["must"].values()) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--regime", type=int, default=26_000, help="minutes with an edge")
    parser.add_argument("--mart", type=int, default=12_000, help="minutes without one, after them")
    parser.add_argument("--hours", type=int, default=72, help="between trainings, of the market's time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path("var/soak"))
    return parser.parse_args()


def write_market(path: Path, options: argparse.Namespace) -> str:
    """A file of both markets, one after the other in time and price; when it turns."""
    parts = []
    for market, bars in (("regime", options.regime), ("mart", options.mart)):
        part = path.with_name(f"EUR_USD-synth-{market}.csv.gz")
        command = ["ticks", "synth", market, str(part), "--bars", str(bars), "--seed", str(options.seed)]
        subprocess.run([*PROGRAM, *command], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        with gzip.open(part, "rt") as rows:
            parts.append(list(csv.reader(rows))[1:])
    first, second = parts
    shift = timedelta(minutes=options.regime)
    step = float(first[-1][1]) - float(second[0][1])
    with gzip.open(path, "wt", compresslevel=1) as out:
        out.write("time,bid,ask\n")
        out.writelines(f"{time},{bid},{ask}\n" for time, bid, ask in first)
        for moment, bid, ask in second:
            later = datetime.fromisoformat(moment[:26].rstrip("Z") + "+00:00") + shift
            stamp = later.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            out.write(f"{stamp},{float(bid) + step:.5f},{float(ask) + step:.5f}\n")
    return (datetime.fromisoformat(second[0][0][:19] + "+00:00") + shift).strftime("%Y-%m-%dT%H:%M:%S")


class _emulator:  # noqa: N801 - a context manager
    """The emulator's process; entering gives the clients' environment."""

    def __init__(self, folder: Path, ticks: Path) -> None:
        command = ["emulator", "--ticks", str(ticks), "--speed", "max", "--token", "soak"]
        self._process = subprocess.Popen([*PROGRAM, *command], cwd=ROOT, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> dict[str, str]:
        assert self._process.stdout is not None
        found: dict[str, str] = json.loads(self._process.stdout.readline())
        return found

    def __exit__(self, *_: object) -> None:
        _stop(self._process)


def _daemon(folder: Path, where: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    environ = os.environ | {
        "OANDA_ENVIRONMENT": "custom",
        "OANDA_REST_URL": where["rest"],
        "OANDA_STREAM_URL": where["stream"],
        "OANDA_ACCOUNT": where["account"],
        "OANDA_TOKEN": "soak",
        "OANDA_CONTROL_URL": where["control"],
        "MICRO_TRADER__LOG__FORMAT": "json",
    }
    command = ["run", "--mode", "paper", "--config", str(folder / "config.toml"), "--state", str(folder / "state")]
    with (folder / "daemon.log").open("wb") as log:
        return subprocess.Popen([*PROGRAM, *command], cwd=ROOT, env=environ, stdout=log, stderr=log)


def _stop(process: "subprocess.Popen[Any]") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def watch(soak: Soak, daemon: "subprocess.Popen[bytes]", where: Mapping[str, str]) -> None:
    """Hold the clock while a job works; end when the ticks do."""
    held, clock, since = False, "", time.monotonic()
    while daemon.poll() is None:
        time.sleep(0.2)
        for said in soak.transitions():
            facts = {
                key: value for key, value in said.items() if key not in ("event", "level", "logged", "instruments")
            }
            print(f"{clock[:16]}  {said['event']:18} {json.dumps(facts)[:150]}", flush=True)
        status = asked(soak.folder / "state")
        if status is None:
            continue
        working = any(row["state"] != "idle" for row in status["jobs"])
        if working != held:
            held, since = working, time.monotonic()
            control(where, "clock", {"speed": HELD if held else "max"})
        if status["clock"] != clock:
            clock, since = str(status["clock"]), time.monotonic()
        elif not held and time.monotonic() - since > 60.0 and clock > "2020":
            return
    raise SystemExit(f"the daemon ended with {daemon.returncode}: {soak.folder / 'daemon.log'}")


def asked(state: Path) -> dict[str, Any] | None:
    """The daemon's status, None while it has none."""
    try:
        address, token = (state / "api.address").read_text().strip(), (state / "api.token").read_text().strip()
        request = urllib.request.Request(
            f"http://{address}/api/v1/status", headers={"Authorization": f"Bearer {token}"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
    except OSError:
        return None


def control(where: Mapping[str, str], name: str, body: Mapping[str, Any]) -> None:
    """Ask the emulator's control plane."""
    request = urllib.request.Request(
        f"{where['control']}/{name}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=10).close()


def report(soak: Soak, turn: str) -> dict[str, Any]:
    """Every transition, the trades before and after the turn, the audit, and what must be true."""
    state = soak.folder / "state"
    trades = [row for path in sorted(state.glob("runs/*/trades.csv")) for row in csv.DictReader(path.open())]
    early = [row for row in trades if row["close_time"] < turn]
    late = [row for row in trades if row["close_time"] >= turn]
    days = sorted({path.name[:10] for path in state.glob("runs/*")})
    audits = {day: _json("audit", day, "--state", str(state)).get("difference", "none told") for day in days}
    store = _json("store", "stats", "--state", str(state))
    promoted = [said for said in soak.told if said["event"] == "promoted"]
    drawn = [said for said in soak.told if said["event"] == "job_ended" and said["job"] == "train"]
    pips = [float(row["pips"]) for row in late]
    stopped = any(said["event"] in ("retired", "rolled_back") for said in soak.told)
    return {
        "turn": turn,
        "days": len(days),
        "transitions": soak.told,
        "trades": {"with_an_edge": len(early), "net_pips": sum(float(row["pips"]) for row in early)},
        "after_the_turn": {"trades": len(late), "net_pips": sum(pips)},
        "store": store,
        "audits": audits,
        "must": {
            "a model was promoted": bool(promoted),
            "it traded, and earned": len(early) > 30 and sum(float(row["pips"]) for row in early) > 0,
            "its trades are in the store": store.get("trades", 0) > 30,
            "it was trained again": sum(said["outcome"] == "done" for said in drawn) > 1,
            "losses were stopped": stopped or len(late) < 50 or sum(pips) > -400,
            "the audit finds no difference": all(difference is None for difference in audits.values()),
        },
    }


def _json(*command: str) -> dict[str, Any]:
    done = subprocess.run([*PROGRAM, *command, "--json"], cwd=ROOT, capture_output=True, text=True, check=False)
    return json.loads(done.stdout) if done.stdout else {"difference": done.stderr.strip()}


if __name__ == "__main__":
    sys.exit(main())
