"""Where the daemon's API listens, written down for the commands that talk to it; gone when it ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from broker.errors import BadInput, StorageFault
from daemon.web.token import NAME as TOKEN
from daemon.whole import write_whole

ADDRESS = "api.address"


@contextmanager
def kept_address(state: Path, url: str) -> Iterator[None]:
    """Keep `url` in the state folder while the block runs.

    Raises:
        StorageFault: it can't be written.
    """
    path = state / ADDRESS
    try:
        write_whole(path, url.removeprefix("http://") + "\n")
    except OSError as error:
        raise StorageFault(f"can't be written: {error.strerror}", where=str(path)) from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def address(state: Path) -> tuple[str, int, str]:
    """Host and port of the daemon, as it wrote them down, and the token.

    Raises:
        BadInput: no daemon runs with this state folder, or its API is off.
    """
    try:
        host, _, port = (state / ADDRESS).read_text(encoding="ascii").strip().rpartition(":")
        token = (state / TOKEN).read_text(encoding="ascii").strip()
        return host.strip("[]"), int(port), token
    except (OSError, ValueError) as error:
        mend = "start it: micro-trader run; is --state the right one?"
        raise BadInput("no daemon runs here", where=str(state), mend=mend) from error
