"""Where OANDA's secrets come in: from the environment, or from files that it names.

`OANDA_TOKEN` or `OANDA_TOKEN_FILE`, `OANDA_ACCOUNT` or `OANDA_ACCOUNT_FILE`, `OANDA_ENVIRONMENT` (`practice` where it
is not set, `live`, or `custom` with `OANDA_REST_URL` and `OANDA_STREAM_URL`).
"""

import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import SystemRandom

import aiohttp

from broker.clock import SystemClock
from broker.errors import BadInput
from broker.oanda import (
    Access,
    FeedWaits,
    Hosts,
    KeeperWaits,
    OrderLimits,
    Pace,
    Secret,
    TokenBucket,
    Transport,
    Waits,
    hosts_of,
)
from broker.oanda.pacing import REQUESTS_PER_S
from daemon.config import Config, Oanda

CUSTOM_CONNECTIONS_PER_S = 100.0  # a server of one's own keeps nobody waiting


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


def transport_of(environ: Mapping[str, str], settings: Oanda, traces: Sequence[aiohttp.TraceConfig] = ()) -> Transport:
    """A transport to the account; made inside a running event loop. `traces` are told of what it does.

    Raises:
        BadInput: as `access_of`.
    """
    waits = Waits(
        connect=settings.answer_s,
        answer=settings.answer_s,
        silence=settings.silence_s,
        retry_first=settings.retry_first_s,
        retry_longest=min(8.0, settings.retry_longest_s),
    )
    pace = Pace(TokenBucket(10 * REQUESTS_PER_S, 100.0, reserve=5.0), TokenBucket(CUSTOM_CONNECTIONS_PER_S, 20.0))
    if not is_custom(environ):
        pace = Pace.usual()
    access, now = access_of(environ, settings), SystemClock().now
    return Transport(access, pace, waits, SystemRandom(), now, traces=traces)


def is_custom(environ: Mapping[str, str]) -> bool:
    """Whether the server is the emulator, or another that takes OANDA's place."""
    return environ.get("OANDA_ENVIRONMENT", "") == "custom"


def feed_waits(settings: Oanda, backfill: str) -> FeedWaits:
    """How the price stream is followed; `backfill`: granularity of the candles that fill gaps."""
    longest = settings.retry_longest_s
    return FeedWaits(
        retry_first=settings.retry_first_s,
        retry_longest=longest,
        healthy=longest,
        barred=longest,
        backfill=backfill,
        backfill_patience=settings.answer_s,
    )


def keeper_waits(settings: Oanda) -> KeeperWaits:
    """How the account is followed."""
    return KeeperWaits(
        reconcile=settings.reconcile_s,
        doubt=settings.doubt_s,
        settle=settings.settle_s,
        stop_patience=settings.stop_patience_s,
        retry_first=settings.retry_first_s,
        retry_longest=settings.retry_longest_s,
        healthy=settings.retry_longest_s,
        barred=settings.retry_longest_s,
    )


def order_limits(config: Config, hosts: Hosts, custom: bool) -> OrderLimits:
    """The client's own limits: a reversal is twice an entry, and the first day holds with real money."""
    most = config.risk.max_units * (2 if config.risk.allow_reverse else 1)
    first_day = config.oanda.first_day_units if hosts.real else most
    bound = 0.0 if custom else config.oanda.bound_pips
    return OrderLimits(most, first_day, bound, need_stop=config.risk.stop_sigma > 0)


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
