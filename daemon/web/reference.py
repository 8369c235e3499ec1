"""Writes docs/api.md from the tables that serve the API: `python -m daemon.web.reference`."""

import sys
from collections.abc import Iterator

from daemon.web.metrics import PREFIX, TABLE
from daemon.web.routes import COMMANDS, V1, VIEWS

HEAD = f"""# The local API

The daemon (`micro-trader run`) serves it on loopback; `[api]` says where. `make docs` writes this page from the code.

Every request but `GET /health/live` and the page itself carries `Authorization: Bearer TOKEN`. The token is made at
the first start and lies in `api.token` in the state folder, for its owner's eyes only. `Host` must be a name of this
machine (or one of `[api] hosts`), and a page of another site is refused. `{V1}/openapi.json` describes every route and
answer.

```
curl -H "Authorization: Bearer $(cat var/api.token)" http://127.0.0.1:8787{V1}/status
```

A failure is `{{"error": {{"what": ..., "where": ..., "mend": ...}}}}`: 400 what was sent, 401 the token, 403 and 421
who asks, 409 not now, 500 a fault of ours.

| route | what it is |
|---|---|
| `GET /` | the dashboard: it asks for the token itself |
| `GET /health/live` | whether the process answers |
| `GET /health/ready` | whether ticks and orders are alive; 503 with the reason where not |
| `GET /metrics` | metrics for Prometheus |
| `GET {V1}/events` | server-sent events: what is decided, ordered, traded, and what happens to models and jobs |
| `GET {V1}/openapi.json` | this API, for programs |
"""
COMMANDS_HEAD = """
Commands are POSTs with an optional JSON body `{"who": ..., "reason": ...}`, both kept in the journal; `swap` needs a
`version`. The answer comes once the command is on the disk.

| route | what it does |
|---|---|
"""
METRICS_HEAD = f"""
## Metrics

All begin with `{PREFIX}`.

| metric | kind | labels | what it is |
|---|---|---|---|
"""


def reference() -> str:
    """The page."""
    views = "".join(
        f"| `GET {V1}/{name}{'?limit=100&instrument=EUR_USD' if view.rows else ''}` | {view.about} |\n"
        for name, view in VIEWS.items()
    )
    commands = "".join(f"| `POST {V1}/{name}` | {command.about} |\n" for name, command in COMMANDS.items())
    return HEAD + views + COMMANDS_HEAD + commands + METRICS_HEAD + "".join(_metrics())


def _metrics() -> Iterator[str]:
    for name, metric in TABLE.items():
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        yield f"| `{name}` | {metric.kind} | {labels} | {metric.about} |\n"


if __name__ == "__main__":
    sys.stdout.write(reference())
