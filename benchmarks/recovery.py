"""Kill -9 of a daemon at random instants, over the emulator: what is doubled, what is lost, how fast it is back?

    python -m benchmarks.recovery --instants 500
    python -m benchmarks.recovery --day 300000          # restart on a day of so many quotes

Run it from the repository's root. Every fourth instant is the one between an order's journal and its sending. It ends
with 1 where an order was doubled or left unjournalled, a position differs, or the audit finds a difference.
"""

import argparse
import json
import os
import random
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from daemon.journal import marked
from tests.daemon.test_faulty_disk import AT_THE_DOOR

TOKEN = "a-token-for-benchmarks"
CONFIG = """\
strategy = "random"
bar = "{bar}"
[model]
warmup_bars = 160
allow_untrained = true
[risk]
stop_sigma = 30
max_orders_per_minute = 1000
[oanda]
settle_s = 0.5
doubt_s = 0.1
reconcile_s = 0.5
retry_first_s = 0.05
stop_patience_s = 0.2
[api]
port = 0
"""
CLI = "import sys; from daemon.cli import main; sys.exit(main(sys.argv[1:]))"
PATIENCE_S, SETTLED_S = 60.0, 5.0
LENGTH = "SELECT max(seq), count(*) FROM journal_records"
LOOK_S = 0.005
QUIET = 4  # looks at the journal without a record more: the day is over, not just the machine busy
ROUND = 50  # instants between comparisons


