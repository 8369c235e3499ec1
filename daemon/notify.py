"""Messages to people: never in the way, never more than they can read, never without the reason.

Apprise knows the services (mail, Telegram, Discord, webhooks, ...). A message that can't be sent stays in the log; what
comes faster than the limit waits and is told together. A heartbeat asks for a URL while all is well, so that somebody
else notices when we are gone.
"""

import asyncio
import stat
from collections import deque
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import aiohttp
import structlog

from broker.errors import BadInput
from broker.oanda import Secret

MOST_WAITING = 200
LONGEST = 2000  # characters of a message
ANSWER_S = 10.0
HOUR_S = 3600.0
Send = Callable[[str, str], bool]


def secret_lines(path: Path) -> list[Secret]:
    """The lines of a file that is for its owner's eyes only; blank ones and those with # apart.

    Raises:
        BadInput: it can't be read, or others may.
    """
    try:
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise BadInput("others may read it", where=str(path), mend=f"chmod 600 {path}")
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"can't be read: {getattr(error, 'strerror', error)}", where=str(path)) from error
    return [Secret(line.strip()) for line in lines if line.strip() and not line.lstrip().startswith("#")]


def apprise(urls: list[Secret], where: str) -> Send:
    """What sends a title and a text to all of them, and says whether that worked.

    Raises:
        BadInput: Apprise is not installed, or it does not know a URL.
    """
    try:
        found = import_module("apprise").Apprise()
    except ImportError as error:
        raise BadInput("apprise is not installed", where=where, mend="pip install 'micro-trader[notify]'") from error
    for number, url in enumerate(urls, 1):
        if not found.add(url.reveal()):
            raise BadInput(f"URL {number} is none that Apprise knows", where=where, mend="see Apprise's documentation")
    return lambda title, text: bool(found.notify(title=title, body=text))


class Notifications:
    """Tells people what they asked to be told.

    Args:
        send: hands a title and a text to a service; may take long. kinds: of events that are told.
        per_hour: most messages.
    """

    def __init__(self, send: Send, kinds: frozenset[str], per_hour: int) -> None:
        self._send, self._kinds, self._per_hour = send, kinds, per_hour
        self._waiting: deque[str] = deque()
        self._lost = 0
        self._sent: deque[float] = deque(maxlen=per_hour)
        self._wake = asyncio.Event()
        self._log = structlog.get_logger()

    def tell(self, kind: str, what: str, facts: Mapping[str, Any]) -> None:
        """Something happened; where too much waits, the oldest goes, which the log still has."""
        if kind not in self._kinds:
            return
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.popleft()
            self._lost += 1
        told = ", ".join(f"{name} {value}" for name, value in facts.items() if value not in (None, ""))
        self._waiting.append(f"{what}: {told}" if told else what)
        self._wake.set()

    async def run(self) -> None:
        """Send until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._wake.wait()
            if len(self._sent) == self._per_hour and (wait := self._sent[0] + HOUR_S - loop.time()) > 0:
                await asyncio.sleep(wait)
            self._wake.clear()
            title, text = self._message()
            self._sent.append(loop.time())
            try:
                if not await asyncio.to_thread(self._send, title, text):
                    self._log.warning("not_notified", text=text)
            except Exception as error:  # noqa: BLE001 - whatever a service's library raises must not end the daemon
                self._log.warning("not_notified", text=text, why=type(error).__name__)

    def _message(self) -> tuple[str, str]:
        """All that waits, as one."""
        lines = list(self._waiting)
        self._waiting.clear()
        if self._lost:
            lines.insert(0, f"({self._lost} more are in the log)")
            self._lost = 0
        title = lines[-1].partition(":")[0] if len(lines) == 1 else f"{len(lines)} messages"
        text = "\n".join(lines)
        return f"micro-trader: {title}", text if len(text) <= LONGEST else "...\n" + text[-LONGEST:]


async def heartbeat(url: Secret, every_s: float, well: Callable[[], bool]) -> None:
    """Ask for a URL now and then while all is well, until cancelled; a failure is logged, without the URL."""
    log = structlog.get_logger()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_S)) as session:
        while True:
            if well():
                try:
                    async with session.get(url.reveal()) as answer:
                        await answer.read()
                except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                    log.warning("heartbeat_failed", why=type(error).__name__)
            await asyncio.sleep(every_s)
