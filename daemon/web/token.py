"""The bearer token of the API: made at the first start, readable by its owner alone."""

import os
import secrets
import stat
from pathlib import Path

from broker.errors import BadInput, StorageFault

NAME = "api.token"
_BYTES = 32
_FEWEST = 16  # characters


def api_token(state: Path) -> str:
    """The token in the state folder, made where there is none.

    Raises:
        BadInput: others may read it, or it is too short to keep anyone out.
        StorageFault: it can't be read or written.
    """
    path = state / NAME
    try:
        _make(path)
        with path.open(encoding="ascii") as file:
            if os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise BadInput("others may read it", where=str(path), mend=f"chmod 600 {path}")
            token = file.read().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise StorageFault(f"can't be read: {getattr(error, 'strerror', error)}", where=str(path)) from error
    if len(token) < _FEWEST or not token.isprintable() or " " in token:
        raise BadInput("holds no token", where=str(path), mend="remove it; the next start makes a new one")
    return token


def _make(path: Path) -> None:
    """Write a new token where there is none; two that start at once agree on one."""
    if path.exists():
        return
    aside = path.with_name(f".{NAME}.{os.getpid()}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(aside, path)
        except FileExistsError:
            return
    finally:
        aside.unlink()
