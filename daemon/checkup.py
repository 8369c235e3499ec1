"""The checks of `micro-trader doctor`: does this machine have what the program needs, and is what it keeps sound?"""

import asyncio
import ctypes
import os
import platform
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from broker.errors import TraderError
from broker.oanda import instruments
from daemon.config import Config
from daemon.environment import package_version
from daemon.experience import STORE
from daemon.kernels import VARIABLE, must_compile
from daemon.oanda import transport_of
from training.registry import Registry
from training.store_maintenance import ExperienceMaintenance

OLDEST_PYTHON = (3, 11)
LEAST_FREE_BYTES = 1 << 30
UNSYNCHRONISED = 5  # adjtimex(2): TIME_ERROR
PATIENCE_S = 15.0


class Unsound(Exception):
    """A check failed; the text says what and how to mend it."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at."""

    name: str
    ok: bool
    detail: str


def examine(config: Callable[[], Config], environ: Mapping[str, str]) -> Iterator[Check]:
    """All checks, each as it is done; where the config is invalid, those that need it are left out."""
    yield _check("python", _python)
    yield _check("packages", _packages)
    yield _check("kernels", lambda: _kernels(environ))
    yield _check("clock", _clock)
    yield _check("config", lambda: f"{len(config().origins)} keys")
    try:
        settings = config()
    except TraderError:
        return
    state = Path(settings.state.dir)
    yield _check("state", lambda: _state(state))
    yield _check("disk", lambda: _disk(state))
    yield _check("store", lambda: _store(state / STORE))
    yield _check("models", lambda: _models(state / "models"))
    yield _check("broker", lambda: asyncio.run(_broker(settings, environ)))


def _check(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name, True, look())
    except (Unsound, TraderError, TimeoutError) as fault:
        return Check(name, False, str(fault) or "took too long")
    except OSError as error:
        return Check(name, False, f"{error.filename or ''}: {error.strerror}".lstrip(": "))


def _python() -> str:
    if sys.version_info < OLDEST_PYTHON:
        raise Unsound(f"{platform.python_version()} is too old: 3.11 or newer is needed")
    return f"{platform.python_version()} on {os.cpu_count()} cores"


def _packages() -> str:
    try:
        needed = [
            re.split(r"[<>=!~; \[]", line)[0] for line in requires("micro-trader") or () if "extra ==" not in line
        ]
    except PackageNotFoundError:
        raise Unsound("micro-trader itself is not installed: pip install -e .") from None
    missing = [name for name in needed if package_version(name) is None]
    if missing:
        raise Unsound(f"not installed: {', '.join(missing)}")
    return f"{len(needed)} installed"


def _kernels(environ: Mapping[str, str]) -> str:
    folder = Path(environ[VARIABLE])
    if must_compile(environ):
        return f"not compiled yet: the first command takes half a minute ({folder})"
    return f"compiled ({folder})"


def _clock() -> str:
    """What the kernel says of its clock; OANDA's own time decides when bars close."""
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(512))
    said = "not known to be synchronised" if state in (-1, UNSYNCHRONISED) else "synchronised"
    return f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}, {said}"


def _state(state: Path) -> str:
    state.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=state) as probe:
        probe.write(b"\0" * 4096)
        probe.flush()
        os.fsync(probe.fileno())
    return f"{state.resolve()} can be written"


def _disk(state: Path) -> str:
    usage = shutil.disk_usage(state)
    free = f"{usage.free / (1 << 30):.1f} GiB free of {usage.total / (1 << 30):.0f}"
    if usage.free < LEAST_FREE_BYTES:
        raise Unsound(f"{free}: less than 1 GiB is left for the journal and recordings")
    return free


def _store(path: Path) -> str:
    if not path.exists():
        return "none yet"
    with closing(ExperienceMaintenance(path)) as store:
        figures = store.stats()
    if figures["integrity"] != "ok" or figures["quarantined"]:
        raise Unsound(f"{figures['integrity']}, {figures['quarantined']} damaged: see micro-trader store verify")
    return f"{figures['size']} steps of {figures['capacity']}"


def _models(path: Path) -> str:
    if not path.exists():
        return "none yet"
    registry = Registry(path, "micro-trader doctor", time.time_ns)
    if damaged := registry.verify():
        raise Unsound(f"damaged: {', '.join(damaged)}: restore them, or micro-trader models rollback")
    return f"{len(registry.folders.ids())} sound, best: {registry.best() or 'none'}"


async def _broker(config: Config, environ: Mapping[str, str]) -> str:
    if not environ.get("OANDA_TOKEN") and not environ.get("OANDA_TOKEN_FILE"):
        return "not asked: OANDA_TOKEN is not set, which only `run` and `ticks record` need"
    transport = transport_of(environ, config.oanda)
    try:
        async with asyncio.timeout(PATIENCE_S):
            known = await instruments(transport)
    finally:
        await transport.close()
    if missing := [name for name in config.instruments if name not in known]:
        raise Unsound(f"the account does not trade {', '.join(missing)}: change `instruments`")
    return f"{transport.access.hosts.rest} answers, {len(known)} instruments"