class World:
    """An emulator that stays, and the folder of a daemon that comes and goes."""

    def __init__(self, folder: Path, bars: int, bar: str, speed: str, per_bar: int) -> None:
        self.folder, self.state = folder, folder / "state"
        self.config = folder / "config.toml"
        self.config.write_text(CONFIG.format(bar=bar))
        ticks = folder / "EUR_USD-synth.csv"
        synth = ["ticks", "synth", "ou", str(ticks), "--bars", str(bars), "--ticks-per-bar", str(per_bar)]
        subprocess.run([sys.executable, "-c", CLI, *synth], check=True, capture_output=True)
        command = ["emulator", "--ticks", str(ticks), "--speed", speed, "--token", TOKEN, "--config", str(self.config)]
        self.emulator = subprocess.Popen(
            [sys.executable, "-c", CLI, *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.emulator.stdout is not None
        self.where = json.loads(self.emulator.stdout.readline())
        self.environ = os.environ | {
            "OANDA_ENVIRONMENT": "custom",
            "OANDA_REST_URL": self.where["rest"],
            "OANDA_STREAM_URL": self.where["stream"],
            "OANDA_ACCOUNT": self.where["account"],
            "OANDA_TOKEN": TOKEN,
            "MICRO_TRADER__LOG__FORMAT": "json",
        }
        if speed == "max":
            self.environ["OANDA_CONTROL_URL"] = self.where["control"]
        self.worked: list[float] = []

    def start(self, orders_left: int | None = None) -> tuple["subprocess.Popen[str]", float]:
        """A daemon, and the seconds from its start until it trades; 0 where it died before."""
        code = CLI if orders_left is None else AT_THE_DOOR + CLI
        environ = self.environ | ({} if orders_left is None else {"ORDERS_LEFT": str(orders_left)})
        command = [sys.executable, "-c", code, "run", "--config", str(self.config), "--state", str(self.state)]
        began = time.monotonic()
        log = self.folder / "log"
        with log.open("w") as said:  # no pipe: nobody would empty it, and the daemon would wait
            daemon = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=said, text=True)
        while daemon.poll() is None:
            if '"event": "started"' in log.read_text():
                self.worked.append(worked(daemon.pid))
                return daemon, time.monotonic() - began
            time.sleep(LOOK_S)
        if daemon.returncode != -signal.SIGKILL:
            raise SystemExit(f"the daemon ended with {daemon.returncode}: {log.read_text()[-2000:]}")
        return daemon, 0.0

    def get(self, path: str) -> Any:
        """What the emulator answers."""
        url = f"{self.where['rest']}/v3/accounts/{self.where['account']}{path}"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {TOKEN}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())

    def transactions(self) -> list[dict[str, Any]]:
        """All of the account's."""
        found: list[dict[str, Any]] = []
        while True:
            page = self.get(f"/transactions/sinceid?id={len(found)}")
            found += page["transactions"]
            if not page["transactions"] or len(found) >= int(page["lastTransactionID"]):
                return found

    def query(self, text: str) -> list[tuple[Any, ...]]:
        """Rows of the journal."""
        with closing(sqlite3.connect(self.state / "journal.db")) as db:
            return db.execute(text).fetchall()

    def audit(self) -> list[dict[str, Any]]:
        """Every day's."""
        days = [row[0] for row in self.query("SELECT date(day * 86400, 'unixepoch') FROM journal_days ORDER BY day")]
        found = []
        for day in days:
            command = [sys.executable, "-c", CLI, "audit", day, "--state", str(self.state), "--json"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            found.append(json.loads(done.stdout))
        return found


def instants(world: World, count: int, seed: int) -> int:
    """Kill and start again `count` times; 1 where the books were wrong after some of them."""
    dice, back, doors, wrong = random.Random(seed), [], 0, 0
    for n in range(count):
        door = n % 4 == 3
        daemon, seconds = world.start(dice.randrange(4) if door else None)
        if seconds:
            back.append(seconds)
            time.sleep(dice.uniform(0.0, 1.0) if not door else 0.0)
        if door and seconds:
            with suppress(subprocess.TimeoutExpired):
                daemon.wait(timeout=PATIENCE_S)
        doors += door and daemon.poll() is not None
        daemon.kill()
        daemon.communicate()
        if n % ROUND == ROUND - 1 or n == count - 1:
            sys.stdout.write(f"{n + 1} instants, {doors} between journal and send, back in {spread_of(back)}\n")
            wrong += in_good_order(world)
            sys.stdout.flush()
    return int(wrong > 0)


def in_good_order(world: World) -> int:
    """Start once more, let things settle, stop, and compare."""
    daemon, _ = world.start()
    (newest,) = world.query("SELECT coalesce(max(rowid), 0) FROM oanda_orders")[0]
    time.sleep(SETTLED_S)
    began = time.monotonic()
    daemon.send_signal(signal.SIGTERM)
    daemon.communicate(timeout=30)
    sys.stdout.write(f"SIGTERM: {time.monotonic() - began:.2f} s, exit code {daemon.returncode}\n")
    return verdict(world, newest)


def verdict(world: World, newest: int) -> int:
    """Compare journal, account and folders; of orders, those up to the row `newest` must have ended."""
    transactions = world.transactions()
    sent = [said.get("clientExtensions", {}).get("id", "") for said in transactions if said["type"] == "MARKET_ORDER"]
    journalled = {json.loads(body)["order"]["id"] for (body,) in every(world, "Sent")}
    told = [json.loads(body)["event"] for (body,) in every(world, "Told")]
    fills = [event["transaction"] for event in told if event["is"] == "Filled"]
    account = [int(said["id"]) for said in transactions if said["type"] == "ORDER_FILL"]
    with closing(sqlite3.connect(world.state / "journal.db")) as db:
        lane = marked(db)["desk"]["session"]["lanes"]["EUR_USD"]
    held = sum(int(trade["currentUnits"]) for trade in world.get("/openTrades")["trades"])
    unended = f"outcome IN ('sending', 'unknown', 'pending') AND rowid <= {newest}"
    open_orders = world.query(f"SELECT count(*) FROM oanda_orders WHERE {unended}")
    audits = world.audit()
    decided = sum(day["decisions"] for day in audits)
    rows = sum(path.read_bytes().count(b"\n") for path in (world.state / "runs").glob("*/decisions.jsonl"))
    wrong = {
        "orders sent twice": len(sent) - len(set(sent)),
        "orders sent unjournalled": len([id_ for id_ in sent if id_ not in journalled and "-bare" not in id_]),
        "fills heard twice": len(fills) - len(set(fills)),
        "fills unheard": len(set(account) - set(fills)),
        "orders without an end": open_orders[0][0],
        "units that differ": held - (lane["position"]["units"] if lane["position"] else 0),
        "days that differ": sum(day["difference"] is not None for day in audits),
        "decisions missing in the folders": decided - rows,
    }
    said = {
        "orders": len(sent),
        "fills": len(account),
        "decisions": decided,
        "events": sum(d["events"] for d in audits),
    }
    sys.stdout.write(f"{json.dumps(said)}\n{json.dumps(wrong, indent=1)}\n")
    for day in audits:
        sys.stdout.write(f"{json.dumps(day)}\n")
    return int(any(wrong.values()))


def every(world: World, kind: str) -> list[tuple[Any, ...]]:
    """Bodies of a kind (no day is packed yet within a run of this)."""
    return world.query(f"SELECT body FROM journal_records WHERE kind = '{kind}'")


def day(world: World, repeats: int) -> int:
    """Live through a day, kill it at its end, and time the starts."""
    daemon, _ = world.start()
    before, quiet = world.query(LENGTH), 0
    while quiet < QUIET:
        time.sleep(5)
        now = world.query(LENGTH)
        quiet, before = quiet + 1 if now == before else 0, now
    daemon.kill()
    daemon.communicate()
    back = []
    world.worked.clear()
    for _ in range(repeats):
        daemon, seconds = world.start()
        back.append(seconds)
        daemon.kill()
        daemon.communicate()
    size = (world.state / "journal.db").stat().st_size / 1e6
    sys.stdout.write(f"back in {spread_of(back)}; CPU time {spread_of(world.worked)}; the journal has {size:.1f} MB\n")
    return in_good_order(world)


def worked(process: int) -> float:
    """CPU time of a process so far, all its threads, seconds: what other work on the machine spares."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def spread_of(seconds: list[float]) -> str:
    """Median and largest."""
    return f"{statistics.median(seconds):.2f} s (median), {max(seconds):.2f} s (longest)" if seconds else "never"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instants", type=int, default=0)
    parser.add_argument("--day", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        if args.day:
            world = World(Path(name), 1440, "1m", "max", args.day // 1440)
        else:
            world = World(Path(name), 40_000, "5s", "60x", 24)
        try:
            code = day(world, 5) if args.day else instants(world, args.instants, args.seed)
        finally:
            world.emulator.kill()
            world.emulator.communicate()
    sys.exit(code)
