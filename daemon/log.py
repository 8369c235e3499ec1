"""The log: one line an event on stderr, for people or as JSON. Only the daemon logs; libraries return values.

Where stderr is systemd's journal, each line begins with its priority (sd-daemon(3)), so that `journalctl -p warning`
finds what matters.
"""

import logging
import sys
from collections.abc import Mapping

import structlog

from daemon.config import Log
from daemon.systemd import PRIORITIES, is_journal


def start_log(settings: Log, environ: Mapping[str, str]) -> None:
    """Send structlog's events to stderr as `settings` says. stdout stays with the command's result."""
    as_json = settings.format == "json" or (settings.format == "auto" and not sys.stderr.isatty())
    last: list[structlog.typing.Processor] = (
        [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer(allow_nan=False)]
        if as_json
        else [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    )
    if is_journal(environ, sys.stderr):
        last.append(_with_priority)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="logged"),
            *last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[settings.level.upper()]),
        logger_factory=lambda *_: structlog.WriteLogger(sys.stderr),  # the stream of the moment, should it be replaced
        cache_logger_on_first_use=False,
    )


def _with_priority(_logger: object, method: str, line: object) -> str:
    return f"<{PRIORITIES.get(method, PRIORITIES['info'])}>{line}"
