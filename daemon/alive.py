"""Is a service of a state folder alive? `python -m daemon.alive [train|validate]` for health checks of containers.

They ask every few seconds, so that this imports next to nothing. `micro-trader health` says the same to people.
"""

import http.client
import json
import os
import sys
import time
from pathlib import Path

ADDRESS, TOKEN = "api.address", "api.token"
PATIENCE_S = 30.0
ANSWER_S = 5.0


def sign_of(state: Path, job: str) -> Path:
    """The file that a worker writes each second: the time, ns."""
    return state / f"work-{job}.alive"


def age_of(state: Path, job: str) -> float:
    """Seconds since a worker last showed that it lives; infinite where none ever did."""
    try:
        return time.time() - int(sign_of(state, job).read_text()) / 1e9
    except (OSError, ValueError):
        return float("inf")


def ailment(state: Path, service: str) -> str:
    """What is wrong with `run` or with a worker; "" where it is well."""
    if service != "run":
        age = age_of(state, service)
        return "" if age <= PATIENCE_S else f"work {service} has shown no sign of life for {age:.0f} s"
    try:
        host, _, port = (state / ADDRESS).read_text(encoding="ascii").strip().rpartition(":")
        bearer = {"Authorization": f"Bearer {(state / TOKEN).read_text(encoding='ascii').strip()}"}
        connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=ANSWER_S)
        connection.request("GET", "/health/ready", headers=bearer)
        answer = connection.getresponse()
        return "" if answer.status == http.client.OK else str(json.loads(answer.read()).get("why", answer.status))
    except (OSError, ValueError, http.client.HTTPException) as error:
        return f"no daemon answers: {error}"


if __name__ == "__main__":
    sys.exit(ailment(Path(os.environ["STATE_DIRECTORY"]), sys.argv[1] if len(sys.argv) > 1 else "run") or 0)
