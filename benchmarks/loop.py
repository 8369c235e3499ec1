"""How long the daemon as a whole blocks its event loop: trading, journal, reports, API and all.

    python -m benchmarks.loop --seconds 60 --speed 200

The emulator is a process of its own, and so is somebody who asks the API for a thousand rows of everything, and for the
metrics, three times a second. Every callback of the daemon's loop is timed from the first decision on: by the wall,
less the waits for a core, and of CPU.
"""

import argparse
import asyncio
import gc
import json
import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import structlog

from benchmarks.callbacks import Callbacks, show
from daemon.alive import ADDRESS
from daemon.alive import TOKEN as API_TOKEN
from daemon.cli import main as program
from daemon.config import Config, load
from daemon.console import Ui
from daemon.running import Daemon
from daemon.web.routes import V1, VIEWS

TEXT = '[model]\nallow_untrained = true\n[oanda]\nwarm_up = "on"\n'
TOKEN = "for-the-benchmark"
START, PAST = "2020-01-06T05:00:00Z", 300  # bars before it
ASKER = """\
import json, sys, time, urllib.request
address, token, *paths = sys.argv[1:]
while True:
    for path in paths:
        asked = urllib.request.Request("http://" + address + path, headers={"Authorization": "Bearer " + token})
        urllib.request.urlopen(asked).read()
    time.sleep(1 / 3)
"""


async def live(config: Config, environ: dict[str, str], seconds: float) -> tuple[Callbacks, dict[str, object]]:
    """Run the daemon; the callbacks of so many seconds, and how it stood then."""
    callbacks, state = Callbacks(), Path(config.state.dir)
    daemon = Daemon(config, environ, lambda: config, Ui(json=True))
    living = asyncio.create_task(daemon.run())
    while not daemon.status().get("decisions"):
        await asyncio.sleep(0.1)
        if living.done():
            living.result()
    address, token = (state / ADDRESS).read_text().strip(), (state / API_TOKEN).read_text().strip()
    paths = [f"{V1}/{view}{'?limit=1000' if known.rows else ''}" for view, known in VIEWS.items()] + ["/metrics"]
    asker = await asyncio.create_subprocess_exec(sys.executable, "-c", ASKER, address, token, *paths)
    with callbacks.timing():
        await asyncio.sleep(seconds)
    assert asker.returncode is None, "the API did not answer"
    asker.kill()
    await asker.wait()
    status = daemon.status()
    daemon.stop()
    await living
    return callbacks, status


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--speed", type=int, default=200, help="of the market's clock: ten seconds a quote")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "config.toml").write_text(TEXT)
        config = load(folder / "config.toml", {}, {"state.dir": ("--state", name), "api.port": ("benchmark", 0)})
        ticks = folder / "EUR_USD-synth.csv"
        bars = round((options.seconds + 30) * options.speed / 60) + PAST
        assert program(["ticks", "synth", "regime", str(ticks), "--bars", str(bars), "--seed", "7"]) == 0
        command = [sys.executable, "-m", "daemon", "emulator", "--ticks", str(ticks), "--speed", f"{options.speed}x"]
        command += ["--start", START]
        environ = {**os.environ, "OANDA_TOKEN": TOKEN}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as process:
            assert process.stdout is not None
            where = json.loads(process.stdout.readline())
            wired = {"OANDA_ENVIRONMENT": "custom", "OANDA_REST_URL": where["rest"], "OANDA_TOKEN": TOKEN}
            wired |= {"OANDA_STREAM_URL": where["stream"], "OANDA_ACCOUNT": where["account"]}
            gc.collect()
            gc.freeze()  # as `run` does
            try:
                callbacks, status = asyncio.run(live(config, wired, options.seconds))
            finally:
                process.terminate()
    print(f"decisions {status['decisions']}, orders {status['orders_sent']}, trades {status['trades']}")
    show("callbacks of the event loop", callbacks.wall)
    show("the same, less their waits for a core", callbacks.blocked)
    show("the same, of CPU", callbacks.cpu)


if __name__ == "__main__":
    main()
