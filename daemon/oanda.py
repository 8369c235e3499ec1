"""Where OANDA's secrets come in: from the environment, or from files that it names.

`OANDA_TOKEN` or `OANDA_TOKEN_FILE`, `OANDA_ACCOUNT` or `OANDA_ACCOUNT_FILE`, `OANDA_ENVIRONMENT` (`practice` where it
is not set, `live`, or `custom` with `OANDA_REST_URL` and `OANDA_STREAM_URL`).
"""

import stat
from collections.abc import Mapping
from pathlib import Path
from random import SystemRandom

from broker.clock import SystemClock
from broker.errors import BadInput
from broker.oanda import Access, Pace, Secret, Transport, Waits, hosts_of
from daemon.config import Oanda


def access_of(environ: Mapping[str, str], settings: Oanda) -> Access:
    """Token, account and hosts.

    Raises:
        BadInput: one is missing, wrong, or not allowed.
    """
    hosts = hosts_of(
        environ.get("OANDA_ENVIRONMENT", ""),
        allow_live=settings.allow_live,
        rest=environ.get("OANDA_REST_URL", ""),
        stream=environ.get("OANDA_STREAM_URL", ""),
    )
    token = Secret(_said(environ, "OANDA_TOKEN", secret=True))
    return Access(token, _said(environ, "OANDA_ACCOUNT"), hosts, frozenset(settings.accounts))


def transport_of(environ: Mapping[str, str], settings: Oanda) -> Transport:
    """A transport to the account; made inside a running event loop.

    Raises:
        BadInput: as `access_of`.
    """
    return Transport(access_of(environ, settings), Pace.usual(), Waits(), SystemRandom(), SystemClock().now)


def _said(environ: Mapping[str, str], name: str, secret: bool = False) -> str:
    if text := environ.get(name, "").strip():
        return text
    named = f"{name}_FILE"
    if not (file := environ.get(named, "")):
        raise BadInput("is not set", where=name, mend=f"export {name}, or {named} with the name of a file")
    path = Path(file)
    try:
        if secret and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise BadInput("others may read it", where=file, mend=f"chmod 600 {file}")
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"can't be read: {getattr(error, 'strerror', error)}", where=file) from error
