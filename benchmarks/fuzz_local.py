"""Schemathesis on the daemon's own API, from its own openapi.json: no 5xx, every answer as the file says.

    python -m benchmarks.fuzz_local --tool .schemathesis/bin/schemathesis --minutes 1

A daemon of its own process trades on paper over an emulator meanwhile. `stop` is left out, for it would end the daemon,
and so are the events, which never do. The token must not be in the daemon's log afterwards, nor in any answer.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from tests.daemon.test_household import running

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
LEFT_OUT = ("/api/v1/stop", "/api/v1/events")
GRACE_S = 120.0


async def fuzz(folder: Path, tool: str, minutes: float) -> int:
    """Run the daemon and the tool; the tool's exit code, 1 where a secret was told."""
    async with running(folder, speed=20.0) as it:
        url = "http://" + (folder / "state" / "api.address").read_text().strip().removeprefix("http://").rstrip("/")
        token = (folder / "state" / "api.token").read_text().strip()
        asked = urllib.request.Request(f"{url}/api/v1/openapi.json", headers={"Authorization": f"Bearer {token}"})
        document = json.loads(await asyncio.to_thread(lambda: urllib.request.urlopen(asked).read()))
        document["paths"] = {path: item for path, item in document["paths"].items() if path not in LEFT_OUT}
        (folder / "openapi.json").write_text(json.dumps(document))
        command = [tool, "run", str(folder / "openapi.json"), "--url", url, "--checks", CHECKS]
        command += ["-H", f"Authorization: Bearer {token}", "--max-time", str(round(minutes * 60))]
        command += ["--continue-on-failure", "--max-examples", "100000", "--no-color", "--warnings", "off"]
        process = await asyncio.create_subprocess_exec(
            *command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        try:
            out, _ = await asyncio.wait_for(process.communicate(), minutes * 60 + GRACE_S)
            print(out.decode()[-6000:])
        except TimeoutError:
            process.kill()
            await process.wait()
        assert it.process.returncode is None, "the daemon ended"
        log = (folder / "log").read_text()
        bugs = log.count("Traceback") - log.count("aiohttp.http_exceptions.BadHttpMessage")
        print(f"the token is {'IN' if token in log else 'not in'} the log; bugs there: {bugs}")
        (folder / "log").write_text("")  # what is no HTTP at all, aiohttp answers with 400 and logs with a traceback
    return process.returncode or int(token in log or bugs > 0)


def main() -> int:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tool", default="schemathesis")
    parser.add_argument("--minutes", type=float, default=1.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        return asyncio.run(fuzz(Path(name), options.tool, options.minutes))


if __name__ == "__main__":
    sys.exit(main())
